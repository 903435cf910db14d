/**
 * Sending a directory to BuildKit: the sender's half of `moby.filesync.v1.FileSync/DiffCopy`, whose
 * packets are those of github.com/tonistiigi/fsutil (types/wire.proto, types/stat.proto).
 *
 * The sender says what there is, in packets STAT, and after the last of them sends an empty one.
 * Meanwhile the engine asks for the contents of files by packets REQ, with the file's place in that
 * list (from 0). Each is answered by packets DATA, of which the last is empty. When the engine has
 * all it wants it says FIN, and so does the sender. Either can give up, with ERR and a reason.
 *
 *     sender    announcing ── last STAT ──▶ answering ── FIN, and FIN back ──▶ done
 *               answers REQ in both; ERR from either side, or the end of the call, ends it
 *
 * A file is had by its place only, once, and after it was announced: no path ever comes from the
 * engine.
 */
import { unlessAborted } from "../../async/index.js";
import { GRPC_STATUS, type GrpcCall, GrpcError } from "./grpc.js";
import { encodeMessage, Message } from "./protobuf.js";

/** Something in a directory that is sent. */
export interface SyncEntry {
  /**
   * Relative, without `.` and `..`, as bytes. Entries come in order: a directory, what is in it
   * sorted by names, the next.
   */
  readonly path: Buffer;
  /** Type and permissions, as in `st_mode`. */
  readonly mode: number;
  readonly size: bigint;
  /** In ns since 1970. */
  readonly mtime: bigint;
  /** Where a symbolic link leads to, or the path of an earlier entry that is the same file. */
  readonly link?: Buffer | undefined;
  /** The content of a regular file, in pieces of at most 1 MiB. */
  read?(): AsyncIterable<Uint8Array>;
}

const STAT = 0;
const REQ = 1;
const DATA = 2;
const FIN = 3;
const ERR = 4;

/**
 * Sends what `list` lists, until the engine has what it wants. Throws what goes wrong, after it has
 * told the engine.
 */
export async function sendFiles(
  list: (signal: AbortSignal) => AsyncIterable<SyncEntry>,
  call: GrpcCall,
): Promise<void> {
  const sender = new Sender(call);
  try {
    await sender.run(list);
  } catch (error) {
    const reason = Buffer.from((error as Error).message);
    await call.send(encodeMessage({ 1: ERR, 4: reason })).catch(() => {});
    throw error;
  }
}

class Sender {
  /** Announced, and not asked for so far, by their places. */
  readonly #files = new Map<number, SyncEntry>();
  readonly #stop = new AbortController();
  /** Aborted when this is over, however it ended. */
  readonly #over: AbortSignal;
  /** Answers to all requests so far, one after the other. */
  #answered: Promise<void> = Promise.resolve();

  constructor(private readonly call: GrpcCall) {
    this.#over = AbortSignal.any([call.signal, this.#stop.signal]);
  }

  async run(list: (signal: AbortSignal) => AsyncIterable<SyncEntry>): Promise<void> {
    const over = unlessAborted(new Promise<never>(() => {}), this.#over);
    try {
      await Promise.race([over, Promise.all([this.#announce(list), this.#listen()])]);
    } finally {
      this.#stop.abort();
    }
  }

  async #announce(list: (signal: AbortSignal) => AsyncIterable<SyncEntry>): Promise<void> {
    let place = 0;
    for await (const entry of list(this.#over)) {
      if (entry.read) this.#files.set(place, entry);
      place++;
      await this.#send({ 1: STAT, 2: encodeStat(entry) });
    }
    await this.#send({ 1: STAT });
  }

  async #listen(): Promise<void> {
    for await (const bytes of this.call.messages) {
      const packet = new Message(bytes);
      switch (packet.number(1)) {
        case REQ:
          this.#answer(packet.number(3));
          break;
        case FIN:
          await this.#answered;
          await this.#send({ 1: FIN });
          return;
        case ERR:
          throw new Error(`The engine gave up: ${packet.text(4)}`);
        default:
          throw new GrpcError(GRPC_STATUS.unknown, "A packet that only senders send");
      }
    }
    throw new Error("The engine left before it had all files");
  }

  #answer(place: number): void {
    const entry = this.#files.get(place);
    if (!entry) throw new GrpcError(GRPC_STATUS.notFound, `There is no file ${place} to ask for`);
    this.#files.delete(place);
    this.#answered = this.#answered.then(() => this.#sendContent(place, entry));
    this.#answered.catch((error) => this.#stop.abort(error));
  }

  async #sendContent(place: number, entry: SyncEntry): Promise<void> {
    for await (const data of entry.read!()) {
      if (data.length > 0) await this.#send({ 1: DATA, 3: place, 4: data });
    }
    await this.#send({ 1: DATA, 3: place });
  }

  async #send(packet: Parameters<typeof encodeMessage>[0]): Promise<void> {
    this.#over.throwIfAborted();
    await this.call.send(encodeMessage(packet));
  }
}

/** All belongs to root (fields 3 and 4 are 0), as when Docker's own client sends it. */
function encodeStat({ link, mode, mtime, path, size }: SyncEntry): Buffer {
  return encodeMessage({
    1: path,
    2: goMode(mode),
    5: size,
    6: mtime,
    7: link ?? "",
  });
}

/** Permissions are the same in Go's `fs.FileMode`, but types and special bits are elsewhere. */
function goMode(mode: number): number {
  const type = mode & 0o170000;
  let bits = mode & 0o777;
  if (type === 0o040000) bits += 2 ** 31;
  if (type === 0o120000) bits += 2 ** 27;
  if (mode & 0o4000) bits += 2 ** 23;
  if (mode & 0o2000) bits += 2 ** 22;
  if (mode & 0o1000) bits += 2 ** 20;
  return bits;
}
