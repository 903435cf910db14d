// Makes docs/terminal.svg, the picture in the README: npm run picture
//
// Starts a cluster on this machine, as the demonstration does, runs some commands on a
// pseudo-terminal, and draws what that was sent. Needs root, and script(1) of util-linux.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, storeOptions } from "./lib/demo-cluster.mjs";
import { unmountBelow } from "./lib/mounts.mjs";
import { ROOT, runScript } from "./lib/process.mjs";
import { Program } from "./lib/programs.mjs";
import { drawTerminal } from "./lib/terminal-svg.mjs";
import { setUp } from "./setup.mjs";

const COLUMNS = 92;

const SPEC = `((from busybox)
 (shell /bin/sh -c)
 (run (shell "echo Hello from $(hostname) > greeting"))
 (run (shell "cat greeting")))
`;

const COMMANDS = [
  "ocluster-client context add home -c alice.cap",
  "ocluster-client pools",
  "cat hello.spec",
  "ocluster-client submit hello.spec",
];

await runScript(async () => {
  await setUp("demo");
  const dir = mkdtempSync(join(tmpdir(), "ocluster-picture-"));
  const signal = AbortSignal.timeout(300_000);
  /** @type {Program[]} */
  const programs = [];
  /** @type {(name: string, ...args: string[]) => Program} */
  const start = (name, ...args) => {
    const program = new Program(name, args, { cwd: dir });
    programs.push(program);
    return program;
  };
  try {
    mkdirSync(join(dir, "secrets"));
    const image = [join(ROOT, "scripts/busybox-image.mjs"), "images"];
    execFileSync(process.execPath, image, { cwd: dir, stdio: "inherit" });
    const scheduler = start(
      "ocluster-scheduler",
      "--capnp-secret-key-file=secrets/key.pem",
      `--capnp-listen-address=tcp:127.0.0.1:${await freePort()}`,
      ...["--secrets-dir=secrets", "--state-dir=scheduler", "--pools=linux-x86_64"],
    );
    await scheduler.prints(/Wrote capability reference to .*pool-linux-x86_64\.cap/, signal);
    await scheduler.prints(/Wrote capability reference to .*admin\.cap/, signal);
    const account = start("ocluster-admin", "-c", "secrets/admin.cap", "add-client", "alice");
    writeFileSync(join(dir, "alice.cap"), await account.succeeds(signal), { mode: 0o600 });
    const worker = start(
      "ocluster-worker",
      ...["-c", "secrets/pool-linux-x86_64.cap", "--name=builder-1", "--capacity=4"],
      ...["--state-dir=worker", ...storeOptions(dir), "--verbose"],
      ...[`--obuilder-image-dir=${join(dir, "images")}`, "--obuilder-fetch=local"],
      "--obuilder-prune-threshold=0",
    );
    await worker.prints(/Requesting a new job/, signal);
    writeFileSync(join(dir, "hello.spec"), SPEC);
    writeFileSync(join(ROOT, "docs/terminal.svg"), drawTerminal(session(dir), COLUMNS));
  } finally {
    for (const program of programs.reverse()) await program.stop();
    unmountBelow(dir);
    rmSync(dir, { recursive: true, force: true });
  }
  console.log("docs/terminal.svg is made.");
});

/**
 * What a terminal of so many columns is sent while the commands run in `dir`.
 * @param {string} dir
 */
function session(dir) {
  const bin = join(dir, "bin");
  mkdirSync(bin);
  const client = `#!/bin/sh\nexec "${process.execPath}" "${ROOT}/dist/bin/ocluster-client.js" "$@"\n`;
  writeFileSync(join(bin, "ocluster-client"), client, { mode: 0o755 });
  const lines = COMMANDS.flatMap((command) => [
    `printf '\\033[1m$\\033[0m %s\\n' '${command}'`,
    command,
  ]);
  const script = join(dir, "session.sh");
  writeFileSync(script, [`stty cols ${COLUMNS} rows 40`, ...lines, ""].join("\n"));
  const { stdout } = spawnSync("script", ["-qec", `sh ${script}`, "/dev/null"], {
    cwd: dir,
    encoding: "utf8",
    env: {
      ...process.env,
      PATH: `${bin}:${process.env.PATH}`,
      TERM: "xterm",
      XDG_CONFIG_HOME: join(dir, "config"),
    },
  });
  return stdout;
}
