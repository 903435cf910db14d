/**
 * What is received, at level 1 of rpc.capnp: each message changes the tables (protocol.ts) and is
 * passed on or answered.
 *
 * A message is decoded and its payload checked before anything is changed. What is wrong with it is
 * thrown: `WireError` for bytes that are no message, `RpcError` for one that makes no sense here or
 * is over a limit. The connection is then aborted with that.
 */
import { RpcError } from "../errors.js";
import { FramePointer } from "../wire/content.js";
import { readDescriptor, readException } from "../wire/decode.js";
import { DESCRIPTOR, MESSAGE, RESOLVE } from "../wire/layout.js";
import { type FrameReader, type StructReader, WireError } from "../wire/reader.js";
import { Importer, unknown } from "./importer.js";
import type { Protocol } from "./protocol.js";
import { ReceivedCalls, type Restore } from "./received-calls.js";
import { ReceivedResolutions } from "./received-resolutions.js";
import { ReceivedReturns } from "./received-returns.js";

export class Incoming {
  private readonly calls: ReceivedCalls;
  private readonly returns: ReceivedReturns;
  private readonly resolutions: ReceivedResolutions;

  constructor(
    private readonly protocol: Protocol,
    restore: Restore,
  ) {
    const importer = new Importer(protocol);
    this.calls = new ReceivedCalls(protocol, importer, restore);
    this.returns = new ReceivedReturns(protocol, importer);
    this.resolutions = new ReceivedResolutions(protocol, importer);
  }

  /** Handles one message. Returns the peer's reason if it was an Abort. */
  handle(frame: FrameReader): RpcError | undefined {
    const message = frame.struct(0, frame.root);
    if (message === undefined) throw new WireError("the message is empty");
    const tag = message.u16(0);
    const body = message.struct(0);
    if (tag === MESSAGE.abort) {
      const { kind, reason } = readException(body);
      return new RpcError(kind, reason);
    }
    if (body === undefined || !this.dispatch(tag, body)) {
      this.protocol.writer.unimplemented(new FramePointer(frame, 0, frame.root).check());
    }
    return undefined;
  }

  /** Returns false for a message that we do not know. */
  private dispatch(tag: number, body: StructReader): boolean {
    switch (tag) {
      case MESSAGE.call:
        return this.calls.call(body);
      case MESSAGE.return:
        this.returns.return(body);
        return true;
      case MESSAGE.finish:
        // `releaseResultCaps` defaults to true: a set bit means false.
        this.protocol.answers.get(body.u32(0))?.finish(!body.bit(32));
        this.protocol.answers.delete(body.u32(0));
        return true;
      case MESSAGE.resolve:
        this.resolutions.resolve(body);
        return true;
      case MESSAGE.release:
        if (!this.protocol.releaseExport(body.u32(0), body.u32(4))) {
          throw unknown("export", body.u32(0));
        }
        return true;
      case MESSAGE.disembargo:
        return this.resolutions.disembargo(body);
      case MESSAGE.bootstrap:
        this.calls.bootstrap(body);
        return true;
      case MESSAGE.unimplemented:
        this.unimplemented(body);
        return true;
      default:
        return false;
    }
  }

  /** The peer did not understand what we sent. */
  private unimplemented(message: StructReader): void {
    const tag = message.u16(0);
    const body = message.struct(0);
    if (body === undefined) throw new WireError("an empty message was not understood");
    if (tag === MESSAGE.bootstrap || tag === MESSAGE.call) {
      const question = this.protocol.questions.get(body.u32(0));
      if (question === undefined || question.isReturned) throw unknown("question", body.u32(0));
      for (const id of question.paramExports) this.protocol.releaseExport(id, 1);
      question.returned(true, true);
      question.result.reject(new RpcError("unimplemented", "the peer does not know this message"));
      question.unlink();
    } else if (tag === MESSAGE.resolve) {
      // It will not use what the promise was resolved to.
      const cap = body.u16(4) === RESOLVE.cap ? body.struct(0) : undefined;
      if (cap === undefined) return;
      const { tag, id } = readDescriptor(cap);
      if (tag === DESCRIPTOR.senderHosted || tag === DESCRIPTOR.senderPromise) {
        if (!this.protocol.releaseExport(id, 1)) throw unknown("export", id);
      }
    } else {
      throw new RpcError("failed", `the peer does not know message ${tag}, which it must`);
    }
  }
}
