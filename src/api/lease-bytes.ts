/**
 * Leases and their ends as bytes, many in one message. There are tens of thousands a second, and as
 * structs of Cap'n Proto each would take longer to write and to read than all else that is done
 * about it.
 *
 *     lease := job (u48) attempt (u32) timeout (f64) batch (u48) client (text) content (bytes)
 *              outputs (text: JSON of an `OutputOrder`; empty: none) [outputLimit (f64)]
 *     end   := job (u48) attempt (u32) cause (u8) begun (u8) seconds (f64) output (text)
 *              reason (text) log (bytes)
 *
 * Numbers are little-endian; texts (UTF-8) and bytes have their length (u32) before them. `cause`
 * is a number of the schema's `Cause`. A client that is empty is that of the lease before.
 */
import { RpcError } from "../rpc/index.js";
import { type Cause, causeFromWire, causeToWire } from "./job-cause.js";
import type { OutputOrder } from "./output-order.js";

/** An attempt, as no other of the same scheduler is called. */
export interface LeaseId {
  readonly job: number;
  readonly attempt: number;
}

/** What the job is: a description as bytes, or a row of a batch. */
export type LeaseContent =
  | { readonly descr: Uint8Array }
  | { readonly batch: number; readonly row: Uint8Array };

export interface Lease extends LeaseId {
  readonly client: string;
  /** Seconds that it may run; 0: any time. */
  readonly timeout: number;
  readonly outputs?: OutputOrder | undefined;
  readonly outputLimit?: number;
  readonly content: LeaseContent;
}

/** How a lease ended. */
export interface LeaseEnd extends LeaseId {
  readonly cause: Cause;
  /** False: it is given back as it came. */
  readonly begun: boolean;
  /** That it ran. */
  readonly seconds: number;
  /** Of one that has succeeded, else "". */
  readonly output: string;
  /** For people; "" if there is nothing to say. */
  readonly reason: string;
  /** All of it. */
  readonly log: Uint8Array;
}

const FIRST_SIZE = 16 * 1024;
const NOTHING = new Uint8Array(0);

/** Puts values one after the other. */
class Writer {
  private buffer = Buffer.allocUnsafe(FIRST_SIZE);
  private length = 0;

  u8(value: number): void {
    const at = this.room(1);
    this.buffer[at] = value;
  }

  u32(value: number): void {
    const at = this.room(4);
    this.buffer.writeUInt32LE(value, at);
  }

  u48(value: number): void {
    const at = this.room(6);
    this.buffer.writeUIntLE(value, at, 6);
  }

  f64(value: number): void {
    const at = this.room(8);
    this.buffer.writeDoubleLE(value, at);
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    const at = this.room(value.length);
    this.buffer.set(value, at);
  }

  text(value: string): void {
    if (value === "") this.u32(0);
    else this.bytes(Buffer.from(value));
  }

  all(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  /** Makes room for so many bytes, and says where they go. The buffer may be another one then. */
  private room(bytes: number): number {
    const at = this.length;
    this.length += bytes;
    if (this.length > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.length, 2 * this.buffer.length));
      this.buffer.copy(larger, 0, 0, at);
      this.buffer = larger;
    }
    return at;
  }
}

/** Takes them out again; what a peer sent may end anywhere. */
class Reader {
  private readonly buffer: Buffer;
  private at = 0;

  /** @param bytes not copied: what `bytes` gives is a part of them */
  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isDone(): boolean {
    return this.at === this.buffer.length;
  }

  u8(): number {
    return this.buffer[this.take(1)]!;
  }

  u32(): number {
    return this.buffer.readUInt32LE(this.take(4));
  }

  u48(): number {
    return this.buffer.readUIntLE(this.take(6), 6);
  }

  f64(): number {
    return this.buffer.readDoubleLE(this.take(8));
  }

  bytes(): Uint8Array {
    const length = this.u32();
    if (length === 0) return NOTHING;
    const from = this.take(length);
    return this.buffer.subarray(from, from + length);
  }

  text(): string {
    const length = this.u32();
    if (length === 0) return "";
    const from = this.take(length);
    return this.buffer.toString("utf8", from, from + length);
  }

  private take(bytes: number): number {
    const { at } = this;
    if (at + bytes > this.buffer.length) {
      throw new RpcError("failed", "These are no leases, or ends of leases: they end too early");
    }
    this.at += bytes;
    return at;
  }
}

export function packLeases(leases: readonly Lease[]): Uint8Array {
  const writer = new Writer();
  let before = "";
  for (const { attempt, client, content, job, outputLimit, outputs, timeout } of leases) {
    writer.u48(job);
    writer.u32(attempt);
    writer.f64(timeout);
    writer.u48("batch" in content ? content.batch : 0);
    writer.text(client === before ? "" : client);
    before = client;
    writer.bytes("batch" in content ? content.row : content.descr);
    writer.text(outputs ? JSON.stringify(outputs) : "");
    if (outputs) writer.f64(outputLimit ?? 0);
  }
  return writer.all();
}

/** @param bytes kept; throws an `RpcError` (failed) if they are no leases */
export function unpackLeases(bytes: Uint8Array): Lease[] {
  const reader = new Reader(bytes);
  const leases: Lease[] = [];
  let client = "";
  while (!reader.isDone) {
    const [job, attempt, timeout, batch] = [reader.u48(), reader.u32(), reader.f64(), reader.u48()];
    client = reader.text() || client;
    const content = reader.bytes();
    const order = reader.text();
    leases.push({
      ...{ job, attempt, timeout, client },
      content: batch === 0 ? { descr: content } : { batch, row: content },
      ...(order !== "" && { outputs: orderOf(order), outputLimit: reader.f64() }),
    });
  }
  return leases;
}

export function packEnds(ends: readonly LeaseEnd[]): Uint8Array {
  const writer = new Writer();
  for (const { attempt, begun, cause, job, log, output, reason, seconds } of ends) {
    writer.u48(job);
    writer.u32(attempt);
    writer.u8(causeToWire(cause));
    writer.u8(begun ? 1 : 0);
    writer.f64(seconds);
    writer.text(output);
    writer.text(reason);
    writer.bytes(log);
  }
  return writer.all();
}

/**
 * @param bytes kept; throws an `RpcError` (failed) if they are no ends, more than `most`, or with
 *   logs of more than `logBytes`
 */
export function unpackEnds(bytes: Uint8Array, most: number, logBytes: number): LeaseEnd[] {
  const reader = new Reader(bytes);
  const ends: LeaseEnd[] = [];
  while (!reader.isDone) {
    if (ends.length === most) throw new RpcError("failed", `One call tells ${most} ends at most`);
    const end = {
      job: reader.u48(),
      attempt: reader.u32(),
      // What a later version may add is none of the worker's own troubles.
      cause: causeFromWire(reader.u8() as Parameters<typeof causeFromWire>[0]) ?? "failed",
      begun: reader.u8() !== 0,
      seconds: reader.f64(),
      output: reader.text(),
      reason: reader.text(),
      log: reader.bytes(),
    };
    if (end.log.length > logBytes) {
      throw new RpcError("failed", `A log that is told with its end has ${logBytes} bytes at most`);
    }
    ends.push(end);
  }
  return ends;
}

const WHEN: readonly string[] = ["success", "failure", "always"] satisfies OutputOrder["when"][];

function orderOf(text: string): OutputOrder {
  const { optional, paths, when } = JSON.parse(text) as OutputOrder;
  if (!Array.isArray(paths) || paths.some((path) => typeof path !== "string")) {
    throw new RpcError("failed", "A lease has no order of files that is one");
  }
  return { paths, when: WHEN.includes(when) ? when : "success", optional: optional === true };
}
