/*
 * Builds in a real sandbox: what steps see, what they may do, and what is left of them.
 */

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BuildCancelled, type Builder, readSpec } from "../../src/obuilder/index.js";
import { TextLog, Workshop } from "../support/builder.js";

let workshop: Workshop;

beforeAll(() => {
  workshop = new Workshop();
});

afterAll(() => workshop.remove());

/** Command lines of all processes with that word in it. */
function processesWith(word: string): string[] {
  return execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes(word) && !line.startsWith("ps "));
}

function mountsBelow(dir: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(dir));
}

/** Ids of the processes with that command line. */
function processIds(commandLine: string): number[] {
  return execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.trim().split(/ (.*)/))
    .flatMap(([pid, args]) => (args === commandLine ? [Number(pid)] : []));
}

/** How many processes there may be in the process's cgroup. */
function processBound(pid: number): number {
  const cgroups = readFileSync(`/proc/${pid}/cgroup`, "utf8");
  const v1 = /^\d+:pids:(.*)$/m.exec(cgroups)?.[1];
  const path = v1 === undefined ? /^0::(.*)$/m.exec(cgroups)![1]! : join("pids", v1);
  return Number(readFileSync(join("/sys/fs/cgroup", path, "pids.max"), "utf8"));
}

describe.each(["crun", "runc"] as const)("steps in %s", (runtime) => {
  let builder: Builder;

  beforeAll(async () => {
    const choice = runtime === "crun" ? "auto" : runtime;
    builder = await workshop.open({
      store: `overlayfs:${workshop.path(runtime)}`,
      runtime: choice,
    });
  });

  afterAll(async () => {
    await builder.close();
    expect(mountsBelow(workshop.path(runtime))).toEqual([]);
    const { dev, ino } = statSync(join(workshop.path(runtime), "state"));
    const cgroups = ["/sys/fs/cgroup", "-name", `obuilder-${dev}-${ino}`];
    expect(execFileSync("find", cgroups, { encoding: "utf8" })).toBe("");
    for (const dir of ["in-progress", "merged", "work", "state/private"]) {
      expect(readdirSync(join(workshop.path(runtime), dir))).toEqual([]);
    }
  });

  const output = async (ops: string): Promise<string> => {
    const log = new TextLog();
    await workshop.build(builder, ops, { log });
    return log.text;
  };

  it("can open their own output again", async () => {
    const printed = await output('(run (shell "echo a > /dev/stderr; echo b > /proc/self/fd/1"))');
    expect(printed.split("\n").sort()).toEqual(["", "a", "b"]);
  });

  it("have nothing on their standard input", async () => {
    expect(await output('(run (shell "cat; echo end"))')).toBe("end\n");
  });

  it("have no network unless they ask for the host's", async () => {
    const links = '(shell "ls /sys/class/net | wc -l")';
    const own = await output(`(run ${links})`);
    const host = await output(`(run (network host) ${links})`);
    expect(Number(own)).toBe(1); // the loopback device
    expect(Number(host)).toBe(readdirSync("/sys/class/net").length);
  });

  it("are alone, as the first process on a host called builder", async () => {
    expect(await output('(run (shell "hostname; echo $$; cat /etc/hosts"))')).toBe(
      "builder\n1\n127.0.0.1 localhost builder",
    );
  });

  it("have the home that the image gives their user, or the root if it knows no such user", async () => {
    const homes = async (uid: number) =>
      await output(`(run (shell "echo root:x:0:0::/r:/bin/sh > /etc/passwd"))
        (user (uid ${uid}) (gid 0)) (run (shell "echo $HOME")) (env HOME /h) (run (shell "echo $HOME"))`);
    expect(await homes(0)).toBe("/r\n/h\n");
    expect(await homes(1000)).toBe("/\n/h\n");
  });

  it("see secrets only while they run", async () => {
    const log = new TextLog();
    const spec = readSpec(`((from busybox) (shell /bin/sh -c) (user (uid 1000) (gid 1000))
      (run (secrets (token (target /run/secrets/token))) (shell "cat /run/secrets/token"))
      (run (shell "wc -c < /run/secrets/token")))`);
    const secrets = [["token", Buffer.from("hush\n")]] as const;
    await builder.build({ spec, sourceDir: workshop.path("source"), log, secrets });
    expect(log.text).toBe("hush\n0\n");
  });

  it("find in a cache what was there before, as their own", async () => {
    const use = (command: string) =>
      `(user (uid 1000) (gid 1000)) (run (cache (c-${runtime} (target /c))) (shell "${command}"))`;
    await output(use("echo 1 > /c/a; echo 2 > /c/b; mkdir /c/d; echo 3 > /c/d/e"));
    await output(use("rm -r /c/b /c/d; echo more >> /c/a; mkdir /c/d; echo 4 > /c/d/f"));
    expect(await output(use("find /c -type f | sort; cat /c/a /c/d/f; stat -c %u /c"))).toBe(
      "/c/a\n/c/d/f\n1\nmore\n4\n1000\n",
    );
  });

  it("leave no process behind, whether they end well or not", async () => {
    const daemon = "setsid sh -c 'trap : TERM HUP; exec sleep 987654' > /dev/null 2>&1 &";
    await output(`(run (shell "${daemon} sleep 0.1; echo ok"))`);
    expect(processesWith("sleep 987654")).toEqual([]);
    await expect(output(`(run (shell "${daemon} sleep 0.1; exit 3"))`)).rejects.toThrow(
      /failed with exit status 3$/,
    );
    expect(processesWith("sleep 987654")).toEqual([]);
  });

  it("end at once when the build is cancelled, with all they started", async () => {
    const log = new TextLog();
    const cancel = new AbortController();
    const build = workshop.build(
      builder,
      '(run (shell "sleep 876543 & echo started; sleep 876543"))',
      { log, signal: cancel.signal },
    );
    await log.sees(/started/);
    cancel.abort();
    await expect(build).rejects.toThrow(BuildCancelled);
    // The asker leaves at once; whoever asks for the same step next waits for its end.
    const again = new AbortController();
    const waiting = new TextLog();
    const second = workshop.build(
      builder,
      '(run (shell "sleep 876543 & echo started; sleep 876543"))',
      { log: waiting, signal: again.signal },
    );
    await waiting.sees(/started/);
    const sleepers = () => processesWith("sleep 876543").filter((line) => line.startsWith("sleep"));
    await expect.poll(sleepers).toHaveLength(2);
    again.abort();
    await expect(second).rejects.toThrow(BuildCancelled);
  });

  it("report a program that does not exist", async () => {
    const spec = readSpec('((from busybox) (shell /no/such/program) (run (shell "x")))');
    const log = new TextLog();
    await expect(builder.build({ spec, sourceDir: workshop.path("source"), log })).rejects.toThrow(
      /^"\/no\/such\/program" "x" failed with exit status \d+$/,
    );
    expect(log.text).toMatch(/no such file/i);
  });

  it("print more than a pipe holds, and megabytes", async () => {
    const printed = await output('(run (shell "yes 0123456789abcdef | head -c 5000000"))');
    expect(printed).toHaveLength(5_000_000);
  });

  it("leave nothing that other users of the host could run or open", async () => {
    await output('(run (shell "cp /bin/busybox /mine; chmod 4755 /mine"))');
    const store = workshop.path(runtime);
    for (const dir of ["result", "in-progress", "merged", "cache", "cache-merged", "lower"]) {
      expect({ dir, mode: statSync(join(store, dir)).mode & 0o777 }).toEqual({ dir, mode: 0o700 });
    }
  });

  it("may make nodes of devices, but not open the host's", async () => {
    const file = workshop.path(`device-${runtime}`);
    execFileSync("truncate", ["-s", "1M", file]);
    const losetup = (...args: string[]) => execFileSync("losetup", args, { encoding: "utf8" });
    const device = losetup("--find", "--show", file).trim();
    try {
      const number = device.replace("/dev/loop", "");
      const printed = await output(`(run (shell "mknod /d b 7 ${number} && echo made
        dd if=/d count=1 2>&1 | grep -o 'not permitted'; echo x > /dev/null && echo null"))`);
      expect(printed).toBe("made\nnot permitted\nnull\n");
    } finally {
      losetup("--detach", device);
    }
  });

  it("leave half of the machine's processes to others", async () => {
    const [log, stop] = [new TextLog(), new AbortController()];
    const time = runtime === "crun" ? 271828 : 271829;
    const ops = `(run (shell "echo started; exec sleep ${time}"))`;
    const running = workshop.build(builder, ops, { log, signal: stop.signal });
    await log.sees(/^started$/m);
    const bounds = processIds(`sleep ${time}`).map(processBound);
    stop.abort();
    await expect(running).rejects.toThrow(BuildCancelled);
    const most = ["pid_max", "threads-max"].map((name) =>
      Number(readFileSync(`/proc/sys/kernel/${name}`, "utf8")),
    );
    expect(bounds).toEqual([Math.floor(Math.min(...most) / 2)]);
  });

  it("cannot make the sandbox mount on the host through links in their root", async () => {
    const outside = workshop.path(`outside-${runtime}`);
    await output(`(run (shell "rm -rf /mnt; ln -s ../../../../../../../..${outside} /mnt"))
      (run (cache (x-${runtime} (target /mnt/made))) (shell "touch /mnt/made/file"))`);
    expect(() => readdirSync(outside)).toThrow(/ENOENT/);
  });
});

describe("limits", () => {
  it("stop a step that makes too many processes", async () => {
    const builder = await workshop.open({
      store: `overlayfs:${workshop.path("limited")}`,
      limits: { pids: 20 },
    });
    try {
      const many = '(run (shell "for i in $(seq 40); do sleep 10 & done; echo all"))';
      await expect(workshop.build(builder, many)).rejects.toThrow(/failed with exit status/);
      await workshop.build(builder, '(run (shell "sleep 0 & wait"))');
    } finally {
      await builder.close();
    }
  });

  it("stop a step that takes too much memory", async () => {
    const builder = await workshop.open({
      store: `overlayfs:${workshop.path("limited")}`,
      limits: { memory: 64 * 1024 * 1024 },
    });
    try {
      const greedy = '(run (shell "head -c 200000000 /dev/zero | tail -c 200000000 > /dev/null"))';
      await expect(workshop.build(builder, greedy)).rejects.toThrow(/failed with/);
    } finally {
      await builder.close();
    }
  });
});

describe("fast sync", () => {
  // The kernel refuses to sync a pipe, if it is asked.
  it.each([
    { fastSync: true, says: "x\n0\n" },
    { fastSync: false, says: "x\n1\n" },
  ])("$fastSync: calls that wait for the disk say $says", async ({ fastSync, says }) => {
    const store = `overlayfs:${workshop.path(`fast-${fastSync}`)}`;
    const builder = await workshop.open({ store, fastSync });
    const log = new TextLog();
    try {
      const ops = '(run (shell "{ echo x | dd conv=fsync 2> /dev/null; echo $?; } | cat"))';
      await workshop.build(builder, ops, { log });
    } finally {
      await builder.close();
    }
    expect(log.text).toBe(says);
  });
});
