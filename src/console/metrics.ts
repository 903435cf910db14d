/**
 * Metrics that every service has, for Prometheus: how much it logs (a rising number of errors is
 * worth an alert), and what its RPC counts. Names and labels are the reference's and capnp-rpc's,
 * as dashboards know them.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import { entryCounts } from "./log.js";

/** Registers the log's metric. */
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

/**
 * Registers the metrics of RPC; `connections` tells how many there are. The result is for the vat,
 * to be told how many messages came and went.
 */
export function rpcMetrics(registry: Registry, connections: () => number) {
  const registers = [registry];
  new Gauge({
    name: "capnp_net_connections",
    help: "Number of live capnp-rpc connections",
    registers,
    collect() {
      this.set(connections());
    },
  });
  const count = (name: string, help: string) => {
    const counter = new Counter({ name: `capnp_net_messages_${name}_total`, help, registers });
    return (messages: number) => counter.inc(messages);
  };
  return {
    inboundReceived: count("inbound_received", "Total number of messages received"),
    outboundEnqueued: count("outbound_enqueued", "Total number of messages to be transmitted"),
    outboundSent: count("outbound_sent", "Total number of messages transmitted"),
    outboundDropped: count("outbound_dropped", "Total number of messages lost to disconnections"),
  };
}
