/**
 * Commands that take several jobs: what is to be done is done for each, and one that fails keeps no
 * other from it.
 */
import { stderrTerminal } from "../../console/index.js";
import { RpcError } from "../../rpc/index.js";
import { visibleLines } from "../../text/index.js";
import { type FailureKind, JobFailure, kindOfAll, kindOfRefusal, refusalJson } from "../failure.js";
import { writeLines } from "./lines.js";

/** Jobs that are worked on at a time: enough to make up for the way there. */
const AT_ONCE = 32;

/** The jobs that are left to do. `run` may be called again after a connection was lost. */
export class EachJob {
  private readonly left: Set<number>;
  private readonly kinds = new Set<FailureKind>();

  /**
   * @param act resolves to how the job is not as it was wished to be, or to null; rejects with an
   * `RpcError`
   * @param json whether a program reads standard output
   */
  constructor(
    jobs: Iterable<number>,
    private readonly act: (job: number) => Promise<FailureKind | null>,
    private readonly json: boolean,
  ) {
    this.left = new Set(jobs);
  }

  /** Jobs that are not done. */
  get unfinished(): Iterable<number> {
    return this.left;
  }

  /**
   * Works on what is left. Rejects with an `RpcError` if the scheduler is lost or knows no such
   * calls, and with a `JobFailure` without text, when all are done, if one failed or is not as
   * wished.
   */
  async run(): Promise<void> {
    const waiting = [...this.left].values();
    const work = async (): Promise<void> => {
      for (const job of waiting) {
        const kind = await this.one(job);
        if (kind) this.kinds.add(kind);
        this.left.delete(job);
      }
    };
    // All have to be over: what is done once more when this rejects must not be done twice.
    const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, work));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    const kind = kindOfAll(this.kinds);
    if (kind) throw new JobFailure(kind, "");
  }

  private async one(job: number): Promise<FailureKind | null> {
    try {
      return await this.act(job);
    } catch (error) {
      if (!(error instanceof RpcError) || error.kind !== "failed") throw error;
      const kind = kindOfRefusal(error);
      stderrTerminal.line(visibleLines(error.message));
      if (this.json) await writeLines([refusalJson(kind, error.message, { id: job })]);
      return kind;
    }
  }
}
