/**
 * The way to the scheduler: one connection, made anew when it is lost, as often as it takes.
 *
 * Its states: *away* ⇄ *connected*. Away, attempts are made with growing pauses between them; a
 * call that is made in the meantime waits for the one that gets through. When the capability has
 * been revoked, the connection is given up, so that a new file in its place is read.
 */
import { Scaler } from "../api/index.js";
import { Backoff, Mutex, sleep } from "../async/index.js";
import { CommandFailed, logger } from "../console/index.js";
import { type Capability, RpcError, readCapFile, Vat, watchLiveness } from "../rpc/index.js";

const log = logger("autoscaler");
const rpcLog = logger("capnp-rpc");

/** A frozen scheduler must not leave its autoscaler waiting for ever. */
const LIVENESS = { intervalMs: 30_000, timeoutMs: 30_000 };

/** From the first pause between attempts to the longest, in ms. */
const PAUSES = { minMs: 1000, maxMs: 30_000 };

/** How a scheduler refuses whom it has let in before. */
const REVOKED = "Access has been revoked";

export class SchedulerLink {
  readonly #vat = new Vat({
    log: (level, message) => rpcLog[level === "warning" ? "warn" : level](message),
  });
  readonly #mutex = new Mutex();
  readonly #backoff = new Backoff(undefined, undefined, PAUSES);
  #scaler: Capability | undefined;

  /** @param capFile read anew for each connection, so that it can be replaced */
  constructor(private readonly capFile: string) {}

  /**
   * Connects once. Rejects with a `CommandFailed` if that does not work for a reason that will not
   * pass, with an `RpcError` if it may, and with a `CapFileError`. Resolves with the pools.
   */
  async open(signal: AbortSignal): Promise<string[]> {
    const scaler = await this.#connect(signal);
    try {
      return await Scaler.pools(scaler, { signal });
    } catch (error) {
      if (!(error instanceof RpcError) || error.code !== "wrong-interface") throw error;
      throw new CommandFailed(
        `The capability file "${this.capFile}" is for something else; use a scaler's: ocluster-admin add-scaler NAME prints one.`,
      );
    }
  }

  /** The `Scaler`, connected; for this call only. Throws `signal`'s reason when it is aborted. */
  async use<T>(call: (scaler: Capability) => Promise<T>, signal: AbortSignal): Promise<T> {
    const scaler = await this.#mutex.run(() => this.#connected(signal));
    try {
      return await call(scaler);
    } catch (error) {
      if (error instanceof RpcError && error.message === REVOKED) this.#drop(scaler);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#scaler?.release();
    this.#scaler = undefined;
    await this.#vat.close();
  }

  async #connected(signal: AbortSignal): Promise<Capability> {
    for (;;) {
      if (this.#scaler) return this.#scaler;
      this.#backoff.attempt();
      try {
        const scaler = await this.#connect(signal);
        this.#backoff.succeeded();
        log.info("Connected to the scheduler");
        return scaler;
      } catch (error) {
        signal.throwIfAborted();
        const ms = this.#backoff.failed();
        log.warn(
          `No way to the scheduler (${error}). Will try again in ${(ms / 1000).toFixed(1)}s…`,
        );
        await sleep(ms, signal);
      }
    }
  }

  async #connect(signal: AbortSignal): Promise<Capability> {
    const ref = readCapFile(this.capFile);
    const connection = await this.#vat.connect(ref);
    signal.throwIfAborted();
    watchLiveness(connection, LIVENESS);
    const scaler = connection.bootstrap(ref.id);
    try {
      await scaler.whenResolved();
    } catch (error) {
      scaler.release();
      throw error;
    }
    this.#scaler = scaler;
    scaler.onBroken(() => this.#drop(scaler));
    return scaler;
  }

  #drop(scaler: Capability): void {
    if (this.#scaler !== scaler) return;
    this.#scaler = undefined;
    scaler.release();
  }
}
