/**
 * A testbed: the scheduler under the load of simulated workers and clients, to watch on the
 * dashboard.
 *
 *     npm run stress -- --time=1m --listen-prometheus=9090
 *
 * Without --secrets-dir it brings its own scheduler, which then shares the processor with those who
 * stress it. All else is real: TLS on loopback, queues, logs, results, metrics. Only what the jobs
 * do is to wait, and to say something.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { sleep } from "../src/async/sleep.js";
import { rpcFailure } from "../src/bin/rpc-failure.js";
import { command } from "../src/cli/command.js";
import { option, repeatedOption } from "../src/cli/option.js";
import { runMain } from "../src/cli/run.js";
import { duration, existingDirectory, integer, nonEmpty, port } from "../src/cli/values.js";
import { CommandFailed } from "../src/console/errors.js";
import { interruptible } from "../src/console/signals.js";
import { leakedReferences } from "../src/rpc/index.js";
import { type Figures, table } from "./stress/figures.js";
import { DEFAULT_PROFILES, profile } from "./stress/profile.js";
import { type Caps, capsIn, withOwnScheduler } from "./stress/scheduler.js";
import { runTestbed } from "./stress/testbed.js";

const print = (text: string): void => void process.stdout.write(`${text}\n`);

const stress = command("stress", "Puts a scheduler under the load of simulated clients.", [
  "npm run stress -- --time=1m --listen-prometheus=9090",
  "npm run stress -- --workers=50 --worker-life=2m --client=bulk,batch=5000,every=1m,cold=30",
  "npm run stress -- --secrets-dir=./capnp-secrets --pool=linux-x86_64",
])
  .addOption(option("--time <TIME>", "How long (default: until it is interrupted).", duration))
  .addOption(
    option("--secrets-dir <DIR>", "Use the scheduler with these capabilities.", existingDirectory),
  )
  .addOption(option("--pool <NAME>", "The pool to use.", nonEmpty).default("stress"))
  .addOption(option("--workers <N>", "Workers.", integer({ min: 0 })).default(5))
  .addOption(option("--capacity <N>", "Capacity of each.", integer({ min: 1 })).default(8))
  .addOption(
    option("--worker-life <TIME>", "They go away after that, on average, and return.", duration),
  )
  .addOption(
    repeatedOption(
      "--client <NAME,KEY=VALUE,…>",
      "A client: rate, batch, every, hints, cold, warm, output, urgent, failing, cancelled, most.",
      profile,
    ),
  )
  .addOption(option("--listen-prometheus <PORT>", "Metrics of the own scheduler.", port))
  .addOption(option("--report <TIME>", "Time between two reports.", duration).default(10))
  .addOption(option("--seed <N>", "Seed of the random numbers.", integer()).default(1))
  .action((options) =>
    interruptible(async (interrupted) => {
      const directory = await mkdtemp(join(tmpdir(), "ocluster-stress-"));
      const timeUp = new AbortController();
      const { time } = options;
      let timer: NodeJS.Timeout | undefined;
      const signal = AbortSignal.any([interrupted, timeUp.signal]);
      const begin = performance.now();
      let figures: ReadonlyMap<string, Figures> = new Map();
      try {
        const { client, listenPrometheus, pool, secretsDir } = options;
        const profiles = client.length > 0 ? client : DEFAULT_PROFILES;
        const testbed = { ...options, profiles, directory, print };
        const run = async (caps: Caps) => {
          // Not before: a scheduler of our own may take its time to start.
          if (time !== undefined) timer = setTimeout(() => timeUp.abort(), time * 1000);
          figures = await runTestbed({ ...testbed, caps }, signal);
        };
        if (secretsDir !== undefined) {
          await run(capsIn(secretsDir, pool));
        } else {
          const own = { directory, pool, prometheusPort: listenPrometheus };
          await withOwnScheduler(own, interrupted, run);
        }
      } finally {
        clearTimeout(timer);
        await rm(directory, { recursive: true, force: true });
      }
      print(table(Math.round((performance.now() - begin) / 1000), figures));
      await checkAccounts(figures);
    }),
  );

/** Every job has ended in one way, and no reference was lost. Throws a `CommandFailed`. */
async function checkAccounts(figures: ReadonlyMap<string, Figures>): Promise<void> {
  for (const [name, { waiting, running }] of figures) {
    if (waiting !== 0 || running !== 0) {
      throw new CommandFailed(`Client ${name}: ${waiting} jobs wait and ${running} run for ever`);
    }
  }
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  await sleep(0); // Finalizers run after this turn.
  const leaked = leakedReferences();
  if (leaked > 0) throw new CommandFailed(`${leaked} references were lost without being released`);
}

await runMain(stress, rpcFailure);
