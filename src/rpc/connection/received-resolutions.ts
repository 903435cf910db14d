/**
 * What becomes of promises, the peer's and ours: its Resolves, and the Disembargoes that keep the
 * calls on them in order.
 */
import { BrokenHook } from "../capability/broken.js";
import { RpcError } from "../errors.js";
import { readDescriptor, readException, readTarget } from "../wire/decode.js";
import { DESCRIPTOR, DISEMBARGO, RESOLVE } from "../wire/layout.js";
import type { StructReader } from "../wire/reader.js";
import type { Import } from "./import.js";
import { type Importer, unknown } from "./importer.js";
import { overLimit, type Protocol } from "./protocol.js";

export class ReceivedResolutions {
  constructor(
    private readonly protocol: Protocol,
    private readonly importer: Importer,
  ) {}

  resolve(body: StructReader): void {
    const id = body.u32(0);
    const entry = this.protocol.imports.get(id);
    if (body.u16(4) === RESOLVE.exception) {
      const { kind, reason } = readException(body.struct(0));
      if (entry !== undefined) {
        this.checkResolvable(entry);
        entry.resolve("nowhere", new BrokenHook(new RpcError(kind, reason)));
      }
      return;
    }
    const cap = body.struct(0);
    if (body.u16(4) !== RESOLVE.cap || cap === undefined) {
      throw new RpcError("failed", "a promise was resolved to something unknown");
    }
    const descriptor = readDescriptor(cap);
    if (entry === undefined) {
      // Released while the Resolve was on its way.
      this.importer.import(descriptor, undefined).release();
      return;
    }
    this.checkResolvable(entry);
    const { tag } = descriptor;
    const isImport = tag !== DESCRIPTOR.receiverHosted && tag !== DESCRIPTOR.receiverAnswer;
    if (isImport && tag !== DESCRIPTOR.none && descriptor.id === id) {
      throw new RpcError("failed", `promise ${id} was resolved to itself`);
    }
    const { promiseSteps } = this.protocol.limits;
    if (entry.steps >= promiseSteps) throw overLimit("promises for promises", promiseSteps);
    const path = entry.used ? entry : undefined;
    // Nobody here uses the promise itself any more: only what it was resolved to matters, to those
    // who forward to it.
    const target = this.importer.import(descriptor, entry.hook === undefined ? undefined : path);
    if (tag === DESCRIPTOR.senderPromise) {
      const next = this.protocol.imports.get(descriptor.id);
      if (next !== undefined) next.steps = Math.max(next.steps, entry.steps + 1);
    }
    entry.resolve(this.importer.resolutionOf(descriptor), target);
  }

  private checkResolvable(entry: Import): void {
    if (!entry.isPromise || entry.isResolved) {
      throw new RpcError("failed", `import ${entry.id} is not a promise (any more)`);
    }
  }

  /** Returns false for a kind of Disembargo that we do not know. */
  disembargo(body: StructReader): boolean {
    const { protocol } = this;
    const id = body.u32(0);
    const target = readTarget(body.struct(0));
    switch (body.u16(4)) {
      case DISEMBARGO.senderLoopback: {
        const remote =
          target.kind === "export"
            ? protocol.exports.get(target.id)?.target
            : protocol.answers.get(target.id)?.targetAt(target.path);
        if (remote === undefined) {
          throw new RpcError("failed", "a Disembargo for something that does not lead back");
        }
        protocol.writer.disembargo(remote.wire, "receiverLoopback", id);
        return true;
      }
      case DISEMBARGO.receiverLoopback: {
        const embargo = protocol.embargoes.get(id);
        if (embargo === undefined) throw unknown("embargo", id);
        const { promise, hook, next } = embargo;
        protocol.embargoes.delete(id);
        promise.resolve(next === undefined ? hook : protocol.embargo(next.path, next.source, hook));
        promise.release();
        return true;
      }
      default:
        return false;
    }
  }
}
