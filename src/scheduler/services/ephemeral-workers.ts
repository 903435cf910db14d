/**
 * Workers whose names do not come back, as a new one is made for each machine or container: they
 * are forgotten once they are gone.
 *
 * The states of one: *connected*; when it has disconnected, *awaited* for as long as it may still
 * run durable jobs and bring them back; then *departed*: forgotten, and for a while on a list, so
 * that who has started it sees that it was there. When it comes back in time it is *connected*
 * again.
 */

/** How many are on that list, and for how long, in ms: some looks of who has started them. */
const DEPARTED = 1000;
const DEPARTED_MS = 600_000;

/** Where it is kept which workers are such. What is kept of one goes with it, hints included. */
export interface EphemeralStore {
  ephemeralWorkers(): readonly string[];
  /** Makes a known worker one of these. Throws a `StoreError`. */
  setEphemeral(worker: string): void;
}

export interface EphemeralWorkersOptions {
  /** How many durable jobs a worker that has disconnected may still run. */
  attemptsOn(worker: string): number;
  isConnected(worker: string): boolean;
  /**
   * Forgets one, and that it was one of these. Resolves with whether it is: not if it has come back
   * meanwhile. Rejects if that cannot be written.
   */
  forget(worker: string): Promise<boolean>;
  /** For how long attempts of a worker that is out of touch are waited for, in ms. */
  readonly leaseMs: number;
  /** After how many ms what could not be written is tried again; by default a minute. */
  readonly retryMs?: number;
  onError(worker: string, error: unknown): void;
}

/**
 * A moment, in ms: when the scheduler stops, all workers disconnect, and are not to be forgotten
 * for it; and attempts are given up a little later than their lease is over.
 */
const MOMENT_MS = 1000;

/** See `retryMs`. */
const RETRY_MS = 60_000;

/**
 * The longest time that Node's timers can wait, in ms. What is to last longer is looked at then.
 */
const LONGEST_MS = 2 ** 31 - 1;

export class EphemeralWorkers {
  private readonly names: Set<string>;
  private readonly clocks = new Map<string, NodeJS.Timeout>();
  private readonly gone: { readonly name: string; readonly at: number }[] = [];

  /** @param known those that were so when the scheduler stopped */
  constructor(
    private readonly options: EphemeralWorkersOptions,
    known: Iterable<string>,
  ) {
    this.names = new Set(known);
  }

  /** Looks after those that have not come back since the scheduler was started. */
  start(): void {
    for (const name of this.names) this.await(name, this.options.leaseMs + MOMENT_MS);
  }

  has(name: string): boolean {
    return this.names.has(name);
  }

  add(name: string): void {
    this.names.add(name);
  }

  /** A worker, perhaps one of these, has disconnected. */
  disconnected(name: string): void {
    if (!this.names.has(name)) return;
    const { attemptsOn, leaseMs } = this.options;
    this.await(name, attemptsOn(name) === 0 ? MOMENT_MS : leaseMs + MOMENT_MS);
  }

  /** Those that were forgotten in the last minutes, the oldest first. */
  get departed(): string[] {
    const since = performance.now() - DEPARTED_MS;
    while (this.gone.length > 0 && this.gone[0]!.at < since) this.gone.shift();
    return this.gone.map(({ name }) => name);
  }

  private await(name: string, ms: number): void {
    clearTimeout(this.clocks.get(name));
    const look = () => {
      this.clocks.delete(name);
      if (this.options.isConnected(name)) return;
      if (this.options.attemptsOn(name) > 0) this.await(name, MOMENT_MS);
      else void this.forget(name);
    };
    this.clocks.set(name, setTimeout(look, Math.min(ms, LONGEST_MS)).unref());
  }

  private async forget(name: string): Promise<void> {
    const { forget, onError, retryMs = RETRY_MS } = this.options;
    try {
      // When it disconnects again, it is looked at again.
      if (!(await forget(name))) return;
      this.names.delete(name);
      this.gone.push({ name, at: performance.now() });
      if (this.gone.length > DEPARTED) this.gone.shift();
    } catch (error) {
      onError(name, error);
      this.await(name, retryMs);
    }
  }
}
