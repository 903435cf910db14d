/**
 * The way to what the scheduler keeps of local directories, over any number of connections: while
 * there is none, who reads waits for the next.
 */
import { ContextSource } from "../../api/index.js";
import { Condition, sleep } from "../../async/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { JobFailed } from "../failure.js";

/** How long it waits, in ms, to ask once more who has too much to do. */
const RETRY_MS = 1000;

export class ContextLink {
  private queue: Capability | undefined;
  private readonly changed = new Condition();

  /** The worker has registered: `queue` is how it reaches the scheduler, until `detach`. */
  attach(queue: Capability): void {
    this.queue = queue;
    this.changed.notify();
  }

  detach(queue: Capability): void {
    if (this.queue === queue) this.queue = undefined;
  }

  /**
   * A part of blobs; see `ContextSource`. Throws `JobFailed` if they are not kept, and the signal's
   * reason.
   */
  async read(range: ContextSource.BlobRange, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      signal.throwIfAborted();
      const { queue } = this;
      if (!queue) {
        await this.changed.wait(signal);
        continue;
      }
      try {
        return await ContextSource.read(queue, range, { signal });
      } catch (error) {
        signal.throwIfAborted();
        const { kind, message } = RpcError.from(error);
        if (kind === "disconnected") this.detach(queue);
        else if (kind === "overloaded") await sleep(RETRY_MS, signal);
        else throw new JobFailed(`Cannot fetch the build context: ${message}`, { cause: error });
      }
    }
  }
}
