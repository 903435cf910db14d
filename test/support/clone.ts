/**
 * A clean clone of this repository's last commit, and what a program that ran in it has left
 * behind.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

export class Clone {
  /** The clone itself, and a temporary directory for whatever runs in it. */
  readonly root: string;
  readonly tmp: string;

  private constructor(private readonly dir: string) {
    this.root = join(dir, "clone");
    this.tmp = join(dir, "tmp");
  }

  /** Clones, and links the installed npm packages in, which spares a minute of `npm ci`. */
  static make(): Clone {
    const clone = new Clone(mkdtempSync(join(tmpdir(), "ocluster-clone-")));
    mkdirSync(clone.tmp);
    execFileSync("git", ["clone", "--quiet", "--no-hardlinks", ROOT, clone.root]);
    const modules = [join(ROOT, "node_modules"), clone.root];
    try {
      execFileSync("cp", ["-al", ...modules], { stdio: "ignore" });
    } catch {
      execFileSync("cp", ["-a", ...modules]); // Links do not reach another file system.
    }
    return clone;
  }

  /** Builds it, which takes a moment on a busy machine. */
  build(): void {
    execFileSync(process.execPath, ["scripts/setup.mjs", "demo"], { cwd: this.root });
  }

  /** For programs that run in the clone. Its `TMPDIR` also marks them and their children. */
  get env(): NodeJS.ProcessEnv {
    // npm and the compiler have newer versions of Node keep what it made of them in there.
    return { ...process.env, TMPDIR: this.tmp, NODE_DISABLE_COMPILE_CACHE: "1" };
  }

  /** Processes, mounts and temporary files that are still there. */
  remains(): { processes: string[]; mounts: string[]; files: string[] } {
    const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
    return {
      processes: readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && this.#concerns(pid)),
      mounts: mounts.filter((line) => line.includes(this.tmp)),
      files: readdirSync(this.tmp),
    };
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  /**
   * A container's process has an environment of its own, but its root is mounted from our
   * directory.
   */
  #concerns(pid: string): boolean {
    if (Number(pid) === process.pid) return false;
    return ["environ", "cmdline", "mountinfo"].some((file) => {
      try {
        return readFileSync(`/proc/${pid}/${file}`, "utf8").includes(this.tmp);
      } catch {
        return false; // It has ended, or is a zombie.
      }
    });
  }
}
