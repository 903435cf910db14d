/**
 * Programs from Debian packages that are unpacked, not installed: nothing is started, configured or replaced by it.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const CACHE = join(import.meta.dirname, "../../node_modules/.cache/debian-packages");

/** The path of a directory with the package's files. It is fetched once, from where apt gets its packages. */
export function unpackedPackage(name: string): string {
  const dir = join(CACHE, name);
  if (existsSync(dir)) return dir;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "unpacking-"));
  try {
    const download = () =>
      execFileSync("apt-get", ["-qq", "download", name], { cwd: work, stdio: "pipe" });
    try {
      download();
    } catch {
      execFileSync("apt-get", ["-qq", "update"], { stdio: "pipe" }); // It may not know of any packages yet.
      download();
    }
    const archive = readdirSync(work).find((file) => file.endsWith(".deb"))!;
    execFileSync("dpkg-deb", ["--extract", join(work, archive), join(work, "files")]);
    renameSync(join(work, "files"), dir);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return dir;
}
