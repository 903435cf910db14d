import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Contexts, type SourceRequest } from "../../src/worker/context/contexts.js";
import { GitServer } from "../support/git-server.js";

let stateDir: string;
let server: GitServer;
let contexts: Contexts;
let log: string[];

beforeEach(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "ocluster-contexts-"));
  server = await GitServer.start();
  contexts = new Contexts({ stateDir });
  await contexts.open();
  log = [];
});

afterEach(async () => {
  await server.stop();
  rmSync(stateDir, { recursive: true });
});

const never = new AbortController().signal;

/** Makes the context, looks at it with `look`, and checks that it is gone afterwards. */
async function source<T>(
  request: Partial<SourceRequest>,
  look: (directory: string) => T,
  signal = never,
): Promise<T> {
  let seen = "";
  try {
    return await contexts.withSource(
      { repository: "", commits: [], includeGit: false, ...request },
      { log: (line) => log.push(line), signal },
      async (directory) => {
        seen = directory;
        return look(directory);
      },
    );
  } finally {
    expect(existsSync(seen)).toBe(false);
    expect(readdirSync(join(stateDir, "tmp"))).toEqual([]);
  }
}

const names = (directory: string) => readdirSync(directory).sort();
const read = (name: string) => (directory: string) => readFileSync(join(directory, name), "utf8");
const clone = () => join(stateDir, "git", readdirSync(join(stateDir, "git"))[0]!);

describe("a build context", () => {
  it("is an empty directory without commits, whatever the repository", async () => {
    expect(await source({ repository: "ext::sh -c evil" }, names)).toEqual([]);
  });

  it("is the tree of the commit, without .git", async () => {
    const commit = server.create("repo.git", { "a.txt": "A", "dir/b.txt": "B" });
    const request = { repository: server.url("repo.git"), commits: [commit] };
    expect(await source(request, names)).toEqual(["a.txt", "dir"]);
    expect(readdirSync(join(stateDir, "git"))[0]).toMatch(/^repo\.git-[0-9a-f]{40}$/);
    expect(log).toContain(`Fetching ${request.repository}`);

    server.requests.length = 0;
    expect(await source(request, read("dir/b.txt"))).toBe("B");
    expect(log).toContain("All commits already cached");
    expect(server.requests).toEqual([]);
  });

  it("merges further commits in turn", async () => {
    const base = server.create("repo.git", { "a.txt": "A" });
    const left = server.branch("repo.git", "left", base, { "left.txt": "L" });
    const right = server.branch("repo.git", "right", base, { "right.txt": "R" });
    const merged = await source(
      { repository: server.url("repo.git"), commits: [left, right], includeGit: true },
      (directory) => ({
        names: names(directory),
        author: execFileSync("git", ["-C", directory, "log", "-1", "--format=%an %ae %cn %ce"], {
          encoding: "utf8",
        }).trim(),
        status: execFileSync("git", ["-C", directory, "status", "--porcelain"], {
          encoding: "utf8",
        }),
      }),
    );
    expect(merged).toEqual({
      names: [".git", "a.txt", "left.txt", "right.txt"],
      author: "ocluster ocluster@ocurrent.org ocluster ocluster@ocurrent.org",
      status: "",
    });
  });

  it("says so when commits do not merge, and the next job is none the worse", async () => {
    const base = server.create("repo.git", { "a.txt": "A" });
    const left = server.branch("repo.git", "left", base, { "a.txt": "L" });
    const right = server.branch("repo.git", "right", base, { "a.txt": "R" });
    const repository = server.url("repo.git");
    await expect(source({ repository, commits: [left, right] }, names)).rejects.toThrow(
      "git-merge failed with exit-code 1",
    );
    expect(log.join("\n")).toContain("CONFLICT (content): Merge conflict in a.txt");
    expect(await source({ repository, commits: [right] }, read("a.txt"))).toBe("R");
  });

  it("brings submodules along, also when they change", async () => {
    const one = server.create("lib.git", { "lib.txt": "one" });
    const two = server.commit("lib.git", { "lib.txt": "two" });
    server.create("repo.git", { "a.txt": "A" });
    const first = server.submodule("repo.git", "vendor/lib", server.url("lib.git"), one);
    const second = server.submodule("repo.git", "vendor/lib", server.url("lib.git"), two);
    const repository = server.url("repo.git");
    const library = (commit: string) =>
      source({ repository, commits: [commit] }, read("vendor/lib/lib.txt"));
    expect(await library(first)).toBe("one");
    expect(await library(second)).toBe("two");
    expect(await library(first)).toBe("one");
  });

  it("gets commits that no branch has, and says when there is no such commit", async () => {
    const base = server.create("repo.git", { "a.txt": "A" });
    const stray = server.branch("repo.git", "stray", base, { "a.txt": "stray" });
    server.git("repo.git", "update-ref", "refs/hidden/stray", stray);
    server.git("repo.git", "branch", "-D", "stray");
    const repository = server.url("repo.git");
    expect(await source({ repository, commits: [stray] }, read("a.txt"))).toBe("stray");
    const none = "0123456789".repeat(4);
    await expect(source({ repository, commits: [none] }, names)).rejects.toThrow(
      `Commit ${none} not found in ${repository}`,
    );
  });

  it("fetches the pull or merge requests of the hosting service", async () => {
    const commit = server.create("repo.git", { "a.txt": "A" });
    await source({ repository: server.url("repo.git"), commits: [commit] }, names);
    expect(readFileSync(join(clone(), ".git/config"), "utf8")).toContain(
      "+refs/merge-requests/*/head:refs/remotes/origin/merge-requests/*",
    );
  });
});

describe("a repository that is unusual", () => {
  it("may have names that are not text", async () => {
    server.create("repo.git", { "a.txt": "A" });
    const name = Buffer.from([0x66, 0xff, 0xfe]);
    const root = Buffer.from(`${join(server.path, "repo.git")}/`);
    writeFileSync(Buffer.concat([root, name]), "bytes");
    const commit = server.commit("repo.git", {});
    const found = await source({ repository: server.url("repo.git"), commits: [commit] }, (dir) =>
      readdirSync(dir, { encoding: "buffer" }).map((file) => file.toString("latin1")),
    );
    expect(found.sort()).toEqual(["a.txt", name.toString("latin1")]);
  });

  it("may have a branch where a directory of branches was, and the other way round", async () => {
    const base = server.create("repo.git", { "a.txt": "A" });
    const repository = server.url("repo.git");
    let branch: string | undefined;
    for (const name of ["topic", "topic/deep", "topic"]) {
      if (branch !== undefined) server.git("repo.git", "branch", "-D", branch);
      branch = name;
      const commit = server.branch("repo.git", name, base, { "a.txt": `${name} ${Math.random()}` });
      expect(await source({ repository, commits: [commit] }, read("a.txt"))).toContain(name);
    }
  });
});

describe("a damaged clone", () => {
  const damages: [string, (git: string) => void][] = [
    ["a lock left by a killed Git", (git) => writeFileSync(join(git, "index.lock"), "")],
    ["a lock on a reference", (git) => writeFileSync(join(git, "HEAD.lock"), "")],
    ["no HEAD", (git) => rmSync(join(git, "HEAD"))],
    ["an empty index", (git) => writeFileSync(join(git, "index"), "garbage")],
    [
      "objects without content",
      (git) => {
        for (const file of readdirSync(join(git, "objects"), {
          recursive: true,
          encoding: "utf8",
        })) {
          if (!/^[0-9a-f]{2}\/|\.pack$/.test(file)) continue;
          rmSync(join(git, "objects", file));
          writeFileSync(join(git, "objects", file), "");
        }
      },
    ],
    [
      "an empty directory",
      (git) => {
        rmSync(git, { recursive: true });
        mkdirSync(git);
      },
    ],
  ];

  it.each(damages)("is made anew: %s", async (_name, damage) => {
    const commit = server.create("repo.git", { "a.txt": "A" });
    const request = { repository: server.url("repo.git"), commits: [commit] };
    await source(request, names);
    damage(join(clone(), ".git"));
    expect(await source(request, read("a.txt"))).toBe("A");
    expect(log.join("\n")).toContain(`Removing corrupted repository "${clone()}"`);
  });

  it("is made anew after a first commit that cannot be got, too", async () => {
    server.create("repo.git", { "a.txt": "A" });
    const repository = server.url("repo.git");
    await expect(source({ repository, commits: ["0".repeat(40)] }, names)).rejects.toThrow();
    const commit = server.commit("repo.git", { "a.txt": "B" });
    expect(await source({ repository, commits: [commit] }, read("a.txt"))).toBe("B");
  });
});

describe("hostile requests", () => {
  const hash = "0".repeat(40);

  it.each([
    ["ext::sh -c 'touch /tmp/pwned'", 'Unsupported scheme "ext" in URL ext::sh'],
    ["file:///etc", 'Unsupported scheme "file" in URL file:///etc'],
    ["ssh://git@host/repo", 'Unsupported scheme "ssh" in URL ssh://host/repo'],
    ["/etc", "Missing scheme in URL /etc"],
    ["git@github.com:a/b.git", "Missing scheme in URL git@github.com:a/b.git"],
    ["--upload-pack=touch /tmp/pwned", "Missing scheme in URL --upload-pack"],
    ["http:path", 'Invalid URL "http:path": expected http://HOST/PATH'],
    ["http://", 'Invalid URL "http://"'],
    ["http::ext", 'Invalid URL "http::ext"'],
    ["https://host/a\nb", "Invalid URL"],
  ])("refuses the URL %s", async (repository, message) => {
    await expect(source({ repository, commits: [hash] }, names)).rejects.toThrow(message);
    expect(readdirSync(join(stateDir, "git"))).toEqual([]);
  });

  it.each(["master", "--output=/tmp/x", "0".repeat(39), "HEAD", `${hash} `])(
    "refuses the commit %s",
    async (commit) => {
      const request = { repository: server.url("repo.git"), commits: [commit] };
      await expect(source(request, names)).rejects.toThrow("Invalid commit");
    },
  );

  it.each([
    ["file", (local: string) => `file://${local}`],
    ["ext", (local: string) => `ext::cat ${local}`],
  ])("does not let a submodule use %s URLs", async (scheme, url) => {
    const secret = server.create("secret.git", { "secret.txt": "S" });
    server.create("repo.git", { "a.txt": "A" });
    const local = url(join(server.path, "secret.git"));
    const commit = server.submodule("repo.git", "secret", local, secret);
    await expect(
      source({ repository: server.url("repo.git"), commits: [commit] }, names),
    ).rejects.toThrow("git-submodule-update failed");
    expect(log.join("\n")).toContain(`transport '${scheme}' not allowed`);
  });

  it.each([
    ["a command as the way to update", "url = URL\n\tupdate = !touch PWNED"],
    ["an option as its URL", "url = -u./payload"],
    ["an option as its URL, well hidden", "url = http://-oProxyCommand=touch-PWNED/x"],
  ])("does not let a submodule have %s", async (_what, setting) => {
    const pwned = join(stateDir, "pwned");
    const lib = server.create("lib.git", { payload: `#!/bin/sh\ntouch ${pwned}\n` });
    server.create("repo.git", { payload: `#!/bin/sh\ntouch ${pwned}\n` });
    server.submodule("repo.git", "lib", server.url("lib.git"), lib);
    const lines = setting.replace("URL", server.url("lib.git")).replace("PWNED", pwned);
    const modules = `[submodule "lib"]\n\tpath = lib\n\t${lines}\n`;
    const commit = server.commit("repo.git", { ".gitmodules": modules });
    await expect(
      source({ repository: server.url("repo.git"), commits: [commit] }, names),
    ).rejects.toThrow(/^git-submodule-(deinit|update) failed/);
    expect(existsSync(pwned)).toBe(false);
  });

  it("does not run hooks, should a clone have any", async () => {
    const pwned = join(stateDir, "pwned");
    const base = server.create("repo.git", { "a.txt": "A" });
    const request = { repository: server.url("repo.git"), commits: [base] };
    await source(request, names);
    for (const hook of ["post-checkout", "post-merge", "reference-transaction", "pre-merge-commit"])
      writeFileSync(join(clone(), ".git/hooks", hook), `#!/bin/sh\ntouch ${pwned}\n`, {
        mode: 0o755,
      });
    const side = server.branch("repo.git", "side", base, { "b.txt": "B" });
    const other = server.branch("repo.git", "other", base, { "c.txt": "C" });
    await source({ ...request, commits: [side, other] }, names);
    expect(existsSync(pwned)).toBe(false);
  });

  it("uses a URL's password and shows it nowhere", async () => {
    const commit = server.create("repo.git", { "a.txt": "A" });
    server.credentials = "user:hunter2";
    const repository = server.url("repo.git", "user:hunter2");
    const seen: string[] = [];
    server.onRequest = () => {
      // While Git talks to us: what other processes could see of it.
      for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
        try {
          for (const file of ["cmdline", "environ"]) {
            const text = readFileSync(`/proc/${pid}/${file}`, "latin1");
            if (text.includes("hunter2")) seen.push(text);
          }
        } catch {
          // It has ended.
        }
      }
    };
    const config = await source(
      { repository, commits: [commit], includeGit: true },
      read(".git/config"),
    );
    expect(config).not.toContain("hunter2");
    expect(log.join("\n")).not.toContain("hunter2");
    const found = spawnSync("grep", ["-rl", "hunter2", stateDir], { encoding: "utf8" });
    expect(found).toMatchObject({ stdout: "", status: 1 });
    expect(seen).toEqual([]);
  });

  it("does not ask for a password on a terminal", async () => {
    const commit = server.create("repo.git", { "a.txt": "A" });
    server.credentials = "user:hunter2";
    const repository = server.url("repo.git", "user:wrong");
    await expect(source({ repository, commits: [commit] }, names)).rejects.toThrow(
      "git-fetch failed with exit-code 128",
    );
    expect(log.join("\n")).toContain("Authentication failed");
    expect(log.join("\n")).not.toContain("wrong");
  });

  it("gives a server up that does not answer", async () => {
    const impatient = new Contexts({ stateDir, gitTimeout: 300 });
    contexts = impatient;
    server.onRequest = () => new Promise(() => {});
    await expect(
      source({ repository: server.url("repo.git"), commits: [hash] }, names),
    ).rejects.toThrow("git-fetch was stopped: no answer from the server for 0.3 s");
  });
});

describe("a Git that ends as it should not", () => {
  /** Has `git` be a script that does `what` when asked to merge, and is the real one otherwise. */
  async function withGit<T>(what: string, body: () => Promise<T>): Promise<T> {
    const bin = mkdtempSync(join(tmpdir(), "ocluster-git-"));
    const real = execFileSync("which", ["git"], { encoding: "utf8" }).trim();
    const script = `#!/bin/sh\ncase " $* " in *" merge "*) ${what};; *) exec ${real} "$@";; esac\n`;
    writeFileSync(join(bin, "git"), script, { mode: 0o755 });
    const { PATH } = process.env;
    process.env.PATH = `${bin}:${PATH}`;
    try {
      return await body();
    } finally {
      process.env.PATH = PATH;
      rmSync(bin, { recursive: true });
    }
  }

  it.each([
    ["kill -9 $$", "git-merge was killed by a signal"],
    ["exit 7", "git-merge failed with exit-code 7"],
  ])("fails the job: %s", async (what, message) => {
    const base = server.create("repo.git", { "a.txt": "A" });
    const side = server.branch("repo.git", "side", base, { "b.txt": "B" });
    const request = { repository: server.url("repo.git"), commits: [base, side] };
    await withGit(what, () => expect(source(request, names)).rejects.toThrow(message));
    expect(await source(request, names)).toEqual(["a.txt", "b.txt"]);
  });
});

describe("several jobs", () => {
  it("of one repository take turns; another repository does not wait for them", async () => {
    const commit = server.create("slow.git", { "a.txt": "A" });
    const other = server.create("quick.git", { "b.txt": "B" });
    let go!: () => void;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    server.onRequest = (request) => (request.url!.startsWith("/slow") ? held : undefined);
    const take = (name: string, hash: string) =>
      contexts.withSource(
        { repository: server.url(name), commits: [hash], includeGit: false },
        { log: () => {}, signal: never },
        async (directory) => names(directory),
      );
    const first = take("slow.git", commit);
    const second = take("slow.git", commit);
    expect(await take("quick.git", other)).toEqual(["b.txt"]);
    expect(server.requests.filter((line) => line.includes("slow"))).toHaveLength(1);
    go();
    expect(await first).toEqual(["a.txt"]);
    expect(await second).toEqual(["a.txt"]);
  });

  it("cancelled while waiting, leave at once", async () => {
    const commit = server.create("slow.git", { "a.txt": "A" });
    let go!: () => void;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    server.onRequest = () => held;
    const request = { repository: server.url("slow.git"), commits: [commit], includeGit: false };
    const first = contexts.withSource(request, { log: () => {}, signal: never }, async () => {});
    const cancelled = new AbortController();
    const second = contexts.withSource(
      request,
      { log: () => {}, signal: cancelled.signal },
      async () => {},
    );
    cancelled.abort(new Error("cancelled"));
    await expect(second).rejects.toThrow("cancelled");
    go();
    await first;
  });
});

it("removes what a killed worker left, but not what another one uses", async () => {
  const tmp = join(stateDir, "tmp");
  const gone = `build-context-4194304-${"0".repeat(16)}`;
  const alive = `build-context-1-${"0".repeat(16)}`;
  for (const name of [gone, alive, "build-context-abc123"]) mkdirSync(join(tmp, name));
  await new Contexts({ stateDir }).open();
  expect(readdirSync(tmp)).toEqual([alive]);
});

it("ends what a killed worker left running in a clone, and nothing else", async () => {
  const clones = join(stateDir, "git");
  mkdirSync(join(clones, "a-clone"));
  const nobody = "4194304";
  const start = (cwd: string, owner: string | undefined) =>
    spawn("sleep", ["1000000"], {
      cwd,
      stdio: "ignore",
      env: { PATH: process.env.PATH, ...(owner !== undefined && { OCLUSTER_WORKER: owner }) },
    });
  const orphan = start(join(clones, "a-clone"), nobody);
  const others = [
    start(join(clones, "a-clone"), String(process.ppid)),
    start(join(clones, "a-clone"), undefined),
    start(stateDir, nobody),
  ];
  await Promise.all([orphan, ...others].map((child) => once(child, "spawn")));
  const killed = once(orphan, "exit");
  await new Contexts({ stateDir }).open();
  expect(await killed).toEqual([null, "SIGKILL"]);
  for (const other of others) {
    expect(other.exitCode ?? other.signalCode).toBeNull();
    other.kill("SIGKILL");
    await once(other, "exit");
  }
});
