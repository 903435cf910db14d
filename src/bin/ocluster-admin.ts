#!/usr/bin/env node
/**
 * `ocluster-admin`: administers a scheduler.
 */
import {
  argument,
  command,
  connectOption,
  decimal,
  described,
  duration,
  integer,
  list,
  moment,
  nonEmpty,
  oneOf,
  option,
  program,
  repeatedArgument,
  runMain,
  unabbreviated,
  utf8Name,
  ValueError,
} from "../cli/index.js";
import { CommandFailed, interruptible, UsageError } from "../console/index.js";
import { RpcError } from "../rpc/errors.js";
import type { Capability } from "../rpc/index.js";
import {
  checkSpan,
  jobCommand,
  jobNumber,
  jobsCommand,
  logsCommand,
  recordsCommand,
  recordsOptions,
  runJobs,
} from "./job-commands.js";
import { rpcFailure } from "./rpc-failure.js";
import { toldApart } from "./told-apart.js";

/** A command that has the scheduler's `admin.cap`. */
function adminCommand(name: string, summary: string, examples: readonly string[]) {
  return command(
    name,
    summary,
    examples.map((line) => `ocluster-admin -c admin.cap ${line}`),
  ).addOption(connectOption("admin.cap"));
}

/** Loads what it takes to talk to a scheduler only when it is needed. */
async function withAdmin(
  { connect, verbosity }: { readonly connect: string; readonly verbosity: string },
  use: (admin: Capability) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const { describeRefusal, withService } = await import("../client/index.js");
  const options = { quiet: verbosity === "quiet", ...(signal && { signal }) };
  await withService(connect, use, options).catch((error) => {
    if (!(error instanceof RpcError)) throw error;
    throw new CommandFailed(describeRefusal(error, connect, "an administrator's, admin.cap"));
  });
}

const show = adminCommand("show", "Show information about a scheduler, pool or worker.", [
  "show",
  "show linux-x86_64",
  "show --terse linux-x86_64 my-host",
])
  .option("--terse", "Only names; of a worker, only its state.", false)
  .option("--json", "Print JSON.", false)
  .argument("[POOL]", "The pool; without one, the pools are listed.")
  .argument("[WORKER]", "A worker of the pool.")
  .action((pool, worker, options) =>
    withAdmin(options, async (admin) => {
      const { show } = await import("../admin/index.js");
      await show(admin, pool, worker, options);
    }),
  );

/** A pause that is long enough not to be one look after the other. */
const interval = described((text) => {
  const seconds = duration(text);
  if (seconds < 0.1) throw new ValueError(`invalid value '${text}', expected at least 100ms`);
  return seconds;
}, duration);

const top = adminCommand("top", "Watch a pool: its workers, its queue, its clients.", [
  "top linux-x86_64",
  "top --json --count=10 --interval=5 linux-x86_64",
])
  .addOption(option("--interval <TIME>", "Pause between two looks.", interval).default(1))
  .addOption(
    option("--count <N>", "Print this many looks; without a terminal: 1.", integer({ min: 1 })),
  )
  .option("--once", "The same as --count=1.", false)
  .option("--json", "Print JSON, one line for each look.", false)
  .argument("<POOL>", "The pool.")
  .action((pool, options) =>
    interruptible((signal) =>
      withAdmin(
        options,
        async (admin) => {
          const { top } = await import("../admin/index.js");
          const count = options.once ? 1 : options.count;
          await top(admin, pool, { ...options, count }, signal);
        },
        signal,
      ),
    ),
  );

const explain = adminCommand("explain", "Say why a job does not run, or a worker gets none.", [
  "explain linux-x86_64",
  "explain --client=alice linux-x86_64",
  "explain linux-x86_64 my-host",
  "explain linux-x86_64 17",
])
  .addOption(option("--client <ID>", "About this client's first queued job.", utf8Name))
  .option("--json", "Print JSON.", false)
  .argument("<POOL>", "The pool; without more, about the job that is next.")
  .argument("[WORKER|JOB]", "About a worker of the pool, or a durable job by its number.")
  .action((pool, name, options) =>
    withAdmin(options, async (admin) => {
      const { explain } = await import("../admin/index.js");
      await explain(admin, pool, name, options);
    }),
  );
// "ex" means "exec".
unabbreviated.add(explain);

const addClient = adminCommand("add-client", "Register a client and print its capability.", [
  "add-client alice > alice.cap",
])
  .option("--json", "Print JSON.", false)
  .addArgument(argument("<ID>", "A name for the client.", utf8Name))
  .action((id, options) =>
    withAdmin(options, async (admin) => {
      const { addClient } = await import("../admin/index.js");
      await addClient(admin, id, options.json);
    }),
  );

const removeClient = adminCommand(
  "remove-client",
  "End a client's access, at once, and cancel its queued jobs.",
  ["remove-client alice"],
)
  .argument("<ID>", "The client's name.")
  .option("--cancel-running", "Cancel its running jobs, too; else only queued ones.", false)
  .action((id, options) =>
    withAdmin(options, async (admin) => {
      const { removeClient } = await import("../admin/index.js");
      await removeClient(admin, id, options.cancelRunning);
    }),
  );

const listClients = adminCommand("list-clients", "List the registered clients.", ["list-clients"])
  .option("--json", "Print JSON.", false)
  .action((options) =>
    withAdmin(options, async (admin) => {
      const { listClients } = await import("../admin/index.js");
      await listClients(admin, options.json);
    }),
  );

/** The commands for a kind of capabilities that administrators hand out by name. */
function grantedCommands(kind: GrantKind) {
  const add = adminCommand(`add-${kind}`, `Register a ${kind} and print its capability.`, [
    `add-${kind} ${EXAMPLES[kind]} > ${EXAMPLES[kind]}.cap`,
  ])
    .option("--json", "Print JSON.", false)
    .addArgument(argument("<ID>", `A name for the ${kind}.`, utf8Name))
    .action((id, options) =>
      withAdmin(options, async (admin) => {
        const { addGranted } = await import("../admin/index.js");
        await addGranted(admin, kind, id, options.json);
      }),
    );
  const remove = adminCommand(`remove-${kind}`, `End a ${kind}'s access, at once.`, [
    `remove-${kind} ${EXAMPLES[kind]}`,
  ])
    .argument("<ID>", `The ${kind}'s name.`)
    .action((id, options) =>
      withAdmin(options, async (admin) => {
        const { removeGranted } = await import("../admin/index.js");
        await removeGranted(admin, kind, id);
      }),
    );
  const list = adminCommand(`list-${kind}s`, `List the registered ${kind}s.`, [`list-${kind}s`])
    .option("--json", "Print JSON.", false)
    .action((options) =>
      withAdmin(options, async (admin) => {
        const { listGranted } = await import("../admin/index.js");
        await listGranted(admin, kind, options.json);
      }),
    );
  const commands = [add, remove, list];
  // "add" means "add-client".
  for (const each of commands) unabbreviated.add(each);
  return commands;
}

/** The kinds, and how one may be called. */
const EXAMPLES = { scaler: "autoscaler", viewer: "wall-screen" } as const;
type GrantKind = keyof typeof EXAMPLES;

const setRate = adminCommand("set-rate", "Set how many parallel jobs a client is entitled to.", [
  "set-rate linux-x86_64 alice 2.5",
])
  .argument("<POOL>", "The pool.")
  .argument("<CLIENT>", "The client's name.")
  .addArgument(argument("<RATE>", "Number of parallel jobs.", decimal()))
  .action((pool, client, rate, options) =>
    withAdmin(options, async (admin) => {
      const { setRate } = await import("../admin/index.js");
      await setRate(admin, pool, client, rate);
    }),
  );

const pause = adminCommand("pause", "Give workers no more jobs.", [
  "pause --wait linux-x86_64 my-host",
  "pause --all linux-x86_64",
])
  .alias("pause-worker")
  .option("--all", "All workers of the pool.", false)
  .option("--auto-create", "Also a worker that is not known yet.", false)
  .option("--wait", "Wait until no jobs are running.", false)
  .argument("<POOL>", "The pool.")
  .argument("[WORKER]", "The worker.")
  .action((pool, worker, options) =>
    withAdmin(options, async (admin) => {
      const { setActive } = await import("../admin/index.js");
      await setActive(admin, pool, worker, { ...options, active: false });
    }),
  );

const unpause = adminCommand("unpause", "Let paused workers have jobs again.", [
  "unpause linux-x86_64 my-host",
])
  .alias("unpause-worker")
  .option("--all", "All workers of the pool.", false)
  .option("--auto-create", "Also a worker that is not known yet.", false)
  .argument("<POOL>", "The pool.")
  .argument("[WORKER]", "The worker.")
  .action((pool, worker, options) =>
    withAdmin(options, async (admin) => {
      const { setActive } = await import("../admin/index.js");
      await setActive(admin, pool, worker, { ...options, active: true, wait: false });
    }),
  );

const update = adminCommand(
  "update",
  "Drain and restart workers, so that they update themselves.",
  ["update linux-x86_64"],
)
  .argument("<POOL>", "The pool.")
  .argument("[WORKER]", "The worker; without one, all that are connected.")
  .action((pool, worker, options) =>
    withAdmin(options, async (admin) => {
      const { update } = await import("../admin/index.js");
      await update(admin, pool, worker);
    }),
  );

const forget = adminCommand("forget", "Forget about a worker that will not come back.", [
  "forget linux-x86_64 old-host",
])
  .argument("<POOL>", "The pool.")
  .argument("[WORKER]", "The worker.")
  .action((pool, worker, options) =>
    withAdmin(options, async (admin) => {
      const { forget } = await import("../admin/index.js");
      await forget(admin, pool, worker);
    }),
  );

const movePool = adminCommand("move-pool", "Give a pool what is kept of one that was renamed.", [
  "move-pool x86 linux-x86_64",
])
  .option("--json", "Print JSON.", false)
  .addArgument(argument("<OLD>", "The name that the pool had.", utf8Name))
  .addArgument(argument("<NEW>", "The pool.", utf8Name))
  .action((from, to, options) =>
    withAdmin(options, async (admin) => {
      const { movePool } = await import("../admin/index.js");
      await movePool(admin, from, to, options.json);
    }),
  );

const forgetPool = adminCommand("forget-pool", "Forget what is kept of a pool that was given up.", [
  "forget-pool x86",
])
  .option("--json", "Print JSON.", false)
  .addArgument(argument("<NAME>", "The name that the pool had. Its jobs are cancelled.", utf8Name))
  .action((name, options) =>
    withAdmin(options, async (admin) => {
      const { forgetPool } = await import("../admin/index.js");
      await forgetPool(admin, name, options.json);
    }),
  );
// "fo" means "forget".
unabbreviated.add(forgetPool);

const exec = adminCommand("exec", "Run a command on this machine for each worker of a pool.", [
  "exec linux-x86_64 -- ssh {} uptime",
])
  .argument("<POOL>", "The pool.")
  .argument("<CMD...>", "The command; {} in it stands for the worker's name.")
  .action((pool, cmd, options) =>
    withAdmin(options, async (admin) => {
      const { exec } = await import("../admin/index.js");
      await exec(admin, pool, cmd);
    }),
  );

const backup = adminCommand("backup", "Copy all that the scheduler keeps, while it is in use.", [
  "backup /srv/backups/ocluster-monday",
])
  .option("--no-logs", "Without logs of durable jobs.")
  .option("--no-outputs", "Without files of their results.")
  .option("--json", "Print JSON.", false)
  .addArgument(argument("<DIR>", "A new directory, on this machine.", nonEmpty))
  .action((directory, options) =>
    interruptible((signal) =>
      withAdmin(
        options,
        async (admin) => {
          const { backup } = await import("../admin/index.js");
          await backup(admin, directory, options, signal);
        },
        signal,
      ),
    ),
  );

/** In which a job can be cancelled. */
const LIVE_STATES = ["waiting", "queued", "running"] as const;

const OWNER = { program: "ocluster-admin", capFile: "admin.cap" };

const jobs = jobsCommand(OWNER, "List the jobs of all clients, the newest first.", [
  "jobs linux-x86_64 --worker=w3 --since=yesterday",
  "jobs --state=failed --since=12h --json",
])
  .addOption(option("--client <ID>", "Only those of this client.", nonEmpty))
  .addOption(option("--worker <NAME>", "Only those that this worker has had.", nonEmpty))
  .argument("[POOL]", "Only those of this pool.")
  .action((pool, options) => {
    const { client, worker } = options;
    return toldApart(runJobs)(options, { pool, client, worker }, { ofAll: true });
  });

const running = adminCommand("running", "List the running jobs: whose, where, since when.", [
  "running linux-x86_64",
  "running linux-x86_64 --worker=my-host --json",
])
  .addOption(option("--client <ID>", "Only those of this client.", nonEmpty))
  .addOption(option("--worker <NAME>", "Only those that this worker runs.", nonEmpty))
  .addOption(option("--hint <STRING>", "Only those with this cache hint.", nonEmpty))
  .option("--json", "Print JSON, one line for each job.", false)
  .argument("<POOL>", "The pool. Who was silent for longest comes first.")
  .action((pool, options) =>
    withAdmin(options, async (admin) => {
      const { running } = await import("../admin/index.js");
      const { client, hint, json, worker } = options;
      await running(admin, pool, { client, hint, json, worker });
    }),
  );

// "r" means "remove-client".
unabbreviated.add(running);

const cancel = recordsCommand(OWNER, "cancel", "Cancel jobs, queued or running.", [
  "cancel 17 18",
  "cancel --client=alice --hint=web --dry-run",
  "cancel --worker=my-host --state=running",
])
  .addOption(option("--pool <POOL>", "All of this pool, as far as the others fit.", nonEmpty))
  .addOption(option("--client <ID>", "All of this client.", nonEmpty))
  .addOption(option("--worker <NAME>", "All that this worker runs.", nonEmpty))
  .addOption(option("--hint <STRING>", "All with this cache hint.", nonEmpty))
  .addOption(option("--state <LIST>", "Only those in these states.", list(oneOf(LIVE_STATES))))
  .option("--dry-run", "List what would be cancelled, and cancel nothing.", false)
  .option("--json", "Print JSON, one line for each job.", false)
  .addArgument(
    repeatedArgument("[JOB...]", "Numbers of jobs; else say which by options.", jobNumber),
  )
  .action(async (jobs, options) => {
    const { client, dryRun, hint, json, pool, state: states, worker } = options;
    const isNamed = [client, hint, pool, worker].some((one) => one !== undefined);
    if (jobs.length > 0) {
      if (isNamed || states || dryRun) {
        throw new UsageError("Give numbers of jobs, or options that say which, not both.");
      }
      const { cancelJobs } = await import("../client/index.js");
      await toldApart(cancelJobs)({ ...recordsOptions(options), jobs, json });
      return;
    }
    if (!isNamed) {
      throw new UsageError(
        "Say which jobs: by number, or by --pool, --client, --worker or --hint.",
      );
    }
    await withAdmin(options, async (admin) => {
      const { cancelMatching } = await import("../admin/index.js");
      await cancelMatching(admin, { pool, filter: { client, hint, states, worker }, dryRun, json });
    });
  });

const usage = recordsCommand(OWNER, "usage", "Show what each client had of the cluster.", [
  "usage --since=7d",
  "usage --since=2026-11-01 --until=2026-12-01 --json",
])
  .addOption(option("--since <DATE>", "From then on (default: 7d).", moment))
  .addOption(option("--until <DATE>", "Until then (default: now).", moment))
  .option("--json", "Print JSON, one line for each client.", false)
  .action(async (options) => {
    const { json, since = moment("7d"), until = moment("now") } = options;
    checkSpan(since, until);
    const { withRecords } = await import("../client/index.js");
    const { usage } = await import("../admin/index.js");
    await withRecords(recordsOptions(options), (admin) => usage(admin, { since, until }, json));
  });

await runMain(
  program(
    "ocluster-admin",
    "Administers a scheduler.",
    [
      show,
      top,
      explain,
      addClient,
      removeClient,
      listClients,
      ...grantedCommands("scaler"),
      ...grantedCommands("viewer"),
      setRate,
      pause,
      unpause,
      update,
      forget,
      movePool,
      forgetPool,
      exec,
      jobs,
      jobCommand(OWNER),
      logsCommand(OWNER),
      running,
      cancel,
      usage,
      backup,
    ],
    ["ocluster-admin -c admin.cap add-client alice > alice.cap"],
  ),
  rpcFailure,
);
