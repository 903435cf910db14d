/**
 * Figures of durable jobs, in Prometheus' terms. What the book counts anyway is read when somebody
 * asks for it.
 */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { JobState } from "../jobs/types.js";
import type { DurableJobs } from "../services/durable-jobs.js";

/** From a fast disk to one that is about to fail, in seconds. */
const COMMIT_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5];

/** The states that are no ends, as labels. */
const STATES: Readonly<Partial<Record<JobState, string>>> = {
  waiting: "waiting",
  queued: "queued",
  offered: "offered",
  running: "running",
  "out of touch": "out_of_touch",
};

export class DurableMetrics {
  private readonly commits: Histogram;

  constructor(private readonly registry: Registry) {
    this.commits = new Histogram({
      name: "ocluster_records_commit_seconds",
      help: "Time that a commit of records of jobs took, its sync to the disk included",
      buckets: COMMIT_BUCKETS,
      registers: [registry],
    });
  }

  committed(seconds: number): void {
    this.commits.observe(seconds);
  }

  /** Has the figures of these jobs read with each request. */
  watch({ book, contexts, outputs, records, spool }: DurableJobs): void {
    const registers = [this.registry];
    new Gauge({
      name: "ocluster_durable_jobs",
      help: "Durable jobs that have not ended, by state",
      labelNames: ["state"],
      registers,
      collect() {
        for (const [state, label] of Object.entries(STATES)) {
          this.set({ state: label }, book.count(state as JobState));
        }
      },
    });
    new Counter({
      name: "ocluster_durable_jobs_submitted_total",
      help: "Durable jobs submitted",
      registers,
      collect() {
        this.reset();
        this.inc(book.counters.submitted);
      },
    });
    new Counter({
      name: "ocluster_durable_attempts_total",
      help: "Attempts at durable jobs that ended, by outcome",
      labelNames: ["outcome"],
      registers,
      collect() {
        this.reset();
        for (const [outcome, count] of Object.entries(book.counters.attempts)) {
          this.inc({ outcome: outcome.replace(" ", "_") }, count);
        }
      },
    });
    new Counter({
      name: "ocluster_durable_attempts_reattached_total",
      help: "Attempts that went on though their workers had been out of touch",
      registers,
      collect() {
        this.reset();
        this.inc(book.counters.resumed);
      },
    });
    new Gauge({
      name: "ocluster_job_logs_bytes",
      help: "Bytes on disk of logs of durable jobs",
      registers,
      collect() {
        this.set(spool.size);
      },
    });
    new Gauge({
      name: "ocluster_outputs",
      help: "Attempts of which files are kept",
      registers,
      collect() {
        this.set(outputs.count);
      },
    });
    new Gauge({
      name: "ocluster_outputs_bytes",
      help: "Bytes of files of jobs' results that are kept",
      registers,
      collect() {
        this.set(outputs.bytes);
      },
    });
    new Counter({
      name: "ocluster_outputs_received_bytes_total",
      help: "Bytes of files that workers have put into the object store (direct), or sent through the scheduler (relayed)",
      labelNames: ["way"],
      registers,
      collect() {
        this.reset();
        const { direct, relayed } = outputs.received;
        this.inc({ way: "direct" }, direct);
        this.inc({ way: "relayed" }, relayed);
      },
    });
    new Gauge({
      name: "ocluster_contexts_bytes",
      help: "Bytes that are kept of local directories that jobs are built from",
      registers,
      collect() {
        this.set(contexts.bytes);
      },
    });
    new Gauge({
      name: "ocluster_contexts_files",
      help: "Files that are kept of local directories that jobs are built from, each once",
      registers,
      collect() {
        this.set(contexts.files);
      },
    });
    new Gauge({
      name: "ocluster_client_kept_bytes",
      help: "Bytes on disk that count for a client, of records and of logs before they are packed",
      labelNames: ["client", "kind"],
      registers,
      collect() {
        this.reset();
        for (const { client, logs, records: bytes } of records.allUses) {
          this.set({ client, kind: "records" }, bytes);
          this.set({ client, kind: "logs" }, logs);
        }
      },
    });
  }
}
