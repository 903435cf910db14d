/**
 * A kind of job of one's own: `shell`, a command that runs on the worker's machine as it is.
 *
 *     npm run build
 *     node scripts/run-ts.mjs examples/custom-job.ts worker pool-linux-x86_64.cap
 *     node scripts/run-ts.mjs examples/custom-job.ts submit submission.cap linux-x86_64 'uname -a'
 *
 * The worker is an ordinary one, with a handler added: it registers in a pool, gets the context,
 * secrets, log and cancellation of each job, and builds Docker jobs besides.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { Message, ObjectSize, Struct, utils } from "capnp-es";
import { Job, Submission, Ticket } from "ocluster/api";
import { readCapFile, Vat } from "ocluster/rpc";
import { type CustomHandler, JobFailed, Worker } from "ocluster/worker";

/**
 * What a job carries, as capnp-es generates it for `struct Command { line @0 :Text; }`. Both sides
 * must know it.
 */
class Command extends Struct {
  static readonly _capnp = {
    displayName: "Command",
    id: "f3a1c6a7d2b94e05",
    size: new ObjectSize(0, 1),
  };
  get line(): string {
    return utils.getText(0, this);
  }
  set line(value: string) {
    utils.setText(0, value, this);
  }
}

/**
 * Runs the command in the job's source directory. Secrets are variables of its environment, by
 * their ids.
 */
const shell: CustomHandler = async ({ log, read, secrets, signal, src }) => {
  const { line } = read(Command);
  const env = Object.fromEntries(secrets.map(({ id, value }) => [id, value]));
  const child = spawn("/bin/sh", ["-c", line], {
    cwd: src,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // in a process group of its own, to be able to stop all of it
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const kill = () => process.kill(-child.pid!, "SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const copy = async (output: AsyncIterable<Buffer>) => {
      // Waiting for the log makes a command that prints faster than the disk is wait, too.
      for await (const data of output) await log.write(data);
    };
    await Promise.all([copy(child.stdout), copy(child.stderr)]);
    const status = await ended;
    signal.throwIfAborted();
    if (status !== 0) throw new JobFailed(`The command failed with status ${status}`);
    return "";
  } finally {
    signal.removeEventListener("abort", kill);
  }
};

async function work(capFile: string): Promise<void> {
  const stateDir = mkdtempSync(join(tmpdir(), "custom-job-"));
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => stop.abort());
  try {
    const worker = new Worker({
      connect: capFile,
      name: `shell-${hostname()}`,
      capacity: 2,
      stateDir,
      custom: { shell },
      onRegistered: () => console.log("Ready for jobs"),
    });
    await worker.run(stop.signal);
  } finally {
    rmSync(stateDir, { recursive: true });
  }
}

async function submit(capFile: string, pool: string, line: string): Promise<void> {
  const ref = readCapFile(capFile);
  await using vat = new Vat();
  using submission = await vat.import(ref);
  const payload = new Message().initRoot(Command);
  payload.line = line;
  using ticket = Submission.submit(submission, {
    pool,
    urgent: false,
    descr: {
      action: { kind: "custom", name: "shell", payload },
      cacheHint: "",
      secrets: [],
    },
  });
  using job = Ticket.job(ticket);
  for (let start = 0; ; ) {
    const { data, next } = await Job.log(job, start);
    if (data.length === 0) break;
    process.stdout.write(data);
    start = next;
  }
  await Job.result(job);
}

const [role, ...args] = process.argv.slice(2);
if (role === "worker" && args.length === 1) {
  await work(args[0]!);
} else if (role === "submit" && args.length === 3) {
  await submit(args[0]!, args[1]!, args[2]!);
} else {
  console.error("usage: custom-job worker POOL.cap | submit SUBMISSION.cap POOL COMMAND");
  process.exitCode = 2;
}
