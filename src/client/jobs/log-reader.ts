/** Reads an attempt's log, and knows where it is in it: it can go on with another connection. */
import { type CallOptions, JobRecords } from "../../api/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";

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

  /**
   * Resolves at the end: of what there is now, or with `follow` for good. Rejects with an
   * `RpcError`.
   */
  async readAll(records: Capability, { follow, signal }: ReadOptions): Promise<void> {
    const { attempt, job } = this;
    for (;;) {
      const range = { job, attempt, start: this.position, follow };
      const page = await JobRecords.log(records, range, { signal }).catch(async (error) => {
        if (await this.isShorter(records, error)) return null;
        throw error;
      });
      if (page === null || page.data.length === 0) return;
      const { data, next } = page;
      this.position = next;
      await this.sink(data, attempt);
    }
  }

  /**
   * Whether the log has ended before the place where we are: a scheduler that was killed may have
   * lost what it had shown already, and the worker that could have told it again with it.
   */
  private async isShorter(records: Capability, error: unknown): Promise<boolean> {
    if (!(error instanceof RpcError) || error.kind !== "failed") return false;
    const { attempt, job } = this;
    const end = await JobRecords.log(records, { job, attempt, start: -1, follow: false });
    return end.next < this.position;
  }
}
