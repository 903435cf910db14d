/**
 * The scheduler as this program has it: one connection, shared by all who look.
 *
 *     down ──connected, and asked what the capability is──▶ up ──the connection ends──▶ down ──▶ …
 *
 * While it is down it is tried again and again, with pauses that grow. What the capability is may
 * change with an update of the scheduler, and is asked for anew. When its file has another one, the
 * connection is ended, and the next one is made with that.
 */
import { Access, Admin, PoolDirectory, Viewer } from "../../api/index.js";
import {
  Backoff,
  type BackoffRange,
  Condition,
  deferred,
  sleep,
  unlessAborted,
} from "../../async/index.js";
import { withService } from "../../client/index.js";
import { CommandFailed, type Logger } from "../../console/index.js";
import {
  type Capability,
  type Connection,
  RpcError,
  readCapFile,
  type SturdyRef,
} from "../../rpc/index.js";
import { isRevoked, schedulerDown, toApiError } from "./errors.js";
import { FILE_LOOK_MS, fileVersion } from "./file-version.js";
import { WEB_LIMITS } from "./limits.js";
import { Turnstile } from "./turnstile.js";

export type Role = "admin" | "viewer" | "client";

/** What the capability is. */
export interface Holder {
  readonly role: Role;
  /** The client, as far as the scheduler tells. */
  readonly client: string | null;
}

export interface SchedulerState {
  readonly state: "up" | "down";
  /** Seconds since the Unix epoch. */
  readonly since: number;
  readonly message: string | null;
}

/** Pauses between attempts, in ms. */
const EAGER: BackoffRange = { minMs: 500, maxMs: 15_000 };

interface Conversation {
  readonly service: Capability;
  readonly holder: Holder;
  readonly pools: Map<string, Capability>;
}

type Question<T> = (service: Capability, holder: Holder) => Promise<T>;
type PoolQuestion<T> = (pool: Capability) => Promise<T>;

export interface ClusterOptions {
  /** The path of the capability file, and what is in it. */
  readonly capFile: string;
  readonly ref: SturdyRef;
  readonly log: Logger;
  /** Is told when the file has another capability. */
  onReplaced(ref: SturdyRef): void;
  /** How often the file is looked at, in ms. */
  readonly lookMs?: number | undefined;
}

/** What it means that the scheduler says no. */
type Refusal = "not_found" | "conflict";

export class Cluster {
  private conversation: Conversation | null = null;
  private last: Holder | null = null;
  private condition: SchedulerState = { state: "down", since: now(), message: null };
  private readonly turnstile = new Turnstile(WEB_LIMITS.questions, WEB_LIMITS.waitingQuestions);
  private readonly changed = new Condition();
  private hangUp: (() => void) | undefined;
  private readonly listeners = new Set<(isTheSame: boolean) => void>();
  private readonly log: Logger;
  private ref: SturdyRef;
  /** Whether `ref` is another one than that of the last conversation. */
  private isReplaced = false;

  constructor(private readonly options: ClusterOptions) {
    this.log = options.log;
    this.ref = options.ref;
  }

  get state(): SchedulerState {
    return this.condition;
  }

  /** What the capability is, or was when the scheduler was there last; null: not known yet. */
  get holder(): Holder | null {
    return this.last;
  }

  /**
   * Called when it has come or gone; with `false` if what is known of it is to be forgotten, as
   * access was taken away. Until the returned function is called.
   */
  onChange(listener: (isTheSame: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Stays connected until `signal` is aborted. Rejects only if the first attempt fails: with
   * `CommandFailed` or `CapFileError`. `ready` is called once that has succeeded.
   */
  async run(ready: () => void, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(undefined, undefined, EAGER);
    let wasThere = false;
    while (!signal.aborted) {
      backoff.attempt();
      try {
        const { capFile } = this.options;
        const seen = fileVersion(capFile);
        this.adopt(readCapFile(capFile));
        await withService(
          capFile,
          async (service, connection) => {
            const holder = await whoIs(service);
            backoff.succeeded();
            this.begin({ service, holder, pools: new Map() });
            if (!wasThere) ready();
            wasThere = true;
            await this.end(connection, seen, signal);
          },
          { quiet: true, signal, ref: this.ref },
        );
      } catch (error) {
        if (signal.aborted) return;
        if (!wasThere) throw error;
        this.stop(error);
      }
      await sleep(backoff.failed(), signal).catch(() => {});
    }
  }

  /** What the scheduler says. Rejects with an `ApiError`. */
  async ask<T>(question: Question<T>, refused?: Refusal): Promise<T> {
    return await this.turnstile.run(() => this.wait(question, refused));
  }

  /** The same of a question that may take long, as it waits for something to happen. */
  async wait<T>(question: Question<T>, refused: Refusal = "not_found"): Promise<T> {
    const { conversation } = this;
    if (!conversation) throw schedulerDown(this.condition.message);
    try {
      return await question(conversation.service, conversation.holder);
    } catch (error) {
      if (isRevoked(error)) this.hangUp?.();
      throw toApiError(error, refused);
    }
  }

  /** `ask` of a pool's `PoolAdmin`, or to a viewer its `PoolMonitor`. Not for clients. */
  async askPool<T>(name: string, question: PoolQuestion<T>, refused?: Refusal): Promise<T> {
    return await this.turnstile.run(() => this.waitPool(name, question, refused));
  }

  /** `wait` of the same. */
  async waitPool<T>(name: string, question: PoolQuestion<T>, refused?: Refusal): Promise<T> {
    return await this.wait((service, { role }) => {
      // The same for all questions of a conversation: an object of a pool costs the scheduler some.
      const { pools } = this.conversation!;
      let pool = pools.get(name);
      if (!pool) {
        pool = role === "viewer" ? Viewer.pool(service, name) : Admin.pool(service, name);
        pools.set(name, pool);
      }
      return question(pool).catch((error) => {
        if (error instanceof RpcError && error.message === "No such pool") this.forget(name);
        throw error;
      });
    }, refused);
  }

  /** Resolves when it is there. Throws the signal's reason. */
  async up(signal: AbortSignal): Promise<void> {
    while (!this.conversation) await this.changed.wait(signal);
  }

  private forget(pool: string): void {
    this.conversation?.pools.get(pool)?.release();
    this.conversation?.pools.delete(pool);
  }

  /** Takes what the file has now. Returns whether that is another capability. */
  private adopt(ref: SturdyRef): boolean {
    const isOther = !isTheSameCapability(ref, this.ref);
    this.ref = ref;
    if (!isOther) return false;
    this.isReplaced = true;
    this.log.warn(
      "The capability file has another capability: sessions, links and tokens of the old one have " +
        "ended. `ocluster-web -c FILE --link` prints a link",
    );
    this.options.onReplaced(ref);
    return true;
  }

  private begin(conversation: Conversation): void {
    const { holder } = conversation;
    const isTheSame =
      !this.isReplaced &&
      (this.last === null ||
        (this.last.role === holder.role && this.last.client === holder.client));
    this.isReplaced = false;
    this.conversation = conversation;
    this.last = holder;
    this.change({ state: "up", since: now(), message: null }, isTheSame);
    this.log.info(`Connected to the scheduler, as ${holder.role}`);
  }

  /**
   * Rejects with what the conversation ends with. @param seen the version of the file that it was
   * made of
   */
  private async end(connection: Connection, seen: string, signal: AbortSignal): Promise<void> {
    const over = deferred<never>();
    connection.onDisconnect((error) => over.reject(error));
    this.hangUp = () => over.reject(new CommandFailed("Access was revoked"));
    const looks = setInterval(() => {
      if (fileVersion(this.options.capFile) === seen) return;
      if (this.hasOther()) over.reject(new CommandFailed("The capability file was replaced"));
    }, this.options.lookMs ?? FILE_LOOK_MS).unref();
    try {
      await unlessAborted(over.promise, signal);
    } finally {
      clearInterval(looks);
      this.hangUp = undefined;
      for (const pool of this.conversation?.pools.values() ?? []) pool.release();
      this.conversation = null;
    }
  }

  /** Whether another capability is in the file. One that is being written is looked at again. */
  private hasOther(): boolean {
    try {
      return this.adopt(readCapFile(this.options.capFile));
    } catch {
      return false;
    }
  }

  private stop(error: unknown): void {
    const message = error instanceof Error ? error.message.split("\n", 1)[0]! : String(error);
    const cause = error instanceof CommandFailed ? error.cause : error;
    const isAway = cause instanceof RpcError && cause.kind === "disconnected";
    const since = this.condition.state === "up" ? now() : this.condition.since;
    if (this.condition.state === "up") this.log.warn(`The scheduler is away: ${message}`);
    this.change({ state: "down", since, message }, isAway);
  }

  private change(state: SchedulerState, isTheSame: boolean): void {
    this.condition = state;
    this.changed.notify();
    for (const listener of this.listeners) listener(isTheSame);
  }
}

/** Wherever it is found. */
function isTheSameCapability(a: SturdyRef, b: SturdyRef): boolean {
  const bytes = ({ fingerprint }: SturdyRef) => fingerprint ?? new Uint8Array(0);
  return Buffer.compare(a.id, b.id) === 0 && Buffer.compare(bytes(a), bytes(b)) === 0;
}

/** Rejects with an `RpcError`, or with `CommandFailed` if it is a capability of another kind. */
async function whoIs(service: Capability): Promise<Holder> {
  const described = await Access.describe(service).catch(unlessUnimplemented);
  if (described) {
    const { id, kind } = described;
    return { role: kind, client: kind === "client" ? id : null };
  }
  if (await Admin.pools(service).catch(unlessUnimplemented)) return { role: "admin", client: null };
  if (await PoolDirectory.pools(service).catch(unlessUnimplemented)) {
    return { role: "client", client: null };
  }
  throw new CommandFailed(
    "This scheduler is too old to be looked at, or not of this project; or the capability file is " +
      "a pool's. Use admin.cap, a viewer's file (`ocluster-admin add-viewer NAME`) or a client's.",
  );
}

function unlessUnimplemented(error: unknown): undefined {
  if (error instanceof RpcError && error.kind === "unimplemented") return undefined;
  throw error;
}

function now(): number {
  return Date.now() / 1000;
}
