/**
 * What a worker counts about itself, for Prometheus. Dashboards know these names, which are the
 * reference's.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry, Summary } from "prom-client";
import type { Worker } from "../api/index.js";
import { logMetrics } from "../console/metrics.js";
import { END_CAUSES, type JobEnd } from "./jobs/ending.js";

export class WorkerMetrics {
  readonly registry = new Registry();
  readonly jobsAccepted: Counter;
  readonly runningJobs: Gauge;
  /** Seconds, by how the job ended. */
  readonly jobTime: Summary<"result">;
  readonly durableAttempts: Gauge;
  readonly durableEnded: Counter<"cause">;
  readonly durableResumed: Counter<"verdict">;
  readonly pushTime: Summary;
  readonly pruneTime: Summary;
  /** Seconds. Not reported before there was one. */
  readonly healthcheckTime: Gauge;
  readonly unhealthy: Gauge;
  readonly cacheHits: Gauge;
  readonly cacheMisses: Gauge;
  /** Per cent. Not reported by a worker without a store, which 0 would make one without room. */
  readonly spaceFree: Gauge;

  constructor() {
    const registers = [this.registry];
    const named = (name: string, help: string) => ({
      name: `ocluster_worker_${name}`,
      help,
      registers,
    });
    const seconds = (name: string, help: string) =>
      new Summary({ ...named(name, help), percentiles: [] });
    collectDefaultMetrics({ register: this.registry });
    logMetrics(this.registry);
    this.jobsAccepted = new Counter(named("jobs_accepted_total", "Jobs accepted"));
    this.runningJobs = new Gauge(named("running_jobs", "Units of capacity in use by running jobs"));
    this.jobTime = new Summary<"result">({
      ...named("job_time_seconds", "Time that jobs ran for"),
      labelNames: ["result"],
      percentiles: [],
    });
    this.durableAttempts = new Gauge(
      named(
        "durable_attempts",
        "Attempts at durable jobs that run, or whose end the scheduler has not stored yet",
      ),
    );
    this.durableEnded = new Counter<"cause">({
      ...named("durable_ended_total", "Attempts at durable jobs that have ended"),
      labelNames: ["cause"],
    });
    this.durableResumed = new Counter<"verdict">({
      ...named(
        "durable_resumed_total",
        "Attempts that the worker still had when it was connected again, by what the scheduler said",
      ),
      labelNames: ["verdict"],
    });
    this.pushTime = seconds("docker_push_time_seconds", "Time spent pushing images");
    this.pruneTime = seconds("docker_prune_time_seconds", "Time spent pruning Docker's images");
    this.healthcheckTime = new Gauge(
      named("healthcheck_time_seconds", "Time that the last health check took"),
    );
    this.unhealthy = new Gauge(named("unhealthy", "1 while the health check fails, else 0"));
    this.cacheHits = new Gauge(named("cache_hits", "OBuilder steps found in the store"));
    this.cacheMisses = new Gauge(named("cache_misses", "OBuilder steps that had to be run"));
    this.spaceFree = new Gauge(
      named("obuilder_space_free", "Free space of OBuilder's store, in %"),
    );
    // Else the first one of a kind would be no increase.
    for (const cause of END_CAUSES) this.durableEnded.inc({ cause }, 0);
    for (const verdict of ["go on", "stop"]) this.durableResumed.inc({ verdict }, 0);
    for (const gauge of [this.healthcheckTime, this.spaceFree]) gauge.remove();
  }

  jobEnded(end: JobEnd, seconds: number): void {
    this.jobTime.observe({ result: end }, seconds);
  }

  /** All of them, in Prometheus' text format 0.0.4. */
  async report(): Promise<Worker.Metrics> {
    return { contentType: this.registry.contentType, data: await this.registry.metrics() };
  }
}
