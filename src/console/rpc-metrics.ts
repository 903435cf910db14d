/**
 * What the RPC layer counts, as Prometheus metrics. The names are those of capnp-rpc, as dashboards know them.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import type { ConnectionMetrics } from "../rpc/index.js";

/** Registers the metrics; `connections` tells how many connections there are. The result is for the vat. */
export function rpcMetrics(registry: Registry, connections: () => number): ConnectionMetrics {
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
