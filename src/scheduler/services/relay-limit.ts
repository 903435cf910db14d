/**
 * Log data that waits for slow readers, of all connections together: each has a bound of its own,
 * but whoever may open one connection may open many.
 */
import type { Logger } from "../../console/index.js";
import { type Connection, RpcError } from "../../rpc/index.js";

/**
 * How often is looked, in ms. What comes in meanwhile, some hundred megabytes at worst, is over the
 * bound.
 */
const INTERVAL_MS = 1000;

export class RelayLimit {
  private readonly connections = new Set<Connection>();
  private readonly timer: NodeJS.Timeout;

  /** @param limit in bytes */
  constructor(
    private readonly limit: number,
    private readonly log: Logger,
  ) {
    this.timer = setInterval(() => this.check(), INTERVAL_MS).unref();
  }

  /** Includes a connection until it ends. To include it again changes nothing. */
  watch(connection: Connection): void {
    if (this.connections.has(connection)) return;
    this.connections.add(connection);
    connection.onDisconnect(() => this.connections.delete(connection));
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Ends the connections that most waits for, until the rest is within the bound. */
  check(): void {
    const waiting: { readonly connection: Connection; readonly bytes: number }[] = [];
    let total = 0;
    for (const connection of this.connections) {
      const bytes = connection.stats().outboundBytes;
      if (bytes === 0) continue;
      waiting.push({ connection, bytes });
      total += bytes;
    }
    if (total <= this.limit) return;
    waiting.sort((a, b) => b.bytes - a.bytes);
    for (const { connection, bytes } of waiting) {
      if (total <= this.limit) break;
      const reason =
        `${total} bytes wait for peers that do not read, ${bytes} of them for this one; ` +
        `the limit for all together is ${this.limit}`;
      this.log.warn(`Closing the connection with ${connection.description}: ${reason}`);
      connection.close(new RpcError("overloaded", reason));
      total -= bytes;
    }
  }
}
