/**
 * What a worker offers to the scheduler, besides running jobs: its metrics, and to update itself.
 */
import { type Capability, type MethodEntry, method, RpcError, serve } from "../rpc/index.js";
import { type CallOptions, done, resultOf } from "./calls.js";
import {
  AdditionalMetric_Which,
  Worker_MetricsSource,
  Worker$Client,
} from "./generated/ocluster.js";

const [METRICS, SELF_UPDATE, ADDITIONAL_METRIC] = Worker$Client.methods;

/** `agent`: of the worker itself. `host`: of the machine it runs on. */
export type MetricsSource = "agent" | "host";

const SOURCES: readonly MetricsSource[] = ["agent", "host"];

/** Metrics as an HTTP server would give them. */
export interface Metrics {
  readonly contentType: string;
  readonly data: string;
}

export interface WorkerService {
  metrics(source: MetricsSource): Promise<Metrics>;
  /** Another source of metrics by its name; null if there is none of that name. */
  additionalMetric(name: string): Promise<Metrics | null>;
  /**
   * Finishes what runs, then restarts. Never answers: the connection breaks. Fails if it cannot be
   * done.
   */
  selfUpdate(): Promise<void>;
}

/** `extensions`: methods of further interfaces that the object has. */
export function local(service: WorkerService, extensions: readonly MethodEntry[] = []): Capability {
  return serve("Worker", [
    method(METRICS, async (call) => {
      const source = SOURCES[call.params.source];
      if (source === undefined) throw new RpcError("failed", "Unknown metrics source");
      const { contentType, data } = await service.metrics(source);
      const results = call.results();
      results.contentType = contentType;
      results.data = data;
    }),
    method(ADDITIONAL_METRIC, async (call) => {
      const metrics = await service.additionalMetric(call.params.source);
      const metric = call.results()._initMetric();
      if (metrics === null) {
        metric.notReported = true;
      } else {
        const found = metric._initMetric();
        found.contentType = metrics.contentType;
        found.data = metrics.data;
      }
    }),
    method(SELF_UPDATE, () => service.selfUpdate()),
    ...extensions,
  ]);
}

/** See `WorkerService.metrics`. */
export function metrics(
  worker: Capability,
  source: MetricsSource,
  options?: CallOptions,
): Promise<Metrics> {
  const call = worker.call(
    METRICS,
    (params) => {
      params.source = source === "agent" ? Worker_MetricsSource.AGENT : Worker_MetricsSource.HOST;
    },
    options,
  );
  return resultOf(call, ({ contentType, data }) => ({ contentType, data }));
}

/** See `WorkerService.additionalMetric`. */
export function additionalMetric(
  worker: Capability,
  name: string,
  options?: CallOptions,
): Promise<Metrics | null> {
  const call = worker.call(
    ADDITIONAL_METRIC,
    (params) => {
      params.source = name;
    },
    options,
  );
  return resultOf(call, ({ metric }) => {
    if (metric.which() !== AdditionalMetric_Which.METRIC) return null;
    const { contentType, data } = metric.metric;
    return { contentType, data };
  });
}

/**
 * Tells the worker to restart itself. To be expected is that it rejects as "disconnected" once the
 * worker does.
 */
export function selfUpdate(worker: Capability, options?: CallOptions): Promise<void> {
  return done(worker.call(SELF_UPDATE, undefined, options));
}
