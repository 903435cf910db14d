/**
 * An entry of the import table: an object or a promise of the peer's.
 *
 * Life: made when the peer first mentions the id. Each mention adds to `mentions`; our own
 * references are counted apart. When the last of ours goes, the entry leaves the table and a
 * Release takes back all mentions at once. If the peer mentions the id after that, it has not seen
 * the Release yet, or uses the id for something new; either way it is a new entry.
 *
 * A promise has one reference by its hook until it is resolved. Then the hook points elsewhere and
 * lets go; what still holds the entry are answers and exports of ours that were resolved to this
 * import and must go on to forward to it (the "Tribble 4-way race" of rpc.capnp): not to whatever
 * it was resolved to.
 */

import { BrokenHook } from "../capability/broken.js";
import { Hook, shortest } from "../capability/hook.js";
import type { CallRequest } from "../capability/request.js";
import { WAITS_FOR_ITSELF, type Waiting } from "../capability/waiting.js";
import type { RpcError } from "../errors.js";
import { DESCRIPTOR } from "../wire/layout.js";
import { NO_PATH, type WireDescriptor, type WireTarget } from "../wire/messages.js";
import type { Report } from "./inspection.js";
import type { Protocol } from "./protocol.js";
import type { CountedEntry, Loop, LoopTarget, RemoteTarget } from "./remote.js";

/**
 * What the peer resolved a promise to: something of ours, another import (held), or nothing that
 * calls come back from.
 */
export type Resolution = LoopTarget | Import | "nowhere";

export class Import implements RemoteTarget {
  readonly isLasting = true;
  private references = 1;
  private mentions = 1;
  private isUsed: boolean;
  private resolution: Resolution | undefined;
  /** The capability that stands for it here; undefined once that is resolved or released. */
  hook: ImportHook | undefined;
  /** How many promises, each of which turned into the next, led to this one. */
  steps = 0;

  /** `isPromise`: the peer will send a Resolve. */
  constructor(
    readonly protocol: Protocol,
    readonly id: number,
    readonly isPromise: boolean,
    isUsed: boolean,
  ) {
    this.isUsed = isUsed;
    this.hook = new ImportHook(this);
  }

  get isResolved(): boolean {
    return this.resolution !== undefined;
  }

  get wire(): WireTarget {
    return { kind: "export", id: this.id, path: NO_PATH };
  }

  get descriptor(): WireDescriptor {
    return { tag: DESCRIPTOR.receiverHosted, id: this.id, path: NO_PATH };
  }

  markUsed(): void {
    this.isUsed = true;
  }

  get counted(): this {
    return this;
  }

  get used(): boolean {
    return this.isUsed;
  }

  get loop(): Loop | undefined {
    return this.isUsed ? this.anyLoop : undefined;
  }

  /** `loop`, for calls that were forwarded to this by the peer. */
  private get anyLoop(): Loop | undefined {
    const { resolution } = this;
    if (resolution === undefined || resolution === "nowhere") return undefined;
    return resolution instanceof Import ? resolution.anyLoop : { path: this, source: resolution };
  }

  /** The peer mentioned it again. Gives a reference to its hook. */
  mention(isUsed: boolean): Hook {
    this.mentions++;
    this.isUsed ||= isUsed;
    if (this.hook !== undefined) return this.hook.addRef();
    // Kept in the table by something that forwards to it, though nobody else had a reference.
    this.references++;
    this.hook = new ImportHook(this);
    return this.hook;
  }

  /** The peer says what it is. Takes the reference in `resolution`, and `target`. */
  resolve(resolution: Resolution, target: Hook): void {
    this.resolution = resolution;
    const { hook } = this;
    if (hook === undefined) target.release();
    else hook.resolve(target);
  }

  /** The connection is gone. */
  lose(error: RpcError): void {
    const { hook, resolution } = this;
    this.resolution = "nowhere";
    hook?.resolve(new BrokenHook(error));
    if (resolution instanceof Import) resolution.release();
  }

  addRef(): this {
    this.references++;
    return this;
  }

  release(): void {
    if (--this.references > 0) return;
    this.protocol.releaseImport(this.id, this.mentions);
    if (this.resolution instanceof Import) this.resolution.release();
  }

  // For tests and diagnosis (inspection.ts).

  eachHeld(count: (entry: CountedEntry) => void): void {
    if (this.resolution instanceof Import) count(this.resolution);
  }

  /**
   * Reports violated invariants. `holders`: how many entries of the connection's tables hold this
   * one.
   */
  check(holders: number, fault: Report): void {
    const { hook, isPromise, isResolved, mentions, references, steps } = this;
    const expected = holders + (hook === undefined ? 0 : 1);
    if (references !== expected) fault(`${references} references, of which ${expected} are known`);
    if (references <= 0) fault("nobody refers to it");
    if (mentions < 1) fault("it was never mentioned");
    if (hook?.isReferenced === false) fault("its capability is released");
    if (hook?.next !== undefined) fault("its capability stands for something else");
    if (isResolved && !isPromise) fault("it is resolved and was no promise");
    if (isResolved && hook !== undefined) fault("it is resolved and its capability is not");
    if (steps > this.protocol.limits.promiseSteps) fault(`it took ${steps} steps`);
  }

  describe(): string {
    const { isPromise, isResolved, isUsed, mentions, references } = this;
    const kind = isPromise ? (isResolved ? "promise, resolved" : "promise, waiting") : "object";
    return `${kind}, mentions ${mentions}, references ${references}${isUsed ? ", called" : ""}`;
  }
}

/** The capability that stands for an import. */
export class ImportHook extends Hook {
  constructor(private readonly entry: Import) {
    super();
  }

  override get isPromise(): boolean {
    return this.next === undefined && this.entry.isPromise;
  }

  override get waitsFor(): Waiting | undefined {
    return this.next ?? (this.entry.isPromise ? this : undefined);
  }

  override remote(connection: Protocol): RemoteTarget | undefined {
    const isThere = this.next === undefined && connection === this.entry.protocol;
    return isThere ? this.entry : undefined;
  }

  protected override deliver(request: CallRequest): void {
    this.entry.protocol.sendCall(this.entry, request);
  }

  override onLeak(): void {
    this.entry.protocol.leaks++;
  }

  /** Takes `target`. */
  resolve(target: Hook): void {
    let end = target;
    // The peer can say that it is something of ours that has turned into this.
    if (shortest(target) === this) {
      target.release();
      end = new BrokenHook(WAITS_FOR_ITSELF);
    }
    this.turnInto(end);
    this.entry.hook = undefined;
    this.notifyWatchers(end);
    this.entry.release();
  }

  protected override abandon(): void {
    this.entry.hook = undefined;
    this.entry.release();
  }
}
