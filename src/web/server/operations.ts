/**
 * What takes long, and was asked for here: draining and updating workers. Each goes on whether its
 * page stays or not, and is remembered for a while.
 *
 *     running ──done──▶ done
 *        └──refused, or the scheduler is gone──▶ failed
 */
import { PoolAdmin } from "../../api/index.js";
import { isoMoment } from "../../text/index.js";
import type { Cluster } from "./cluster.js";
import { ApiError, tooMany } from "./errors.js";
import { WEB_LIMITS } from "./limits.js";

/** Operations that are remembered. */
const MAX_KEPT = 100;

export type OperationKind = "drain" | "update";

interface Operation {
  readonly id: number;
  readonly kind: OperationKind;
  readonly pool: string;
  readonly worker: string;
  state: "running" | "done" | "failed";
  /** For people: how it goes. */
  status: string;
  error: string | null;
  readonly started: string;
  ended: string | null;
}

export class Operations {
  private readonly operations: Operation[] = [];
  private readonly listeners = new Set<() => void>();
  private lastId = 0;

  constructor(private readonly cluster: Cluster) {}

  /** The newest first. */
  get json() {
    return { operations: this.operations.map((one) => ({ ...one })) };
  }

  /** Called when something has changed, until the returned function is. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Begins one. Throws an `ApiError` if it runs already, or too many do. */
  begin(kind: OperationKind, pool: string, worker: string) {
    const running = this.operations.filter(({ state }) => state === "running");
    if (running.length >= WEB_LIMITS.operations)
      throw tooMany("Many workers are being drained: wait.", 30);
    if (running.some((one) => one.kind === kind && one.pool === pool && one.worker === worker)) {
      throw new ApiError("conflict", "That is being done already: see the operations.");
    }
    const operation: Operation = {
      ...{ id: ++this.lastId, kind, pool, worker },
      ...{ state: "running", status: "", error: null },
      ...{ started: isoMoment(Date.now() / 1000), ended: null },
    };
    this.operations.unshift(operation);
    if (this.operations.length > MAX_KEPT) this.operations.pop();
    void this.run(operation);
    this.changed();
    return { ...operation };
  }

  private async run(operation: Operation): Promise<void> {
    const { kind, pool, worker } = operation;
    const report = (status: string): void => {
      operation.status = status.slice(0, 500);
      this.changed();
    };
    const perform = kind === "drain" ? PoolAdmin.drain : PoolAdmin.update;
    try {
      await this.cluster.waitPool(pool, (admin) => perform(admin, worker, report), "conflict");
      operation.state = "done";
    } catch (error) {
      operation.state = "failed";
      operation.error = error instanceof Error ? error.message : String(error);
    }
    operation.ended = isoMoment(Date.now() / 1000);
    this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
