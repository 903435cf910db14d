/**
 * The scheduler as a set of services, without its network: what each secret id opens, and the
 * admin's powers.
 *
 *     id of "admin"        → Admin           over everything
 *     id of "pool-NAME"    → Registration    for workers of that pool
 *     a client's secret    → Submission      in that client's name
 *     a scaler's secret    → Scaler          for starting and ending workers
 *     a viewer's secret    → Viewer          of everything
 *
 * The first two are derived from the vat's key, the others are in the database.
 */
import { createHash } from "node:crypto";
import {
  Access as AccessApi,
  Admin,
  Backups as BackupsApi,
  Batches,
  FormerPools as FormerPoolsApi,
  Grants as GrantsApi,
  JobRecords,
  OutputLinks,
  PoolAdmin,
  PoolDirectory,
  Registration,
} from "../../api/index.js";
import { DeferredWork } from "../../async/index.js";
import type { Logger } from "../../console/index.js";
import {
  brokenCapability,
  type Capability,
  type Connection,
  type LivenessOptions,
  RpcError,
  type SturdyRef,
} from "../../rpc/index.js";
import { compareNames, quoted } from "../../text/index.js";
import type { EstimateKind } from "../pool/estimates.js";
import { LearnedEstimates } from "../pool/learned-estimates.js";
import type { SqlitePoolStore } from "../state/pool-store.js";
import type { Store } from "../state/store.js";
import type { Backups } from "./backups.js";
import { BatchDesk } from "./batch-desk.js";
import { type ClientLimits, TicketAccount } from "./client-limits.js";
import { type Access, Clients } from "./clients.js";
import { ClusterPool, type PoolEvents } from "./cluster-pool.js";
import type { DurableJobs } from "./durable-jobs.js";
import { removeDurableJobs } from "./durable-removal.js";
import { FormerPools } from "./former-pools.js";
import { type Grant, Grants } from "./grants.js";
import { JobDesk } from "./job-desk.js";
import type { JobLines } from "./job-lines.js";
import { MemoryRelease } from "./memory-release.js";
import { ClusterPoolAdmin } from "./pool-admin.js";
import { poolSummaries } from "./pool-summary.js";
import { scalerService } from "./scaler.js";
import { submissionService } from "./submissions.js";
import { viewerService } from "./viewer-service.js";

export interface SchedulerOptions {
  /** The names of the pools; at least one. */
  readonly pools: readonly string[];
  readonly store: Store;
  /** The secret id of a service that is not in the database; see `Identity.derivedId`. */
  derivedId(name: string): Uint8Array;
  /** Where a service of this scheduler is found. */
  sturdyRef(id: Uint8Array): SturdyRef;
  readonly clientLimits: ClientLimits;
  readonly liveness: LivenessOptions;
  readonly events: PoolEvents;
  readonly log: Logger;
  /** Is told of each job that has ended; so should `durable` be. */
  readonly lines?: JobLines | undefined;
  /** Undefined: there are no durable jobs. Whoever opened them closes them. */
  readonly durable?: DurableJobs | undefined;
  /** Undefined: none are made. */
  readonly backups?: Backups | undefined;
  /** How long jobs are thought to take; see `pool/estimates.ts`. Default: fixed. */
  readonly estimates?: EstimateKind | undefined;
  /** See `ClusterPoolOptions`. Default: 5 minutes. */
  readonly scaleTarget?: number | undefined;
  /** Seconds since the Unix epoch. */
  readonly clock?: () => number;
}

/** In seconds: a worker that is started for less has hardly begun to be of use. */
export const DEFAULT_SCALE_TARGET = 300;

export class Scheduler {
  /** By name, in the order of names. */
  readonly pools: ReadonlyMap<string, ClusterPool>;
  /** Of which something is kept. */
  readonly formerPools: FormerPools;
  private readonly clients: Clients;
  private readonly grants: Grants;
  /** Services with derived ids, by the id's hash. */
  private readonly services = new Map<string, (connection: Connection | undefined) => Capability>();
  private readonly ticketAccounts = new WeakMap<Connection, TicketAccount>();
  private readonly memory = new MemoryRelease();

  constructor(private readonly options: SchedulerOptions) {
    const { clock = () => Date.now() / 1000, derivedId, clientLimits, log, store } = options;
    this.clients = new Clients(store.sturdyRefs, clientLimits);
    const deferredWork = new DeferredWork((error) => log.error(`Cannot clear up: ${error}`));
    const pools = new Map<string, ClusterPool>();
    const memories = new Map<string, SqlitePoolStore>();
    for (const name of [...options.pools].sort(compareNames)) {
      const { events, liveness } = options;
      const memory = store.pool(name);
      memories.set(name, memory);
      const pool = new ClusterPool({
        name,
        clock,
        store: memory,
        writes: store.writes,
        deferredWork,
        events,
        liveness,
        log,
        lines: options.lines,
        durable: options.durable,
        learned: options.estimates === "learned" ? new LearnedEstimates() : undefined,
        scaleTarget: options.scaleTarget ?? DEFAULT_SCALE_TARGET,
      });
      pools.set(name, pool);
      this.showRated(pool, memory);
      this.addService(derivedId(`pool-${name}`), (connection) =>
        Registration.local({ register: (worker) => pool.register(worker, connection) }),
      );
    }
    this.pools = pools;
    this.grants = new Grants({
      ...{ store, log },
      kinds: {
        scaler: (grant) => scalerService({ grant, pools, log }),
        viewer: (grant) => this.viewer(grant),
      },
      sturdyRef: (secret) => options.sturdyRef(secret),
    });
    this.formerPools = new FormerPools({
      ...{ store, pools, log },
      durable: options.durable,
      onMoved: (name) => {
        memories.get(name)!.reload();
        this.showRated(pools.get(name)!, memories.get(name)!);
      },
    });
    this.addService(derivedId("admin"), (connection) => this.admin(connection));
  }

  /**
   * Takes in the durable jobs on file, as `DurableJobs.start`; to be called before anybody is let
   * in.
   */
  async start(): Promise<void> {
    const { durable, log } = this.options;
    if (!durable) return;
    await durable.start(this);
    this.finishRemovals(durable).catch((error) => {
      if (RpcError.from(error).kind !== "disconnected") {
        log.error(`Jobs of removed clients are not cancelled: ${error}`);
      }
    });
  }

  /** Does what is left to be done of removals of clients, when all jobs are there. */
  private async finishRemovals(durable: DurableJobs): Promise<void> {
    const { log } = this.options;
    await durable.whole;
    for (const client of durable.strangers) {
      log.info(`Client ${quoted(client)} was removed: what it had queued and waiting is cancelled`);
      await this.clearAway(client, false);
    }
  }

  /**
   * The service that a secret id opens, for use through `connection`; owned by the caller. Throws
   * an `RpcError` (failed) if it opens none.
   */
  restore(id: Uint8Array, connection?: Connection): Capability {
    const service = this.services.get(digest(id));
    if (service) return service(connection);
    const access = this.clients.find(id);
    if (access) return this.submission(access, id, connection);
    const granted = this.grants.find(id);
    if (granted) return granted;
    throw UNKNOWN_SERVICE;
  }

  /**
   * Makes a client and returns where its `Submission` is found. Throws an `RpcError` (failed) if
   * the id is taken.
   */
  async addClient(id: string): Promise<SturdyRef> {
    const secret = await this.options.store.writes.run(() => this.clients.add(id));
    this.options.log.info(`Created new submission endpoint for client ${quoted(id)}`);
    return this.options.sturdyRef(secret);
  }

  /**
   * Clients whose rate was set are shown from the start, and not only once they submit something.
   */
  private showRated({ pool }: ClusterPool, memory: SqlitePoolStore): void {
    for (const id of this.clients.list()) if (memory.rate(id) !== 1) pool.client(id);
  }

  isClient(id: string): boolean {
    return this.clients.has(id);
  }

  private async removeClient(id: string, cancelRunning = false): Promise<void> {
    const { store } = this.options;
    await store.writes.run(() => this.clients.remove(id));
    await this.clearAway(id, cancelRunning);
    this.options.log.info(`Removed endpoint for client ${quoted(id)}`);
  }

  /** Cancels what a client has left. */
  private async clearAway(id: string, cancelRunning: boolean): Promise<void> {
    const { durable } = this.options;
    if (durable) await removeDurableJobs(durable, id, cancelRunning);
    for (const pool of this.pools.values()) await pool.removeClient(id, cancelRunning);
    // What is left over goes when it is old.
    await durable?.contexts
      .removeClient(id)
      .catch((error) => this.options.log.warn(`Contexts of ${quoted(id)} stay: ${error}`));
  }

  private admin(connection: Connection | undefined): Capability {
    const { backups, durable, clientLimits } = this.options;
    const where = connection?.description ?? "this process";
    const service: Admin.AdminService = {
      pools: () => [...this.pools.keys()],
      pool: (name) => this.poolAdmin(name),
      addClient: async (id) => this.restore((await this.addClient(id)).id, connection),
      removeClient: (id, cancelRunning) => this.removeClient(id, cancelRunning),
      listClients: () => this.clients.list(),
    };
    const extensions = [
      ...AccessApi.accessMethods(() => ({ kind: "admin", id: "" })),
      ...FormerPoolsApi.formerPoolsMethods(this.formerPools),
      ...GrantsApi.grantsMethods(this.grants),
      ...(backups
        ? BackupsApi.backupsMethods({
            beginBackup: (content, signal) => backups.begin(content, where, signal),
          })
        : []),
      ...PoolDirectory.poolDirectoryMethods({ pools: () => poolSummaries(this.pools.values()) }),
    ];
    if (!durable) return Admin.local(service, extensions);
    const jobs = new JobDesk(durable, clientLimits, null, this.pools);
    const batches = new BatchDesk(durable, clientLimits, null, this.pools);
    return Admin.local(service, [
      ...extensions,
      ...JobRecords.jobRecordsMethods(jobs),
      ...OutputLinks.outputLinksMethods(jobs),
      ...Batches.batchesMethods(batches),
    ]);
  }

  private poolAdmin(name: string): Capability {
    const service = this.poolAdminService(name);
    if (!service) return brokenCapability(new RpcError("failed", "No such pool"));
    return PoolAdmin.local(service);
  }

  private poolAdminService(name: string): ClusterPoolAdmin | undefined {
    const { log } = this.options;
    const pool = this.pools.get(name);
    return pool && new ClusterPoolAdmin({ pool, isClient: (id) => this.isClient(id), log });
  }

  private viewer(grant: Grant): Capability {
    const { pools } = this;
    const { durable, clientLimits } = this.options;
    const watched = (name: string) => this.poolAdminService(name);
    return viewerService({ grant, pools, watched, clientLimits, durable });
  }

  private submission(
    access: Access,
    secret: Uint8Array,
    connection: Connection | undefined,
  ): Capability {
    const { pools } = this;
    const { durable, clientLimits } = this.options;
    const sturdyRef = this.options.sturdyRef(secret);
    const ticketAccount = this.ticketAccountOf(connection);
    return submissionService({ access, pools, sturdyRef, ticketAccount, clientLimits, durable });
  }

  private ticketAccountOf(connection: Connection | undefined): TicketAccount {
    const known = connection && this.ticketAccounts.get(connection);
    if (known) return known;
    const account = new TicketAccount(this.options.clientLimits, this.memory);
    if (connection) this.ticketAccounts.set(connection, account);
    return account;
  }

  private addService(
    id: Uint8Array,
    service: (connection: Connection | undefined) => Capability,
  ): void {
    this.services.set(digest(id), service);
  }
}

/** One for all, as anybody may ask, as often as they like, and each that is kept has its stack. */
const UNKNOWN_SERVICE = new RpcError("failed", "Unknown persistent service ID");

/** Ids are looked up by their hash, so that how long it takes says nothing about them. */
function digest(id: Uint8Array): string {
  return createHash("sha256").update(id).digest("hex");
}
