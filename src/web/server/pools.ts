/**
 * The pools as they are, for all who look: they are looked at every few seconds while somebody
 * does, and every ten for the charts of the last hour.
 */
import { PoolDirectory, PoolMonitor } from "../../api/index.js";
import { sleep } from "../../async/index.js";
import type { Logger } from "../../console/index.js";
import type { Cluster } from "./cluster.js";
import { ApiError, schedulerDown } from "./errors.js";
import { PoolHistory, STEP } from "./pool-history.js";
import { type PoolLook, poolDetail, poolJson } from "./pool-json.js";

/** How old what is shown may be, in ms: while somebody looks, it is looked at so often. */
const FRESH_MS = 1500;

export class Pools {
  private looks: ReadonlyMap<string, PoolLook> = new Map();
  private readonly histories = new Map<string, PoolHistory>();
  /** When the looks were taken, in ms; 0: never. */
  private at = 0;
  private coming: Promise<void> | null = null;

  constructor(
    private readonly cluster: Cluster,
    private readonly log: Logger,
  ) {
    cluster.onChange((isTheSame) => {
      if (!isTheSame) this.forget();
    });
  }

  /** Looks at them every ten seconds, until `signal` is aborted. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.cluster.up(signal).catch(() => {});
      if (signal.aborted) return;
      await this.look(FRESH_MS).catch((error) => {
        this.log.debug(`Cannot look at the pools: ${error}`);
      });
      await sleep(STEP * 500, signal).catch(() => {});
    }
  }

  /**
   * All of them. While the scheduler is away, as they were. Rejects with an `ApiError` if they are
   * not known.
   */
  async all() {
    await this.current();
    const pools = [...this.looks.values()].map((look) => poolJson(look, this.historyOf(look)));
    return { pools, age: Math.round((performance.now() - this.at) / 10) / 100 };
  }

  /** One of them, with its last hour. Rejects as `all` does, and if there is none of that name. */
  async one(name: string) {
    const look = await this.named(name);
    const history = this.historyOf(look);
    return { ...poolJson(look, history), history: history.json, detail: poolDetail(look) };
  }

  /** The same for who has the hour already. */
  async pointOf(name: string) {
    const look = await this.named(name);
    const history = this.historyOf(look);
    return { ...poolJson(look, history), point: history.last, detail: poolDetail(look) };
  }

  /** The states of all pools, for what is told of their workers and clients; null to a client. */
  async states(): Promise<ReadonlyMap<string, PoolMonitor.PoolState | null>> {
    await this.current();
    return new Map([...this.looks].map(([name, { state }]) => [name, state]));
  }

  /** What is shown next is to be looked at anew. */
  refresh(): void {
    if (this.at > 0) this.at = Math.max(1, performance.now() - 2 * FRESH_MS);
  }

  private async named(name: string): Promise<PoolLook> {
    await this.current();
    const look = this.looks.get(name);
    if (look) return look;
    const known = [...this.looks.keys()].join(", ");
    throw new ApiError("not_found", `There is no such pool; there is ${known}.`);
  }

  private async current(): Promise<void> {
    const { cluster } = this;
    if (cluster.state.state === "up") await this.look(FRESH_MS);
    else if (this.at === 0) throw schedulerDown(cluster.state.message);
  }

  private async look(ageMs: number): Promise<void> {
    if (this.at > 0 && performance.now() - this.at <= ageMs) return;
    this.coming ??= this.lookNow().finally(() => {
      this.coming = null;
    });
    await this.coming;
  }

  private async lookNow(): Promise<void> {
    const { cluster } = this;
    const at = performance.now();
    const summaries = await cluster.ask((service) => PoolDirectory.pools(service));
    const looks = new Map<string, PoolLook>();
    const isClient = cluster.holder?.role === "client";
    await Promise.all(
      summaries.map(async (summary) => {
        const { name } = summary;
        const state = isClient
          ? null
          : await cluster.askPool(name, (pool) => PoolMonitor.state(pool));
        looks.set(name, { summary, state });
      }),
    );
    const now = Date.now() / 1000;
    this.looks = new Map(summaries.map(({ name }) => [name, looks.get(name)!]));
    this.at = at;
    for (const look of this.looks.values()) {
      const { capacity, queued, running } = look.summary;
      const totals = look.state?.totals ?? null;
      this.historyOf(look).add({ capacity, queued, running, totals }, now);
    }
    for (const name of this.histories.keys()) if (!looks.has(name)) this.histories.delete(name);
  }

  private historyOf({ summary: { name } }: PoolLook): PoolHistory {
    const known = this.histories.get(name);
    if (known) return known;
    const history = new PoolHistory();
    this.histories.set(name, history);
    return history;
  }

  private forget(): void {
    this.looks = new Map();
    this.histories.clear();
    this.at = 0;
  }
}
