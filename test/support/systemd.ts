/**
 * Debian's systemd, to look at units and command lines: a machine for tests may not have it, or not
 * run it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { unpackedPackage } from "./debian-package.js";

/** What its programs are linked with, and a small system may not have. */
const LIBRARIES = ["libsystemd-shared", "libapparmor1", "libip4tc2", "libkmod2", "libseccomp2"];

/** Runs one of its programs in the project's directory. */
export function systemd(
  program: "systemctl" | "systemd-analyze",
  args: readonly string[],
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const root = unpackedPackage("systemd", LIBRARIES);
  const path = ["usr/bin", "bin"]
    .map((dir) => join(root, dir, program))
    .find((file) => existsSync(file))!;
  return spawnSync(path, args, {
    cwd: join(import.meta.dirname, "../.."),
    env: { ...process.env, LD_LIBRARY_PATH: directoriesOfLibraries(root) },
    encoding: "utf8",
  });
}

/** For the dynamic linker. */
function directoriesOfLibraries(root: string): string {
  const all = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(({ name }) => /\.so(\.\d+)*$/.test(name))
    .map(({ parentPath }) => parentPath);
  return [...new Set(all)].join(":");
}
