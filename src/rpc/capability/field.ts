/**
 * A capability of an answer that is not there yet (promise pipelining). Turns into the real one
 * when the answer comes.
 */
import type { Protocol } from "../connection/protocol.js";
import type { RemoteTarget } from "../connection/remote.js";
import type { Path } from "../wire/messages.js";
import { Hook } from "./hook.js";
import type { CallRequest } from "./request.js";
import type { ResultPromise } from "./result.js";
import type { Waiting } from "./waiting.js";

export class FieldHook extends Hook {
  /** Takes a reference to `result`. */
  constructor(
    readonly result: ResultPromise,
    readonly path: Path,
  ) {
    super();
  }

  override get isPromise(): boolean {
    return this.next === undefined;
  }

  override get isUndecided(): boolean {
    return this.next === undefined && !this.result.isRemote;
  }

  override get waitsFor(): Waiting {
    return this.next ?? this.result;
  }

  override remote(connection: Protocol): RemoteTarget | undefined {
    return this.next === undefined ? this.result.remote(connection, this.path) : undefined;
  }

  protected override deliver(request: CallRequest): void {
    this.result.pipeline(this.path, request);
  }

  override onLeak(): void {
    if (this.next === undefined) this.result.onLeak();
    else super.onLeak();
  }

  /**
   * Calls on this go to another place than before, though what it is in the end is not known yet.
   */
  moved(): void {
    this.notifyWatchers(this);
  }

  /** The answer is there, or known to be another one's. Takes `target`. */
  resolve(target: Hook): void {
    this.turnInto(target);
    this.notifyWatchers(target);
    this.result.release();
  }

  protected override abandon(): void {
    this.result.dropField(this);
  }
}
