// A whole build cluster on this machine, for a minute: npm run demo
//
// Starts a scheduler and a worker on loopback, builds a spec twice, shows the cluster's state, and
// takes everything down again. Each stage says what it does and which command line does it, so that
// you can repeat it by hand.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, storeOptions } from "./lib/demo-cluster.mjs";
import { unmountBelow } from "./lib/mounts.mjs";
import { ROOT, runScript, SetUpError } from "./lib/process.mjs";
import { Program } from "./lib/programs.mjs";
import { setUp } from "./setup.mjs";

const SPEC = `((from busybox)
 (shell /bin/sh -c)
 (run (shell "echo Collecting numbers; for i in 1 2 3 4; do echo $i; sleep 0.25; done | tee numbers"))
 (run (shell "echo Adding them up; awk '{ sum += $1 } END { print sum }' numbers > sum"))
 (run (shell "echo The sum is $(cat sum)")))
`;

/** How long the demonstration may take, in ms: a hang must end too. */
const LIMIT_MS = 120_000;

await runScript(async () => {
  if (process.getuid?.() !== 0) {
    throw new SetUpError(
      `The demo runs containers, which takes root:\n\n  sudo npm --prefix=${ROOT} run demo\n\n` +
        "It installs the Debian packages that it needs and that are missing: runc, umoci, busybox-static.",
    );
  }
  const setUpTook = await setUp("demo");
  const start = performance.now();

  const interrupted = new AbortController();
  const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);
  // Also while it cleans up: an impatient second Ctrl-C must not leave a cluster behind.
  for (const name of signals) process.on(name, () => interrupted.abort(name));
  const signal = AbortSignal.any([interrupted.signal, AbortSignal.timeout(LIMIT_MS)]);

  const dir = mkdtempSync(join(tmpdir(), "ocluster-demo-"));
  /** @type {Program[]} */
  const programs = [];
  try {
    await demonstrate(dir, programs, signal);
  } catch (error) {
    if (interrupted.signal.aborted) throw new SetUpError("Interrupted.");
    for (const { name, output } of programs) console.error(`\n--- ${name} said:\n${output}`);
    if (signal.aborted) throw new SetUpError("This takes too long; see above.");
    throw error;
  } finally {
    say("Take everything down: stop the worker and the scheduler, remove the directory");
    // The worker first: it says goodbye to the scheduler.
    for (const program of programs.reverse()) await program.stop();
    unmountBelow(dir);
    rmSync(dir, { recursive: true, force: true });
  }
  const { download, sqlite, compile } = setUpTook;
  console.log(
    `It took ${seconds(download)} to download and install what was missing, ${seconds(sqlite)} for SQLite's compiled part, ` +
      `${seconds(compile)} to compile the programs, and ${seconds(performance.now() - start)} to run.`,
  );
  console.log("Nothing is left: no process, no mount, no file.");
});

/**
 * The demonstration itself. What it starts is pushed to `programs`, for the caller to stop.
 * @param {string} dir an empty directory
 * @param {Program[]} programs
 * @param {AbortSignal} signal
 */
async function demonstrate(dir, programs, signal) {
  /** @type {(name: string, args: string[], show?: boolean) => Program} */
  const start = (name, args, show = false) => {
    showCommand(name, args);
    const program = new Program(name, args, { cwd: dir, show });
    programs.push(program);
    return program;
  };

  say("A place for everything; the commands below are run in it");
  showCommand("cd", [dir]);
  mkdirSync(join(dir, "secrets"));
  console.log(`(ocluster-NAME stands for: node ${ROOT}/dist/bin/ocluster-NAME.js)`);

  say("Make a base image called busybox, as there may be no registry to pull from");
  const image = [join(ROOT, "scripts/busybox-image.mjs"), "images"];
  showCommand("node", image);
  if (spawnSync(process.execPath, image, { cwd: dir, stdio: "inherit" }).status !== 0) {
    throw new SetUpError("The base image could not be made; see above.");
  }

  say("Start the scheduler. It makes a key, and writes files with which others can reach it");
  const scheduler = start("ocluster-scheduler", [
    "--capnp-secret-key-file=secrets/key.pem",
    `--capnp-listen-address=tcp:127.0.0.1:${await freePort()}`,
    "--secrets-dir=secrets",
    "--state-dir=scheduler",
    "--pools=demo",
  ]);
  await scheduler.prints(/Wrote capability reference to .*pool-demo\.cap/, signal);
  await scheduler.prints(/Wrote capability reference to .*admin\.cap/, signal);

  say("Make an account for a user; what this prints is all that the user needs");
  const account = start("ocluster-admin", ["-c", "secrets/admin.cap", "add-client", "you"]);
  writeFileSync(join(dir, "you.cap"), await account.succeeds(signal), { mode: 0o600 });
  console.log("  (saved as you.cap)");

  say("Start a worker. It dials out to the scheduler, checks its own builder, and asks for a job");
  const worker = start("ocluster-worker", [
    "-c",
    "secrets/pool-demo.cap",
    "--name=my-worker",
    "--capacity=1",
    "--state-dir=worker",
    ...storeOptions(dir),
    `--obuilder-image-dir=${join(dir, "images")}`,
    "--obuilder-fetch=local",
    // However full this machine's disk is.
    "--obuilder-prune-threshold=0",
    "--verbose",
  ]);
  await worker.prints(/Requesting a new job/, signal);

  say("Submit a job: three steps on top of the base image, as hello.spec says");
  writeFileSync(join(dir, "hello.spec"), SPEC);
  console.log(SPEC);
  const submission = [
    ...["submit-obuilder", "-c", "you.cap", "--pool=demo", "--cache-hint=hello"],
    "--local-file=hello.spec",
  ];
  const first = await timed(() => start("ocluster-client", submission, true).succeeds(signal));

  say("Submit it again: every layer is in the cache now, and the logs are too");
  const again = await timed(() => start("ocluster-client", submission, true).succeeds(signal));
  console.log(`\nThe first time took ${first} ms, the second ${again} ms.`);

  say("Look at the pool: its workers, what they do, and which inputs they have seen");
  await start("ocluster-admin", ["-c", "secrets/admin.cap", "show", "demo"], true).succeeds(signal);
}

/** @param {string} text */
function say(text) {
  const bold = process.stdout.isTTY ? ["\u001b[1m", "\u001b[0m"] : ["", ""];
  console.log(`\n${bold[0]}== ${text}.${bold[1]}`);
}

/**
 * A command line as one would type it.
 * @param {string} name
 * @param {readonly string[]} args
 */
function showCommand(name, args) {
  const line = [name, ...args].join(" ");
  console.log(`$ ${line.length <= 100 ? line : line.replaceAll(" --", " \\\n    --")}`);
}

/**
 * How long an action takes, in ms.
 * @param {() => Promise<unknown>} action
 */
async function timed(action) {
  const start = performance.now();
  await action();
  return Math.round(performance.now() - start);
}

/** @param {number} ms */
function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}
