/**
 * Metrics that this worker fetches over HTTP and passes on: of its host, and of what else its
 * operator names.
 */
import type { Worker } from "../api/index.js";
import { logger } from "../console/index.js";

const log = logger("worker");

/** Where Prometheus' node exporter listens. */
export const NODE_EXPORTER = new URL("http://127.0.0.1:9100/metrics");

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** No metrics came from a source; the message is for who asked for them. */
export class MetricSourceFailed extends Error {
  override readonly name = "MetricSourceFailed";
}

/** Fetches metrics; `name` is the source's name in errors. Throws `MetricSourceFailed`. */
export async function fetchMetrics(name: string, url: URL): Promise<Worker.Metrics> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const contentType = response.headers.get("content-type");
    if (!response.ok || contentType === null) {
      await response.body?.cancel();
      throw new MetricSourceFailed(
        response.ok
          ? `Missing Content-Type in HTTP response from ${name}`
          : `${name}: ${response.status} ${response.statusText}`,
      );
    }
    const parts: Uint8Array[] = [];
    let total = 0;
    for await (const part of response.body ?? []) {
      parts.push(part as Uint8Array);
      total += (part as Uint8Array).length;
      if (total > MAX_BYTES) throw new MetricSourceFailed(`${name}: more than ${MAX_BYTES} bytes`);
    }
    return { contentType, data: Buffer.concat(parts).toString() };
  } catch (error) {
    if (error instanceof MetricSourceFailed) {
      log.warn(error.message);
      throw error;
    }
    // What there was to say is one level down in errors of `fetch`.
    const { cause, message } = error as Error;
    const text = `Failed to connect to ${name}`;
    log.warn(`${text}: ${cause instanceof Error ? cause.message : message}`);
    throw new MetricSourceFailed(text, { cause: error });
  }
}
