/**
 * Programs from Debian packages that are unpacked, not installed: nothing is started, configured or
 * replaced by it.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const CACHE = join(import.meta.dirname, "../../node_modules/.cache/debian-packages");

/**
 * The path of a directory with the files of a package, and of others that it needs and apt knows
 * of. They are fetched once, from where apt gets its packages.
 */
export function unpackedPackage(name: string, needed: readonly string[] = []): string {
  const dir = join(CACHE, name);
  if (existsSync(dir)) return dir;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "unpacking-"));
  try {
    const download = () =>
      execFileSync("apt-get", ["-qq", "download", name, ...needed.filter(isKnown)], {
        cwd: work,
        stdio: "pipe",
      });
    try {
      download();
    } catch {
      // It may not know of any packages yet. Another test may be in the same place, which apt does
      // not wait for.
      execFileSync("flock", [CACHE, "apt-get", "-qq", "update"], { stdio: "pipe" });
      download();
    }
    for (const archive of readdirSync(work).filter((file) => file.endsWith(".deb"))) {
      execFileSync("dpkg-deb", ["--extract", join(work, archive), join(work, "files")]);
    }
    try {
      renameSync(join(work, "files"), dir);
    } catch (error) {
      if (!existsSync(dir)) throw error; // Otherwise another test was quicker.
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return dir;
}

function isKnown(name: string): boolean {
  const found = execFileSync("apt-cache", ["policy", name], { encoding: "utf8" });
  return /Candidate: (?!\(none\))/.test(found);
}
