/**
 * The scheduler as a process: from its options to services on the network, and back to nothing.
 *
 * Life: the key and the databases are opened; the services are made, take in the durable jobs that
 * workers have, and are listened for; the capability files are written, which says to whoever waits
 * for them that the scheduler is there; then nothing but the services' own life until the signal,
 * which begins with taking in the durable jobs that are queued. At the end nobody new is let in,
 * the peers are told, and the databases are closed.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { aborted } from "../async/index.js";
import { describeOnSignal, logger } from "../console/index.js";
import { rpcMetrics } from "../console/metrics.js";
import {
  type Address,
  DEFAULT_LIMITS,
  formatAddress,
  Identity,
  type LivenessOptions,
  RpcError,
  Vat,
  writeCapFile,
} from "../rpc/index.js";
import { makeDirectory } from "../system/index.js";
import { lockState } from "../system/state-lock.js";
import { MetricsServer } from "./metrics/http.js";
import { SchedulerMetrics } from "./metrics/registry.js";
import type { EstimateKind } from "./pool/estimates.js";
import { checkRestored } from "./restore.js";
import { Backups } from "./services/backups.js";
import type { ClientLimits } from "./services/client-limits.js";
import { DurableJobs } from "./services/durable-jobs.js";
import type { DurableSettings } from "./services/durable-settings.js";
import { JobLines } from "./services/job-lines.js";
import { RelayLimit } from "./services/relay-limit.js";
import { Scheduler } from "./services/scheduler.js";
import { BackupCopy, removeLeftBackup } from "./state/backup-copy.js";
import { SCHEDULER_DATABASE, Store } from "./state/store.js";

export interface SchedulerConfig {
  /** A PEM file, made if it does not exist; "": a key that is not kept. */
  readonly secretKeyFile: string;
  readonly listen: Address;
  /** Where peers find the scheduler; undefined: where it listens. */
  readonly publicAddress: Address | undefined;
  readonly tls: boolean;
  /** Names of pools; at least one, none twice. */
  readonly pools: readonly string[];
  /** Where capability files are put. Must exist. */
  readonly secretsDir: string;
  /** Where the database is; made if it does not exist. */
  readonly stateDir: string;
  readonly prometheus: { readonly host: string | undefined; readonly port: number } | undefined;
  /** Clients that are made if they do not exist. */
  readonly defaultClients: readonly string[];
  readonly clientLimits: ClientLimits;
  readonly durable: DurableSettings;
  readonly estimates: EstimateKind;
  /**
   * Within how many seconds the queue of a pool with as many workers as are wanted would be empty.
   */
  readonly scaleTarget: number;
  /** Bytes that may wait for one peer which does not read. */
  readonly relayBytes: number;
  readonly liveness: LivenessOptions;
  /** Whether administrators may have backups, with the key, over the network. */
  readonly backups: boolean;
  /** A line for each job that has ended, at any verbosity but "quiet"; else from "info" on. */
  readonly logJobs?: boolean;
  /** Called when the scheduler listens and its capability files are written. */
  onReady?(): void;
}

const app = logger("application");
const rpcLog = logger("capnp-rpc");
const log = logger("scheduler");

/**
 * Runs until `signal` is aborted. Rejects with an error for the user if the scheduler cannot start.
 */
export async function runScheduler(config: SchedulerConfig, signal: AbortSignal): Promise<void> {
  makeDirectory(config.stateDir, "for the scheduler's state (--state-dir)", 0o755);
  const identity = Identity.loadOrCreate(config.secretKeyFile, (message) => rpcLog.info(message));
  if (config.secretKeyFile === "") log.warn(EPHEMERAL);
  const unlock = lockState(
    {
      program: "scheduler",
      directory: config.stateDir,
      advice: "Stop that one, or start this one with another --state-dir (and --secrets-dir)",
    },
    (warning) => log.warn(warning),
  );
  try {
    checkRestored(config.stateDir);
    const store = Store.open(join(config.stateDir, SCHEDULER_DATABASE), {
      onWarning: (warning) => log.warn(warning.message),
    });
    try {
      const metrics = new SchedulerMetrics();
      const lines = new JobLines(logger("jobs", { always: config.logJobs ?? false }));
      const durable = await DurableJobs.open({
        directory: config.stateDir,
        key: identity.derivedId("job-descriptions"),
        settings: config.durable,
        clientLimits: config.clientLimits,
        log,
        lines,
        onCommit: (seconds) => metrics.durable.committed(seconds),
      });
      try {
        await serveWith({ config, identity, store, durable, lines, metrics }, signal);
      } finally {
        await durable.close();
      }
    } finally {
      store.close();
    }
  } finally {
    unlock();
  }
}

const EPHEMERAL =
  "Without a key file (--capnp-secret-key-file) the descriptions of durable jobs cannot be read after a restart: what is " +
  "queued then will fail";

/** Hosts to listen on, and not to connect to. */
const EVERYWHERE = ["0.0.0.0", "::"];

interface Parts {
  readonly config: SchedulerConfig;
  readonly identity: Identity;
  readonly store: Store;
  readonly durable: DurableJobs;
  readonly lines: JobLines;
  readonly metrics: SchedulerMetrics;
}

async function serveWith(parts: Parts, signal: AbortSignal): Promise<void> {
  const { config, durable, identity, lines, metrics, store } = parts;
  const { clientLimits, liveness, pools, tls } = config;
  let address = config.publicAddress ?? config.listen;
  const backups = config.backups ? await openBackups(parts) : undefined;
  const scheduler = new Scheduler({
    pools,
    store,
    derivedId: (name) => identity.derivedId(name),
    sturdyRef: (id) => vat.sturdyRef({ address, tls }, id),
    clientLimits,
    liveness,
    events: metrics,
    log,
    lines,
    durable,
    backups,
    estimates: config.estimates,
    scaleTarget: config.scaleTarget,
  });
  await scheduler.start();
  // When all is there, for which nobody has to wait. What keeps it from being there ends the
  // scheduler.
  scheduler.formerPools
    .report()
    .catch((error) => log.warn(`Not looked for former pools: ${error}`));
  metrics.watch(scheduler.pools.values());
  metrics.durable.watch(durable);
  const relayLimit = new RelayLimit(clientLimits.relayTotalBytes, log);
  const vat: Vat = new Vat({
    identity,
    restore: (id, connection) => {
      if (connection) relayLimit.watch(connection);
      return scheduler.restore(id, connection);
    },
    metrics: rpcMetrics(metrics.registry, () => vat.connectionCount),
    limits: {
      // A client asks for the log and the result of a job as soon as it has submitted it, and waits
      // for both.
      callsInFlight: Math.max(DEFAULT_LIMITS.callsInFlight, 2 * clientLimits.tickets),
      // Of each it holds the ticket, the promise of the job and the job itself, and may keep the
      // answers they came in.
      exports: Math.max(DEFAULT_LIMITS.exports, 3 * clientLimits.tickets),
      unfinishedAnswers: Math.max(DEFAULT_LIMITS.unfinishedAnswers, 2 * clientLimits.tickets),
      outboundAbortBytes: config.relayBytes,
      outboundCallBytes: Math.min(DEFAULT_LIMITS.outboundCallBytes, config.relayBytes / 2),
    },
    log: (level, message) => rpcLog[level === "warning" ? "warn" : level](message),
  });
  using _ = describeOnSignal(() => vat.dump());
  let metricsServer: MetricsServer | undefined;
  let ready = false;
  try {
    if (config.prometheus) {
      metricsServer = await MetricsServer.listen({
        ...config.prometheus,
        metrics,
        pools: scheduler.pools,
        isReady: () => ready,
        log,
      });
    }
    const listener = await vat.listen(config.listen, { tls });
    address = config.publicAddress ?? listener.address;
    const how = tls ? "(encrypted)" : "UNENCRYPTED";
    rpcLog.info(`Waiting for ${how} connections on ${formatAddress(listener.address)}`);
    if (address.kind === "tcp" && EVERYWHERE.includes(address.host)) {
      log.warn(
        `Capability files will name ${formatAddress(address)}, where nobody on another machine finds the scheduler. ` +
          "Give its address there with --capnp-public-address.",
      );
    }
    await writeCaps(config, scheduler, (name) =>
      vat.sturdyRef({ address, tls }, identity.derivedId(name)),
    );
    ready = true;
    config.onReady?.();
    await Promise.race([aborted(signal), failure(durable.whole)]);
    app.info("Shutting down");
  } finally {
    ready = false;
    relayLimit.stop();
    durable.stop();
    await backups?.stop();
    await vat.close(new RpcError("disconnected", "The scheduler is shutting down"));
    metricsServer?.close();
  }
}

/** Rejects as the promise does, and does not resolve. */
function failure(promise: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => promise.catch(reject));
}

/** Removes what a scheduler has left that was killed while it made one. */
async function openBackups({ config, durable, identity }: Parts): Promise<Backups> {
  const { defaultClients, pools, secretKeyFile, stateDir } = config;
  const names = [
    "admin",
    ...pools.map((pool) => `pool-${pool}`),
    ...defaultClients.map((id) => `submit-${id}`),
  ];
  const sources = {
    stateDir,
    key: secretKeyFile === "" ? undefined : identity.keyPem,
    caps: names.map((name) => ({ name, path: capPath(config, name) })),
    records: durable.records,
    spool: durable.spool,
    outputs: durable.outputs,
  };
  await removeLeftBackup(sources);
  return new Backups({
    make: (content, signal) => BackupCopy.make(sources, content, signal),
    log,
  });
}

/**
 * Not normalized: the log names the directory as it was given, `./capnp-secrets/admin.cap`, which
 * scripts look for.
 */
function capPath({ secretsDir }: SchedulerConfig, name: string): string {
  return `${secretsDir.replace(/\/$/, "")}/${name}.cap`;
}

async function writeCaps(
  config: SchedulerConfig,
  scheduler: Scheduler,
  derived: (name: string) => Parameters<typeof writeCapFile>[1],
): Promise<void> {
  const { defaultClients, pools } = config;
  const pathOf = (name: string) => capPath(config, name);
  const write = (name: string, ref: Parameters<typeof writeCapFile>[1]) => {
    const path = pathOf(name);
    writeCapFile(path, ref);
    app.info(`Wrote capability reference to "${path}"`);
  };
  for (const id of defaultClients) {
    const name = `submit-${id}`;
    if (existsSync(pathOf(name))) continue;
    if (scheduler.isClient(id)) {
      // Its secret is not known here any more, and whoever has the file goes on using it.
      log.warn(
        `Client "${id}" is registered, but there is no "${name}.cap". To make a new one, ` +
          `run: ocluster-admin remove-client ${id}; then restart the scheduler`,
      );
      continue;
    }
    write(name, await scheduler.addClient(id));
  }
  write("admin", derived("admin"));
  for (const pool of pools) write(`pool-${pool}`, derived(`pool-${pool}`));
}
