/** Reads an attempt's log, and knows where it is in it: it can go on with another connection. */
import { type CallOptions, JobRecords } from "../../api/index.js";
import type { Capability } from "../../rpc/index.js";

/** A place in a job's logs. */
export interface LogPosition {
  readonly attempt: number;
  /** Byte of that attempt's log. */
  readonly start: number;
}

export interface ReadOptions extends CallOptions {
  /** Wait for more until the attempt has ended. */
  readonly follow: boolean;
}

/** Takes some of a log. Fulfilled when there is room for more. */
export type LogSink = (data: Uint8Array, attempt: number) => Promise<void>;

export class LogReader {
  readonly attempt: number;
  private position: number;

  constructor(
    private readonly job: number,
    { attempt, start }: LogPosition,
    private readonly sink: LogSink,
  ) {
    this.attempt = attempt;
    this.position = start;
  }

  /** Resolves at the end: of what there is now, or with `follow` for good. Rejects with an `RpcError`. */
  async readAll(records: Capability, { follow, signal }: ReadOptions): Promise<void> {
    const { attempt, job } = this;
    for (;;) {
      const range = { job, attempt, start: this.position, follow };
      const { data, next } = await JobRecords.log(records, range, { signal });
      if (data.length === 0) return;
      this.position = next;
      await this.sink(data, attempt);
    }
  }
}
