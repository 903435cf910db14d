/** What each client had of the cluster, by days or weeks, and what it is entitled to. */
import { JobRecords } from "../../api/index.js";
import { isoMoment } from "../../text/index.js";
import type { AgedCache } from "./aged-cache.js";
import type { Cluster } from "./cluster.js";
import { badRequest } from "./errors.js";
import type { Pools } from "./pools.js";

/** How old an answer may be, in ms: the scheduler goes through all records for it. */
const AGE_MS = 30_000;

/** Periods of one answer. */
const MAX_PERIODS = 60;

const DAY = 86_400;

export class Usage {
  constructor(
    private readonly cluster: Cluster,
    private readonly cache: AgedCache,
    private readonly pools: Pools,
  ) {}

  /** @param by length of a period; undefined: all is one. Times are seconds since the epoch. */
  async between(
    since: number | undefined,
    until: number | undefined,
    by: "day" | "week" | undefined,
  ) {
    // Whole minutes, so that who asks a little later has the same.
    const end = until ?? (Math.floor(Date.now() / 60_000) + 1) * 60;
    const begin = since ?? end - 7 * DAY;
    if (end <= begin) throw badRequest("'until' is not after 'since': nothing is between them.");
    const length = by === undefined ? end - begin : by === "day" ? DAY : 7 * DAY;
    if ((end - begin) / length > MAX_PERIODS) {
      throw badRequest(`There would be more than ${MAX_PERIODS} periods: ask for a shorter time.`);
    }
    const spans: [number, number][] = [];
    for (let to = end; to > begin; to -= length) spans.unshift([Math.max(begin, to - length), to]);
    const periods = [];
    for (const [from, to] of spans) periods.push(await this.period(from, to));
    return { periods, rates: await this.rates() };
  }

  private async period(since: number, until: number) {
    const clients = await this.cache.get(`usage ${since} ${until}`, AGE_MS, () =>
      this.cluster.ask((records) => JobRecords.usage(records, since, until), "conflict"),
    );
    const sorted = clients.toSorted((a, b) => b.seconds - a.seconds);
    return { since: isoMoment(since), until: isoMoment(until), clients: sorted };
  }

  /** By pool and client; null to a client. */
  private async rates() {
    if (this.cluster.holder?.role === "client") return null;
    const rates: [string, Record<string, number>][] = [];
    for (const [name, state] of await this.pools.states()) {
      const clients = state?.clients.map(({ id, rate }) => [id, rate] as const) ?? [];
      rates.push([name, Object.fromEntries(clients)]);
    }
    return Object.fromEntries(rates);
  }
}
