/**
 * The processes of one run of Git: itself, and what it starts (`git-remote-https`, `index-pack`,
 * shells, a Git for each submodule), which goes on when only Git itself is ended. So a run has a
 * mark in its environment, which all of them inherit, and whoever ends the run looks for the mark.
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { killAll, signalAll, withEnvironment } from "../../system/index.js";

const VARIABLE = "OCLUSTER_GIT";

/** How long, in ms, Git may take to remove its locks and what is half-made. It takes a few. */
const GRACE = 2000;

/** How long to wait before looking again whether all are gone, in ms. */
const LOOK_AGAIN = 10;

/** What the processes of a run take. */
export interface GitUsage {
  /** Bytes of memory that are theirs alone; mapped packs do not count. */
  readonly memory: number;
  /** Bytes that one of them has read, the most of all, from files, pipes and the network. */
  readonly read: number;
}

export class GitProcesses {
  readonly #id = randomUUID();

  /** The variable that makes a process one of these. */
  get mark(): Readonly<Record<string, string>> {
    return { [VARIABLE]: this.#id };
  }

  /**
   * Ends all; resolves when they are gone. They are asked first, as what Git leaves behind then is
   * in order. The result is false if some had to be killed: the clone may be damaged.
   */
  async end(): Promise<boolean> {
    const deadline = performance.now() + GRACE;
    const asked = new Set<number>();
    for (;;) {
      const pids = await this.#find();
      if (pids.length === 0) return true;
      if (performance.now() >= deadline) break;
      signalAll(
        pids.filter((pid) => !asked.has(pid)),
        "SIGTERM",
      );
      for (const pid of pids) asked.add(pid);
      await delay(LOOK_AGAIN);
    }
    await killAll(() => this.#find());
    return false;
  }

  /** What they take. */
  async usage(): Promise<GitUsage> {
    let memory = 0;
    let read = 0;
    for (const pid of await this.#find()) {
      const status = await readFile(`/proc/${pid}/status`, "latin1").catch(() => "");
      const io = await readFile(`/proc/${pid}/io`, "latin1").catch(() => "");
      memory += 1024 * Number(/^RssAnon:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0);
      read = Math.max(read, Number(/^rchar: (\d+)$/m.exec(io)?.[1] ?? 0));
    }
    return { memory, read };
  }

  #find(): Promise<number[]> {
    return withEnvironment(Buffer.from(`${VARIABLE}=${this.#id}\0`));
  }
}
