/** A process that has no file to spare. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";

/** Runs `body` while this process cannot open another file. */
export function withoutFiles<T>(body: () => T): T {
  const limits = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  const limit = (soft: string | number) =>
    execFileSync("prlimit", [`--pid=${process.pid}`, `--nofile=${soft}:`]);
  const taken: number[] = [];
  limit(256);
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {
    return body();
  } finally {
    for (const file of taken) closeSync(file);
    limit(limits![1]!);
  }
}
