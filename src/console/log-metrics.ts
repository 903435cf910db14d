/**
 * How much is logged, as a Prometheus metric: a rising number of errors is worth an alert. The name and the labels are the
 * reference's, as dashboards know them.
 */
import { Counter, type Registry } from "prom-client";
import { entryCounts } from "./log.js";

/** Registers the metric. */
export function logMetrics(registry: Registry): void {
  new Counter({
    name: "prometheus_logs_messages_total",
    help: "Total number of messages logged",
    labelNames: ["level", "src"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { level, source, count } of entryCounts()) this.inc({ level, src: source }, count);
    },
  });
}
