/**
 * Where the state of a scheduler is, for tests with several schedulers on the same state, one after
 * the other: those before were stopped, or killed.
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { Identity } from "../../src/rpc/index.js";
import { Store } from "../../src/scheduler/state/store.js";
import { Network, type NetworkOptions, type TestClient } from "./network.js";

export class StateHome {
  private directory = "";
  private readonly identity = Identity.ephemeral();
  private current: Network | undefined;

  private constructor() {}

  /** Another one for each test of the file; at its end, nothing is left of it. */
  static forEachTest(): StateHome {
    const home = new StateHome();
    beforeEach(() => {
      home.directory = newDirectory();
    });
    afterEach(async () => {
      await home.network.stop();
      rmSync(home.directory, { recursive: true });
    });
    return home;
  }

  /** Where the state is; another place after `killAndRestart`. */
  get stateDir(): string {
    return this.directory;
  }

  /** The scheduler that runs, with its peers. */
  get network(): Network {
    if (!this.current) throw new Error("there is no scheduler yet");
    return this.current;
  }

  async start(options: NetworkOptions = {}): Promise<Network> {
    const { directory: durable, identity } = this;
    const store = Store.open(join(durable, "scheduler.db"));
    this.current = await Network.start({ durable, store, identity, ...options });
    return this.current;
  }

  /** One without durable jobs. */
  async startWithoutDurable(): Promise<void> {
    this.current = await Network.start();
  }

  /** Stops the scheduler, and starts another one on the same state; alice is connected to it. */
  async restart(options: NetworkOptions = {}): Promise<TestClient> {
    const { secrets } = this.network;
    await this.network.stop();
    return this.startFor(secrets, options);
  }

  /** What is on disk at this moment is all that the next scheduler has. */
  async killAndRestart(): Promise<TestClient> {
    const killed = newDirectory();
    cpSync(this.directory, killed, { recursive: true });
    const { secrets } = this.network;
    await this.network.stop();
    rmSync(this.directory, { recursive: true });
    this.directory = killed;
    return this.startFor(secrets, {});
  }

  private async startFor(
    secrets: ReadonlyMap<string, Uint8Array>,
    options: NetworkOptions,
  ): Promise<TestClient> {
    const network = await this.start(options);
    for (const [id, secret] of secrets) network.secrets.set(id, secret);
    return network.known("alice");
  }
}

function newDirectory(): string {
  return mkdtempSync(join(tmpdir(), "ocluster-durable-"));
}

/**
 * Waits until the scheduler has so much of the log of the first attempt: that is no change of the
 * record.
 */
export function logged(client: TestClient, job: number, bytes: number): Promise<void> {
  const size = async () => (await client.record(job)).attempts[0]?.logSize;
  return expect.poll(size).toBe(bytes);
}
