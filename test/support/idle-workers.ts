/** Workers of a cluster that have registered and do nothing. */
import { expect } from "vitest";
import { Registration, Worker } from "../../src/api/index.js";
import { type Capability, RpcError, readCapFile, Vat } from "../../src/rpc/index.js";
import type { Cluster } from "./cluster.js";

export class IdleWorkers {
  private readonly vats: Vat[] = [];
  private readonly queues: Capability[] = [];

  constructor(private readonly cluster: Cluster) {}

  async add(name: string, selfUpdate?: () => Promise<void>): Promise<void> {
    const vat = new Vat();
    this.vats.push(vat);
    using registration = await vat.import(readCapFile(this.cluster.cap("pool-linux-x86_64")));
    const queue = Registration.register(registration, {
      name,
      capacity: 4,
      worker: Worker.local({
        metrics: async () => ({ contentType: "text/plain", data: "" }),
        additionalMetric: async () => null,
        selfUpdate:
          selfUpdate ??
          (async () => {
            throw new RpcError("failed", "cannot");
          }),
      }),
    });
    this.queues.push(queue);
    await queue.whenResolved();
  }

  /** Hangs up. */
  async removeAllNow(): Promise<void> {
    for (const queue of this.queues.splice(0)) queue.release();
    await Promise.all(this.vats.splice(0).map((vat) => vat.close()));
  }

  /** Hangs up, and waits until the scheduler knows. */
  async removeAll(): Promise<void> {
    await this.removeAllNow();
    await expect.poll(() => this.cluster.show()).toMatch(/registered:\ndisconnected:/);
  }
}
