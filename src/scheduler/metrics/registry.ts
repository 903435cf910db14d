/**
 * The scheduler's own metrics, in Prometheus' terms.
 *
 * What the pools count anyway is read when somebody asks for it; only what would be forgotten is
 * recorded as it happens.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { logMetrics } from "../../console/metrics.js";
import type { ClusterPool, PoolEvents, ScaledMetrics } from "../services/cluster-pool.js";
import type { Outcome } from "../services/worker-session.js";
import { DurableMetrics } from "./durable.js";
import { type MeasuredPool, queueGauges } from "./queue-gauges.js";

/** From "at once" to a night, in seconds. */
const WAIT_BUCKETS = [0.01, 0.1, 1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600];

export class SchedulerMetrics implements PoolEvents {
  readonly registry = new Registry();
  readonly durable = new DurableMetrics(this.registry);
  private readonly wait: Histogram<"pool">;
  private readonly outcomes: Counter<"pool" | "result">;
  private pools: readonly ClusterPool[] = [];
  private measured: readonly MeasuredPool[] = [];

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    logMetrics(this.registry);
    this.wait = new Histogram({
      name: "ocluster_pool_queue_wait_seconds",
      help: "Time from a job's submission until a worker took it",
      labelNames: ["pool"],
      buckets: WAIT_BUCKETS,
      registers,
    });
    this.outcomes = new Counter({
      name: "ocluster_pool_jobs_finished_total",
      help: "Jobs that ended, by result: ok, failed, or disconnected (lost with their worker)",
      labelNames: ["pool", "result"],
      registers,
    });
  }

  started(pool: string, waitedSeconds: number): void {
    this.wait.observe({ pool }, waitedSeconds);
  }

  finished(pool: string, result: Outcome): void {
    this.outcomes.inc({ pool, result });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** All of them, now, in Prometheus' text format. Lets others run in between. */
  async text(): Promise<string> {
    this.measured = this.pools.map((pool) => [pool.name, pool.metrics()]);
    const { measured } = this;
    const pieces = [await this.registry.metrics()];
    for (const piece of queueGauges(measured)) {
      pieces.push(piece);
      await nextTurn();
    }
    return pieces.join("");
  }

  /** Has the figures of these pools read with each request. */
  watch(pools: Iterable<ClusterPool>): void {
    const registers = [this.registry];
    const measured = () => this.measured;
    this.pools = [...pools];

    const counter = (name: string, help: string, read: (metrics: ScaledMetrics) => number) => {
      new Counter({
        name: `ocluster_pool_${name}_total`,
        help,
        labelNames: ["pool"],
        registers,
        collect() {
          this.reset();
          for (const [pool, metrics] of measured()) this.inc({ pool }, read(metrics));
        },
      });
    };
    const gauge = (name: string, help: string, read: (metrics: ScaledMetrics) => number) => {
      new Gauge({
        name: `ocluster_pool_${name}`,
        help,
        labelNames: ["pool"],
        registers,
        collect() {
          for (const [pool, metrics] of measured()) this.set({ pool }, read(metrics));
        },
      });
    };

    new Gauge({
      name: "ocluster_scheduler_pools",
      help: "Number of pools",
      registers,
      collect() {
        this.set(measured().length);
      },
    });
    counter("jobs_submitted", "Jobs submitted", (m) => m.counters.submitted);
    counter("jobs_cancelled", "Jobs cancelled while queued", (m) => m.counters.cancelled);
    counter("jobs_accepted", "Jobs accepted by workers", (m) => m.counters.accepted);
    gauge("jobs_running", "Jobs that workers run", (m) => m.running);
    gauge("workers_connected", "Workers connected", (m) => m.workersConnected);
    gauge("workers_capacity", "Jobs that the connected workers can run", (m) => m.workersCapacity);
    gauge("workers_ready", "Workers waiting for a job", (m) => m.workersReady);
    gauge("workers_paused", "Workers connected but not active", (m) => m.workersPaused);
    gauge(
      "workers_wanted",
      "Workers of the usual capacity that would have the queue empty within --scale-target",
      (m) => m.workersWanted,
    );
  }
}
