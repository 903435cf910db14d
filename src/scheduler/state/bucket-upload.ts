/**
 * A stream of files on its way from its worker into an object store.
 *
 * Its parts are put there by the worker itself, with URLs that are signed when they are needed,
 * several at a time; or, if the worker cannot reach the store or does not know how, by the
 * scheduler, which reads them from the worker. A small stream goes in one piece.
 *
 * States: *not begun*; *open*, with a row in the index, and some parts in the store; *whole*, an
 * object. It may be gone on with at any point, also by the scheduler's next process: the store
 * itself says which parts it has.
 */
import { type Bucket, isGone, type UploadedPart } from "../../artefacts/index.js";
import { patiently, send } from "../../artefacts/transfer.js";
import { TransferError } from "../../artefacts/transfer-error.js";
import { type Permits, readAhead } from "../../async/index.js";
import { RpcError } from "../../rpc/index.js";
import type { BucketIndex, OpenStream } from "./bucket-index.js";
import { type Delivery, type OutputCounters, OutputsDamaged } from "./output-store.js";

/** The smallest part, in bytes, and how many an upload has at most: stores allow 10,000. */
const PART = 16 * 1024 ** 2;
const MOST_PARTS = 9000;

/** Parts of a stream that are on their way at a time, by its worker and by the scheduler. */
const AT_ONCE = 4;
const RELAYED_AT_ONCE = 2;

/** After how many failures of a worker to reach a store that is there its files are relayed. */
const UNREACHED_TRIES = 2;
const REACHED_TRIES = 4;

/** How parts that are relayed are read: 2 MiB for each. */
const PACE = { part: 512 * 1024, ahead: 4 };

export interface BucketUploadOptions {
  readonly bucket: Bucket;
  readonly index: BucketIndex;
  readonly delivery: Delivery;
  readonly key: string;
  /** The smallest part, in bytes; default: 16 MiB. */
  readonly part: number | undefined;
  /** For parts that the scheduler relays. */
  readonly relays: Permits;
  readonly received: OutputCounters;
  /** It is known that the worker cannot put anything there. */
  readonly isRelayed: boolean;
  /** That has just turned out. */
  onRelayed(): void;
  onInfo(message: string): void;
}

/** A piece of the stream. */
interface Piece {
  /** From 1 on. */
  readonly part: number;
  readonly start: number;
  readonly length: number;
}

export class BucketUpload {
  /** The worker cannot put anything there. */
  private isRelayed: boolean;
  /** It has put something there. */
  private wasReached = false;

  constructor(private readonly options: BucketUploadOptions) {
    this.isRelayed = options.isRelayed;
  }

  /**
   * Goes on until the object is there, and gives true; or false, if nobody wants it any more.
   * Rejects with an `RpcError` of the worker, with `OutputsDamaged`; and with what the store or the
   * index fails with, and may be called again then.
   */
  async run(): Promise<boolean> {
    const { delivery, index } = this.options;
    const { open, there } = await this.begun();
    try {
      if (open.upload !== "") await this.sendParts(open, there);
      else await this.send(open, { part: 1, start: 0, length: open.size });
    } catch (error) {
      if (isRejected(error)) throw damaged(error);
      // It was completed before, or aborted by somebody: by the bucket's own rules, perhaps.
      if (!isGone(error)) throw error;
      if (await this.isWhole()) return true;
      index.remove(open);
      throw error;
    }
    if (!delivery.isWanted()) return false;
    if (await this.isWhole()) return true;
    throw damaged();
  }

  private async begun(): Promise<Begun> {
    const { bucket, delivery, index, key } = this.options;
    const { attempt, job, size } = delivery;
    const found = index.find(job, attempt);
    if (found?.size === size) {
      if (found.upload === "") return { open: found, there: [] };
      return { open: found, there: await this.partsOf(found) };
    }
    const part = Math.max(this.options.part ?? PART, Math.ceil(size / MOST_PARTS));
    const upload = size <= part ? "" : await bucket.begin(key);
    const open = { job, attempt, size, upload, part };
    index.begin(open);
    return { open, there: [] };
  }

  /** What the store has of an earlier try; nothing if it does not know the upload any more. */
  private async partsOf({ upload }: OpenStream): Promise<readonly UploadedPart[]> {
    const { bucket, key } = this.options;
    try {
      return await bucket.parts(key, upload);
    } catch (error) {
      if (!isGone(error)) throw error;
      return [];
    }
  }

  private async isWhole(): Promise<boolean> {
    const { bucket, delivery, key } = this.options;
    return (await bucket.size(key)) === delivery.size;
  }

  private async sendParts(open: OpenStream, earlier: readonly UploadedPart[]): Promise<void> {
    const { bucket, delivery, key } = this.options;
    const pieces = piecesOf(open);
    const there = new Map<number, Pick<UploadedPart, "part" | "tag">>();
    for (const { part, size, tag } of earlier) {
      if (pieces[part - 1]?.length === size) there.set(part, { part, tag });
    }
    const left = pieces.filter(({ part }) => !there.has(part));
    let failure: { readonly error: unknown } | undefined;
    const lane = async (number: number) => {
      for (let piece = left.shift(); piece; piece = left.shift()) {
        if (!delivery.isWanted() || failure) return;
        try {
          there.set(piece.part, { part: piece.part, tag: await this.send(open, piece) });
        } catch (error) {
          failure ??= { error };
        }
        // The others go on.
        if (this.isRelayed && number >= RELAYED_AT_ONCE) return;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, (_, number) => lane(number)));
    if (failure) throw failure.error;
    if (!delivery.isWanted() || there.size < pieces.length) return;
    await bucket.complete(key, open.upload, [...there.values()]);
  }

  /** Has a piece put there, and gives its tag. */
  private async send({ upload }: OpenStream, piece: Piece): Promise<string> {
    const { bucket, key, received, relays } = this.options;
    const { length, part } = piece;
    const of = upload === "" ? undefined : { upload, part };
    const unreached = { times: 0 };
    return await patiently(async () => {
      const isRelayed = this.isRelayed;
      const url = await bucket.writeUrl({ key, length, of });
      const tag = isRelayed
        ? await relays.run(() => this.relay(url, piece))
        : await this.direct(url, piece, unreached);
      if (tag === "" && of) throw new TransferError(0, "", "the store gave no tag for a part");
      if (!isRelayed) this.wasReached = true;
      received[isRelayed ? "relayed" : "direct"] += length;
      return tag;
    });
  }

  /** @param unreached how often the store was there and its worker has not reached it */
  private async direct(
    url: string,
    { length, start }: Piece,
    unreached: { times: number },
  ): Promise<string> {
    const { delivery } = this.options;
    const answer = await delivery.put(url, start, length).catch((error: RpcError) => {
      if (!(error instanceof RpcError) || error.kind !== "unimplemented") throw error;
      return this.relayNext("does not know how to put files into an object store");
    });
    const { code, message, status, tag } = answer;
    if (status >= 200 && status < 300) return tag;
    // It may just be back; and if nobody reaches it, it is waited for.
    if (status === 0 && (await this.isReachable())) unreached.times++;
    if (unreached.times >= (this.wasReached ? REACHED_TRIES : UNREACHED_TRIES)) {
      this.relayNext(`cannot reach the object store (${message})`);
    }
    throw new TransferError(status, code, message);
  }

  /** From now on the scheduler does it. */
  private relayNext(why: string): never {
    const { delivery, onInfo } = this.options;
    if (!this.isRelayed) {
      onInfo(`The worker of job ${delivery.job} ${why}: its files go through the scheduler`);
    }
    this.isRelayed = true;
    this.options.onRelayed();
    throw new TransferError(0, "", `its worker ${why}`);
  }

  private async isReachable(): Promise<boolean> {
    try {
      await this.options.bucket.probe();
      return true;
    } catch {
      return false;
    }
  }

  private async relay(url: string, { length, start }: Piece): Promise<string> {
    const { delivery } = this.options;
    const read = (from: number, limit: number) => delivery.read(from, limit);
    const body = { length, read: () => readAhead(read, start, start + length, PACE) };
    const { headers } = await send({ method: "PUT", url, body });
    return headers.etag ?? "";
  }
}

/** What an upload that is gone on with begins with. */
interface Begun {
  readonly open: OpenStream;
  readonly there: readonly UploadedPart[];
}

/** Parts are not what their worker has said of them: no matter how often it is tried. */
function isRejected(error: unknown): boolean {
  return (
    error instanceof TransferError &&
    /^(InvalidPart|InvalidPartOrder|EntityTooSmall)$/.test(error.code)
  );
}

function damaged(cause?: unknown): OutputsDamaged {
  return new OutputsDamaged(
    "what came of its files in the object store is not what its worker had",
    {
      cause,
    },
  );
}

function piecesOf({ part: size, size: end }: OpenStream): Piece[] {
  return Array.from({ length: Math.ceil(end / size) }, (_, index) => {
    const start = index * size;
    return { part: index + 1, start, length: Math.min(size, end - start) };
  });
}
