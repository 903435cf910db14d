/**
 * Where the stream of an attempt is read: in the object store that the scheduler keeps it in, if
 * there is one and it can be reached from here, else at the scheduler.
 *
 * States: *not known*, before the first part; *direct*, with a link that is asked for anew before
 * it is too old; *relayed*, for good: there is no store, the scheduler is older, or the store has
 * failed.
 */
import { JobRecords, OutputLinks } from "../../api/index.js";
import { patiently, readRange } from "../../artefacts/transfer.js";
import { TransferError } from "../../artefacts/transfer-error.js";
import { readAhead } from "../../async/index.js";
import { logger } from "../../console/index.js";
import type { Capability, RpcError } from "../../rpc/index.js";

/**
 * How it is read at the scheduler: in memory that is 4 MiB, and at a thousand kilometres 200 MB/s.
 */
const RELAYED = { part: 512 * 1024, ahead: 8 };

/** How it is read in a store, where each part is a request: 16 MiB in memory. */
const DIRECT = { part: 4 * 1024 ** 2, ahead: 4 };

/** A store that is not reached within so many ms at first is not waited for. */
const FIRST_MS = 10_000;

/** Of a link's time, what is left for requests to begin. */
const USED = 0.5;

const log = logger("outputs");

export class StreamReader {
  #isRelayed = false;
  #wasReached = false;
  #link: Promise<OutputLinks.OutputLink | undefined> | undefined;
  /** When the link is too old, on the clock of `performance`. */
  #askAt = 0;

  constructor(
    private readonly job: number,
    private readonly attempt: number,
  ) {}

  /** The bytes from one to another. Rejects with an `RpcError`, or a `RangeError`. */
  async *read(records: Capability, from: number, to: number): AsyncGenerator<Uint8Array> {
    // Whether it is relayed is known when it was tried.
    if (!this.#isRelayed) await this.#linkNow(records);
    const pace = this.#isRelayed ? RELAYED : DIRECT;
    yield* readAhead((start, limit) => this.#part(records, start, limit), from, to, pace);
  }

  async #part(records: Capability, start: number, limit: number): Promise<Uint8Array> {
    if (!this.#isRelayed) {
      const data = await this.#direct(records, start, limit);
      if (data) return data;
    }
    const { attempt, job } = this;
    return await JobRecords.readOutputs(records, { job, attempt, start, limit });
  }

  /** Undefined if it is to be relayed. */
  async #direct(
    records: Capability,
    start: number,
    limit: number,
  ): Promise<Uint8Array | undefined> {
    const once = async () => {
      const link = await this.#linkNow(records);
      if (!link) return undefined;
      const options = this.#wasReached ? {} : { stallMs: FIRST_MS };
      const data = await readRange(link.url, start, limit, options);
      this.#wasReached = true;
      return data;
    };
    try {
      return this.#wasReached ? await patiently(once) : await once();
    } catch (error) {
      if (!(error instanceof TransferError)) throw error;
      if (!this.#isRelayed) {
        log.info(`The object store is not used (${error.message}): files come by the scheduler`);
      }
      this.#isRelayed = true;
      return undefined;
    }
  }

  /** A link that is not too old, or none; whoever comes while it is asked for waits for it. */
  async #linkNow(records: Capability): Promise<OutputLinks.OutputLink | undefined> {
    if (performance.now() >= this.#askAt) {
      this.#askAt = Number.POSITIVE_INFINITY;
      this.#link = this.#ask(records).catch((error) => {
        this.#askAt = 0;
        throw error;
      });
    }
    return await this.#link;
  }

  async #ask(records: Capability): Promise<OutputLinks.OutputLink | undefined> {
    const begun = performance.now();
    const { attempt, job } = this;
    const link = await OutputLinks.link(records, job, attempt).catch((error: RpcError) => {
      if (error.kind !== "unimplemented") throw error;
    });
    if (link) this.#askAt = begun + link.seconds * 1000 * USED;
    else this.#isRelayed = true;
    return link ?? undefined;
  }
}
