/**
 * Git ends with its job, whatever the server does, and takes no more than it may. What the job
 * after that finds is in order.
 */
import { execFileSync } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deferred } from "../../src/async/index.js";
import { Contexts } from "../../src/worker/context/contexts.js";
import { ENDLESS_COMMIT, EndlessGitServer } from "../support/endless-git-server.js";
import { GitServer } from "../support/git-server.js";
import { outcome, SmallCluster } from "./small-cluster.js";

let stateDir: string;
let server: GitServer;
let log: string[];
let onLine: (line: string) => void;

beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "ocluster-git-ends-"));
  server = await GitServer.start();
  log = [];
  onLine = () => {};
});

afterEach(async () => {
  await server.stop();
  expect(processesIn(stateDir)).toEqual([]);
  rmSync(stateDir, { recursive: true });
});

/** The programs that run in a directory or below. */
function processesIn(directory: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      const inside = `${cwd}/`.startsWith(`${directory}/`);
      return inside ? [readFileSync(`/proc/${pid}/cmdline`, "utf8")] : [];
    } catch {
      return []; // no process, or one that has ended
    }
  });
}

async function namesOf(
  repository: string,
  commits: readonly string[],
  {
    signal = new AbortController().signal,
    ...limits
  }: {
    readonly signal?: AbortSignal;
    readonly gitMaxFiles?: number;
    readonly gitMaxSize?: number;
  } = {},
): Promise<string[]> {
  const contexts = new Contexts({ stateDir, ...limits });
  await contexts.open();
  const take = (line: string) => {
    log.push(line);
    onLine(line);
  };
  return contexts.withSource(
    { repository, commits, includeGit: false },
    { log: take, signal },
    async (directory) => readdirSync(directory).sort(),
  );
}

describe("a job that is cancelled", () => {
  it.each(["progress", "noise"] as const)("ends a fetch of endless %s", async (what) => {
    const endless = await EndlessGitServer.start(what);
    try {
      const cancel = new AbortController();
      const job = namesOf(endless.url, [ENDLESS_COMMIT], { signal: cancel.signal });
      await endless.fetching;
      expect(processesIn(stateDir).join()).toContain("git-remote-http");
      cancel.abort(new Error("cancelled"));
      await expect(job).rejects.toThrow("cancelled");
      expect(processesIn(stateDir)).toEqual([]);
    } finally {
      endless.stop();
    }
  });

  it("leaves a clone that the next job uses", async () => {
    const old = server.create("repo.git", { "a.txt": "A" });
    const repository = server.url("repo.git");
    await namesOf(repository, [old]);
    const commit = server.commit("repo.git", { "b.txt": "B" });
    const held = deferred();
    server.onRequest = (request) => {
      if (request.method !== "POST") return;
      held.resolve();
      return new Promise(() => {});
    };
    const cancel = new AbortController();
    const job = namesOf(repository, [commit], { signal: cancel.signal });
    await held.promise;
    cancel.abort(new Error("cancelled"));
    await expect(job).rejects.toThrow("cancelled");
    server.onRequest = () => {};
    expect(await namesOf(repository, [commit])).toEqual(["a.txt", "b.txt"]);
    expect(log.join("\n")).not.toContain("Removing corrupted repository");
  });

  it("kills a Git that does not end when asked; then the clone is made anew", async () => {
    const base = server.create("repo.git", { "a.txt": "A" });
    const side = server.branch("repo.git", "side", base, { "b.txt": "B" });
    const repository = server.url("repo.git");
    const bin = mkdtempSync(join(tmpdir(), "ocluster-git-"));
    const real = execFileSync("which", ["git"], { encoding: "utf8" }).trim();
    const stubborn = `trap '' TERM INT; echo stubborn; sleep 1000000 & while :; do wait; done`;
    const script = `#!/bin/sh\ncase " $* " in *" merge "*) ${stubborn};; *) exec ${real} "$@";; esac\n`;
    writeFileSync(join(bin, "git"), script, { mode: 0o755 });
    const { PATH } = process.env;
    process.env.PATH = `${bin}:${PATH}`;
    try {
      const cancel = new AbortController();
      onLine = (line) => line === "stubborn" && cancel.abort(new Error("cancelled"));
      const job = namesOf(repository, [base, side], { signal: cancel.signal });
      await expect(job).rejects.toThrow("cancelled");
      expect(processesIn(stateDir)).toEqual([]);
    } finally {
      process.env.PATH = PATH;
      rmSync(bin, { recursive: true });
    }
    expect(await namesOf(repository, [base, side])).toEqual(["a.txt", "b.txt"]);
    expect(log.join("\n")).toContain("Removing corrupted repository");
  });
});

describe("a worker", () => {
  let endless: EndlessGitServer;
  let cluster: SmallCluster;

  beforeEach(async () => {
    endless = await EndlessGitServer.start("progress");
    cluster = await SmallCluster.open();
  });

  afterEach(async () => {
    await cluster.close();
    endless.stop();
  });

  const submit = () =>
    cluster.submit({ source: { repository: endless.url, commits: [ENDLESS_COMMIT] } });
  const custom = { test: async () => "done" };

  it("has the slot back when such a job is cancelled", async () => {
    await cluster.startWorker({ capacity: 1, custom });
    const job = submit();
    await endless.fetching;
    job.release();
    const next = cluster.submit();
    expect(await outcome(next)).toMatchObject({ result: "done" });
  });

  it("has it back when the job has taken too long", async () => {
    await cluster.startWorker({ capacity: 1, custom, jobTimeout: 1000 });
    expect((await outcome(submit())).log).toContain("Job timed out");
    expect(await outcome(cluster.submit())).toMatchObject({ result: "done" });
  });

  it("ends when it is told to", async () => {
    await cluster.startWorker({ custom });
    const job = submit();
    await endless.fetching;
    cluster.stopWorker();
    expect(await cluster.ended).toBe("stopped");
    job.release();
  });
});

describe("a repository that is too large", () => {
  /** A commit of 10 to the power of `depth` files, in a few small objects. */
  function bomb(depth: number): string {
    server.create("bomb.git", {});
    const write = (lines: string[]) =>
      execFileSync("git", ["-C", join(server.path, "bomb.git"), "mktree"], {
        input: lines.join("\n"),
        encoding: "utf8",
      }).trim();
    writeFileSync(join(server.path, "empty"), "");
    let object = server.git("bomb.git", "hash-object", "-w", "../empty");
    let mode = "100644 blob";
    for (let d = 0; d < depth; d++) {
      object = write(Array.from({ length: 10 }, (_, i) => `${mode} ${object}\tf${i}`));
      mode = "040000 tree";
    }
    const commit = server.git("bomb.git", "commit-tree", object, "-m", "bomb");
    server.git("bomb.git", "update-ref", "refs/heads/master", commit);
    return commit;
  }

  it("has too many files, which is found out before they are made", async () => {
    const commit = bomb(10);
    await expect(namesOf(server.url("bomb.git"), [commit], { gitMaxFiles: 1000 })).rejects.toThrow(
      `Commit ${commit} has more than 1000 files and directories (limit: --git-max-files)`,
    );
  });

  it("has too many in what is merged", async () => {
    const base = server.create("repo.git", { "a.txt": "A" });
    const files = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`d${i}/e/f`, ""]));
    const side = server.branch("repo.git", "side", base, files);
    const repository = server.url("repo.git");
    await expect(namesOf(repository, [base, side], { gitMaxFiles: 300 })).rejects.toThrow(
      `Commit ${side} has more than 300 files`,
    );
    // With those of Git itself.
    expect(await namesOf(repository, [side], { gitMaxFiles: 600 })).toHaveLength(101);
  });

  it("has too large a file, which is found out before it is made", async () => {
    const commit = server.create("repo.git", { "a.txt": "0".repeat(1_000_000) });
    await expect(
      namesOf(server.url("repo.git"), [commit], { gitMaxSize: 999_999 }),
    ).rejects.toThrow("takes more than 999999 bytes (limit: --git-max-size)");
  });

  it.each([
    ["noise", "The repository takes more than 20000000 bytes (limit: --git-max-size)"],
    ["zeros", "it has read more than 4 times what --git-max-size allows"],
  ] as const)("is given up while it is fetched, and removed: %s", async (what, message) => {
    const endless = await EndlessGitServer.start(what);
    try {
      const limits = { gitMaxSize: 20_000_000 };
      await expect(namesOf(endless.url, [ENDLESS_COMMIT], limits)).rejects.toThrow(message);
      expect(readdirSync(join(stateDir, "git"))).toEqual([]);
    } finally {
      endless.stop();
    }
  });
});

describe("a repository of SHA-256 hashes", () => {
  it("is cloned as what it is", async () => {
    const commit = server.create("repo.git", { "a.txt": "A" }, "sha256");
    expect(commit).toMatch(/^[0-9a-f]{64}$/);
    const repository = server.url("repo.git");
    expect(await namesOf(repository, [commit])).toEqual(["a.txt"]);
    const side = server.branch("repo.git", "side", commit, { "b.txt": "B" });
    const more = server.commit("repo.git", { "c.txt": "C" });
    expect(await namesOf(repository, [side, more])).toEqual(["a.txt", "b.txt", "c.txt"]);
  });

  it.each([
    ["sha1", 64, "is a repository of SHA-1 hashes, and the job's are of SHA-256"],
    ["sha256", 40, "is a repository of SHA-256 hashes, and the job's are of SHA-1"],
  ] as const)("is told from one of others: %s", async (format, digits, message) => {
    const commit = server.create("repo.git", { "a.txt": "A" }, format);
    const repository = server.url("repo.git");
    await expect(namesOf(repository, ["1".repeat(digits)])).rejects.toThrow(message);
    expect(await namesOf(repository, [commit])).toEqual(["a.txt"]);
    await expect(namesOf(repository, [commit, "1".repeat(digits)])).rejects.toThrow(
      `Invalid commit "${"1".repeat(digits)}": of another length than the first one`,
    );
  });
});
