/**
 * The scheduler under load, end to end over real connections. The load runs in a process of its
 * own; on a machine with two cores it takes one, so jobs per second are those of the slower of the
 * two. What one job costs the scheduler does not depend on that.
 *
 *     npm run bench:scheduler [-- NAME…]     NAME: only what has it in its name
 */
import { type Figures, report } from "./report.js";
import {
  durableQueue,
  durableRecords,
  durableSubmits,
  durableThroughput,
  history,
} from "./scheduler/durable.js";
import { ESTIMATES } from "./scheduler/estimates.js";
import { beScheduler } from "./scheduler/process.js";
import { idleWorkers, latency, logRelay, queued, throughput } from "./scheduler/scenarios.js";

const SCENARIOS: Readonly<Record<string, () => Promise<Figures>>> = {
  "null jobs, TLS": () => throughput(true, 10),
  "null jobs, plain": () => throughput(false, 10),
  latency: () => latency(3000),
  "log in 10 KB chunks": () => logRelay({ chunk: 10_240, chunks: 4000 }),
  "log in 1 MB chunks": () => logRelay({ chunk: 1_000_000, chunks: 400 }),
  "100,000 queued": () => queued(100_000),
  "1,000,000 queued": () => queued(1_000_000),
  "2,000 idle workers": () => idleWorkers(2000, 10),
  "durable submits, 40 outstanding": () => durableSubmits(10, 10),
  "durable submits, 400 outstanding": () => durableSubmits(100, 10),
  "durable null jobs, TLS": () => durableThroughput(10, 1),
  "durable null jobs, TLS, 8 requests each": () => durableThroughput(10, 8),
  "durable null jobs, TLS, many at a time": () => durableThroughput(10, "bulk"),
  "durable, 1,000 queued": () => durableQueue(1000, 10),
  "durable, 1,000,000 queued": () => durableQueue(1_000_000, 10),
  "durable, 1,000,000 on record": () => durableRecords(1_000_000),
  "history of attached null jobs": () => history(10),
  ...ESTIMATES,
};

const [first, ...rest] = process.argv.slice(2);
if (first === "--as-scheduler") {
  await beScheduler(rest[0]!);
} else {
  const wanted = first === undefined ? [] : [first, ...rest];
  for (const [name, measure] of Object.entries(SCENARIOS)) {
    if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
    report(name, await measure());
  }
}
