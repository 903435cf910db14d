/**
 * The lengths of queues as Prometheus' text. There are two lines for each worker and each client,
 * which can be tens of thousands: the library for metrics would keep everybody else waiting while
 * it makes them.
 */
import type { ByPriority, PoolMetrics } from "../pool/pool-metrics.js";
import type { ScaledMetrics } from "../services/cluster-pool.js";

/** The figures of a pool by its name. */
export type MeasuredPool = readonly [pool: string, metrics: ScaledMetrics];

/** How many of a gauge's things are in one piece: it takes a millisecond or so to make. */
const PIECE = 1000;

/** The text in pieces, so that others can run in between. */
export function* queueGauges(pools: readonly MeasuredPool[]): Generator<string, void, void> {
  yield* gauge({
    name: "ocluster_pool_queue_length",
    help: "Jobs in the main queue (incoming) and in workers' own",
    label: "queue",
    pools,
    read: (metrics) => queuesOf(metrics),
  });
  yield* gauge({
    name: "ocluster_scheduler_client_submitted_jobs",
    help: "Jobs queued, by client",
    label: "client",
    pools,
    read: ({ clients }) => clients,
  });
}

const INCOMING = "incoming";

/** A worker may be called as the main queue is: then they are one. */
function* queuesOf({
  incoming,
  workerQueues,
}: PoolMetrics): Generator<readonly [string, ByPriority]> {
  const namesake = workerQueues.get(INCOMING) ?? { high: 0, low: 0 };
  yield [INCOMING, { high: incoming.high + namesake.high, low: incoming.low + namesake.low }];
  for (const queue of workerQueues) if (queue[0] !== INCOMING) yield queue;
}

interface LabelledGauge {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  readonly pools: readonly MeasuredPool[];
  read(metrics: PoolMetrics): Iterable<readonly [string, ByPriority]>;
}

function* gauge({ name, help, label, pools, read }: LabelledGauge): Generator<string, void, void> {
  let text = `\n# HELP ${name} ${help}\n# TYPE ${name} gauge\n`;
  let things = 0;
  for (const [pool, metrics] of pools) {
    const inPool = `pool="${escapeLabel(pool)}"`;
    for (const [thing, { high, low }] of read(metrics)) {
      const series = `${name}{${label}="${escapeLabel(thing)}",${inPool},priority=`;
      text += `${series}"high"} ${high}\n${series}"low"} ${low}\n`;
      if (++things % PIECE !== 0) continue;
      yield text;
      text = "";
    }
  }
  yield text;
}

/** As the text format wants it: https://prometheus.io/docs/instrumenting/exposition_formats/ */
function escapeLabel(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
