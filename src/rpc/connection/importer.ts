/**
 * Makes capabilities of the descriptors in messages.
 */
import { BrokenHook, NULL_HOOK } from "../capability/broken.js";
import type { Hook } from "../capability/hook.js";
import { RpcError } from "../errors.js";
import { readPayload, type WirePayload } from "../wire/decode.js";
import { DESCRIPTOR } from "../wire/layout.js";
import type { WireDescriptor } from "../wire/messages.js";
import type { StructReader } from "../wire/reader.js";
import { Import, type Resolution } from "./import.js";
import { overLimit, type Protocol } from "./protocol.js";
import type { RemoteTarget } from "./remote.js";

export class Importer {
  constructor(private readonly protocol: Protocol) {}

  importAll(
    descriptors: readonly WireDescriptor[],
    paths?: ReadonlyMap<number, RemoteTarget>,
  ): readonly Hook[] {
    if (descriptors.length === 0) return NO_HOOKS;
    const hooks: Hook[] = [];
    try {
      for (const descriptor of descriptors) {
        hooks.push(this.import(descriptor, paths?.get(hooks.length)));
      }
    } catch (error) {
      for (const hook of hooks) hook.release();
      throw error;
    }
    return hooks;
  }

  /**
   * The capability that `descriptor` describes. Gives a reference. `path`: where it was called
   * while it was a promise, if it was.
   */
  import({ tag, id, path }: WireDescriptor, embargoPath: RemoteTarget | undefined): Hook {
    const { protocol } = this;
    switch (tag) {
      case DESCRIPTOR.senderHosted:
      case DESCRIPTOR.thirdPartyHosted:
        // Of a third party's capability we use the vine, which leads to it through the peer.
        return this.importFrom(id, false, false);
      case DESCRIPTOR.senderPromise:
        return this.importFrom(id, true, embargoPath !== undefined);
      case DESCRIPTOR.receiverHosted: {
        const entry = protocol.exports.get(id);
        if (entry === undefined) throw unknown("export", id);
        const hook = entry.hook.addRef();
        return embargoPath === undefined
          ? hook
          : protocol.embargo(embargoPath, { export: entry }, hook);
      }
      case DESCRIPTOR.receiverAnswer: {
        const answer = protocol.answers.get(id);
        if (answer === undefined) return new BrokenHook(NO_SUCH_CAPABILITY);
        const hook = answer.result.pipelined(path);
        return embargoPath === undefined
          ? hook
          : protocol.embargo(embargoPath, { answer, path }, hook);
      }
      default:
        return NULL_HOOK.addRef();
    }
  }

  private importFrom(id: number, isPromise: boolean, isUsed: boolean): Hook {
    const { protocol } = this;
    const existing = protocol.imports.get(id);
    if (existing !== undefined) {
      if (existing.isResolved) throw new RpcError("failed", `promise ${id} was resolved already`);
      return existing.mention(isUsed);
    }
    const { imports } = protocol.limits;
    if (protocol.imports.size >= imports) throw overLimit("imports", imports);
    const entry = new Import(protocol, id, isPromise, isUsed);
    protocol.imports.set(id, entry);
    return entry.hook!;
  }

  /**
   * Where calls lead that were sent to something which turned out to be `descriptor`. Holds the
   * import, if it is one.
   */
  resolutionOf({ tag, id, path }: WireDescriptor): Resolution {
    const { protocol } = this;
    switch (tag) {
      case DESCRIPTOR.receiverHosted: {
        const entry = protocol.exports.get(id);
        return entry === undefined ? "nowhere" : { export: entry };
      }
      case DESCRIPTOR.receiverAnswer: {
        const answer = protocol.answers.get(id);
        return answer === undefined ? "nowhere" : { answer, path };
      }
      case DESCRIPTOR.senderHosted:
      case DESCRIPTOR.senderPromise:
      case DESCRIPTOR.thirdPartyHosted:
        return protocol.imports.get(id)?.addRef() ?? "nowhere";
      default:
        return "nowhere";
    }
  }
}

/** The params or results at `reader`, all of which was followed once. */
export function checkedPayload(reader: StructReader | undefined): WirePayload {
  const payload = readPayload(reader);
  payload.content?.check();
  return payload;
}

export function unknown(what: string, id: number): RpcError {
  return new RpcError("failed", `unknown ${what} ${id}`);
}

const NO_HOOKS: readonly Hook[] = [];

export const NO_SUCH_CAPABILITY = new RpcError(
  "failed",
  "the answer that was called held no capabilities, or is released already",
);
