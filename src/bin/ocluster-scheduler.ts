#!/usr/bin/env node
/**
 * `ocluster-scheduler`: queues jobs and hands them to workers.
 */
import {
  command,
  described,
  directory,
  duration,
  existingDirectory,
  integer,
  list,
  oneOf,
  option,
  type Parser,
  runMain,
  seldom,
  size,
  utf8Name,
  ValueError,
} from "../cli/index.js";
import { feedWatchdog, interruptible, notifyServiceManager, UsageError } from "../console/index.js";
import { DEFAULT_LIMITS } from "../rpc/limits.js";
import { ESTIMATE_KINDS } from "../scheduler/pool/estimates.js";
import { DEFAULT_CLIENT_LIMITS } from "../scheduler/services/client-limits.js";
import { DEFAULT_DURABLE_SETTINGS } from "../scheduler/services/durable-settings.js";
import { writeMoment } from "../text/index.js";
import { address, listenPort } from "./addresses.js";
import { artefactEndpoint, artefactPlace, artefactSettings, keeping } from "./artefact-options.js";
import { rpcFailure } from "./rpc-failure.js";

/** A name that also stands in a file's name. */
const fileName: Parser<string> = (text) => {
  if (/[/\0]/.test(utf8Name(text))) throw new ValueError(`'${text}' must not contain '/'`);
  return text;
};

/** Comma-separated names, each once. */
const names = described(
  (text) => {
    const all = list(fileName)(text);
    const twice = all.find((name, index) => all.indexOf(name) !== index);
    if (twice !== undefined) throw new ValueError(`the name '${twice}' is given twice`);
    return all;
  },
  { meaning: "names, separated by commas" },
);

const DEFAULT_SECRETS_DIR = "./capnp-secrets";

const scheduler = command("ocluster-scheduler", "Queues build jobs and hands them to workers.", [
  "ocluster-scheduler --capnp-secret-key-file=./capnp-secrets/key.pem \\",
  "  --capnp-listen-address=tcp:0.0.0.0:9000 \\",
  "  --capnp-public-address=tcp:cluster.example.org:9000 \\",
  "  --state-dir=/var/lib/ocluster-scheduler --pools=linux-x86_64,linux-arm64",
])
  .addOption(option("--pools <NAMES>", "Pools to provide.", names).makeOptionMandatory())
  .addOption(
    option(
      "--state-dir <DIR>",
      "Where the state is kept; made if it does not exist.",
      directory,
    ).makeOptionMandatory(),
  )
  .addOption(
    option(
      "--capnp-secret-key-file <FILE>",
      'The private key (PEM); made if it does not exist. "": a key that is not kept.',
      String,
    ).makeOptionMandatory(),
  )
  .addOption(
    option("--capnp-listen-address <ADDR>", "Where to listen.", address).makeOptionMandatory(),
  )
  .addOption(
    option(
      "--capnp-public-address <ADDR>",
      "Where others find the scheduler (default: where it listens).",
      address,
    ),
  )
  .option("--capnp-disable-tls", "No encryption, no proof of identity.", false)
  .addOption(
    option("--secrets-dir <DIR>", "Where capability files are put.", existingDirectory).default(
      DEFAULT_SECRETS_DIR,
    ),
  )
  .addOption(
    option("--default-clients <NAMES>", "Clients to make if they do not exist.", names).default(
      [] as string[],
    ),
  )
  .addOption(
    option(
      "--listen-prometheus <[ADDR:]PORT>",
      "Provide metrics over HTTP there; without ADDR, everywhere.",
      listenPort,
    ),
  )
  .addOption(
    seldom(
      option("--probe-interval <TIME>", "Pause between looks at a worker.", duration).default(30),
    ),
  )
  .addOption(
    seldom(
      option("--probe-timeout <TIME>", "A worker silent this long is gone.", duration).default(30),
    ),
  )
  .addOption(
    seldom(
      option("--max-queued-jobs <N>", "Jobs queued per client.", integer({ min: 1 })).default(
        DEFAULT_CLIENT_LIMITS.queuedJobs,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--max-queued-size <SIZE>", "Their descriptions together.", size()).default(
        DEFAULT_CLIENT_LIMITS.queuedBytes,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--max-job-size <SIZE>", "One job's description.", size()).default(
        DEFAULT_CLIENT_LIMITS.jobBytes,
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--max-records-size <SIZE>",
        "Records of one client, ended jobs' too.",
        size(),
      ).default(DEFAULT_CLIENT_LIMITS.recordBytes),
    ),
  )
  .addOption(
    seldom(
      option("--max-logs-size <SIZE>", "Logs of one client's durable jobs.", size()).default(
        DEFAULT_CLIENT_LIMITS.logBytes,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--max-tickets <N>", "Tickets per connection.", integer({ min: 1 })).default(
        DEFAULT_CLIENT_LIMITS.tickets,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--max-relay-size <SIZE>", "Log data that waits for one slow client.", size()).default(
        DEFAULT_LIMITS.outboundAbortBytes,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--max-relay-total <SIZE>", "The same for all clients together.", size()).default(
        DEFAULT_CLIENT_LIMITS.relayTotalBytes,
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--reattach-timeout <TIME>",
        "Lost workers may bring their durable jobs back within it.",
        duration,
      ).default(DEFAULT_DURABLE_SETTINGS.lease),
    ),
  )
  .addOption(
    seldom(
      option(
        "--poison-after <N>",
        "A durable job that loses so many workers fails.",
        integer({ min: 1 }),
      ).default(DEFAULT_DURABLE_SETTINGS.poisonAfter),
    ),
  )
  .addOption(
    seldom(
      option("--keep-jobs <TIME>", "Records of ended jobs.", duration).default(
        DEFAULT_DURABLE_SETTINGS.keepJobs,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--keep-failed <TIME>", "Failed durable jobs can be retried.", duration).default(
        DEFAULT_DURABLE_SETTINGS.keepFailed,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--keep-logs <SIZE>", "Logs of durable jobs together.", size()).default(
        DEFAULT_DURABLE_SETTINGS.keepLogs,
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--artefacts <PLACE>",
        "Where files of jobs' results are kept (default: with the state).",
        artefactPlace,
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--artefacts-endpoint <URL>",
        "The object store (default: AWS_ENDPOINT_URL, or Amazon's).",
        artefactEndpoint,
      ),
    ),
  )
  .addOption(
    seldom(
      option(
        "--artefacts-region <NAME>",
        "Its region (default: AWS_REGION, or us-east-1).",
        String,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--max-output-size <SIZE>", "Files of one job's result.", size()).default(
        DEFAULT_DURABLE_SETTINGS.outputs.limit,
      ),
    ),
  )
  .addOption(
    seldom(option("--keep-outputs <LIMITS>", "How long, how much (default: 7d,100G).", keeping)),
  )
  .addOption(
    seldom(
      option("--max-context-size <SIZE>", "Files of one job's --context.", size()).default(
        DEFAULT_DURABLE_SETTINGS.contexts.size,
      ),
    ),
  )
  .addOption(
    seldom(
      option("--max-client-contexts <SIZE>", "Of all contexts of one client.", size()).default(
        DEFAULT_DURABLE_SETTINGS.contexts.clientSize,
      ),
    ),
  )
  .addOption(
    seldom(option("--keep-contexts <LIMITS>", "How long, how much (default: 7d,50G).", keeping)),
  )
  .addOption(
    seldom(
      option(
        "--estimates <HOW>",
        "How long jobs take: learned from those that ran, or fixed (10 s, 600 s).",
        oneOf(ESTIMATE_KINDS),
      ).default("learned"),
    ),
  )
  .addOption(
    seldom(
      option(
        "--scale-target <TIME>",
        "Workers are wanted so that queues are empty within it.",
        duration,
      ).default(300),
    ),
  )
  .addOption(
    seldom(
      option(
        "--restore <DIR>",
        "Restore a backup of `ocluster-admin backup`, and end.",
        existingDirectory,
      ),
    ),
  )
  .option("--no-backups", "No backups, which have the key in them, for administrators.")
  .option("--no-history", "No records of attached jobs.")
  .option("--log-jobs", "Log a line for each job that has ended, without --verbose, too.", false)
  .action(async (options) => {
    if (options.pools.length === 0) throw new UsageError("option '--pools': no pool is named");
    try {
      existingDirectory(options.secretsDir);
    } catch (error) {
      // The default is not looked at before it is used.
      throw new UsageError(`option '--secrets-dir': ${(error as ValueError).message}`);
    }
    if (options.restore !== undefined) {
      await restore(options.restore, options);
      return;
    }
    const { runScheduler } = await import("../scheduler/main.js");
    await interruptible((signal) => {
      signal.addEventListener("abort", () => notifyServiceManager("STOPPING=1"));
      return runScheduler(
        {
          secretKeyFile: options.capnpSecretKeyFile,
          listen: options.capnpListenAddress,
          publicAddress: options.capnpPublicAddress,
          tls: !options.capnpDisableTls,
          pools: options.pools,
          secretsDir: options.secretsDir,
          stateDir: options.stateDir,
          prometheus: options.listenPrometheus,
          defaultClients: options.defaultClients,
          clientLimits: {
            queuedJobs: options.maxQueuedJobs,
            queuedBytes: options.maxQueuedSize,
            jobBytes: options.maxJobSize,
            recordBytes: options.maxRecordsSize,
            logBytes: options.maxLogsSize,
            tickets: options.maxTickets,
            relayTotalBytes: options.maxRelayTotal,
          },
          durable: {
            lease: options.reattachTimeout,
            poisonAfter: options.poisonAfter,
            keepJobs: options.keepJobs,
            keepFailed: options.keepFailed,
            keepLogs: options.keepLogs,
            history: options.history,
            outputs: {
              place: artefactSettings(options),
              limit: options.maxOutputSize,
              keepAge: options.keepOutputs?.age ?? DEFAULT_DURABLE_SETTINGS.outputs.keepAge,
              keepSize: options.keepOutputs?.size ?? DEFAULT_DURABLE_SETTINGS.outputs.keepSize,
            },
            contexts: {
              size: options.maxContextSize,
              clientSize: options.maxClientContexts,
              keepAge: options.keepContexts?.age ?? DEFAULT_DURABLE_SETTINGS.contexts.keepAge,
              keepSize: options.keepContexts?.size ?? DEFAULT_DURABLE_SETTINGS.contexts.keepSize,
            },
          },
          backups: options.backups,
          estimates: options.estimates,
          scaleTarget: options.scaleTarget,
          logJobs: options.logJobs,
          relayBytes: options.maxRelaySize,
          liveness: {
            intervalMs: options.probeInterval * 1000,
            timeoutMs: options.probeTimeout * 1000,
          },
          onReady: () => {
            notifyServiceManager("READY=1");
            feedWatchdog();
          },
        },
        signal,
      );
    });
  });

/** Where everything goes is said by the options that the scheduler is started with. */
async function restore(
  from: string,
  options: {
    readonly stateDir: string;
    readonly secretsDir: string;
    readonly capnpSecretKeyFile: string;
    readonly artefacts?: { readonly kind: string; readonly directory?: string };
  },
): Promise<void> {
  const { restoreBackup } = await import("../scheduler/restore.js");
  const { capnpSecretKeyFile: secretKeyFile, secretsDir, stateDir } = options;
  const outputs = options.artefacts?.directory;
  const { files, made } = await restoreBackup(
    { from, stateDir, secretKeyFile, secretsDir, outputs },
    (warning) => process.stderr.write(`${warning}\n`),
  );
  process.stdout.write(
    `Restored the backup of ${writeMoment(made)}, ${files} files, into "${stateDir}". ` +
      "Now start the scheduler without --restore.\n",
  );
}

await runMain(scheduler, rpcFailure);
