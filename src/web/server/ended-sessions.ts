/**
 * Sessions that were signed out before their time: a cookie that somebody has kept would open them
 * again. A line of a file each, its id and its end, so that they stay ended over restarts.
 */
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../console/index.js";

const FILE = "ended-sessions";

/** Lines of it; those of sessions that would have ended by now are left out when it is read. */
const MAX_LINES = 100_000;

export interface EndedSession {
  readonly id: string;
  /** When it would have ended by itself: seconds since the Unix epoch. */
  readonly expires: number;
}

export class EndedSessions {
  private readonly path: string;

  constructor(
    private readonly dir: string,
    private readonly log: Pick<Logger, "warn">,
  ) {
    this.path = join(dir, FILE);
  }

  /** Those that could still be opened at `now`. */
  read(now: number): readonly EndedSession[] {
    let text: string;
    try {
      text = readFileSync(this.path, "latin1");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.complain("read", error);
      return [];
    }
    const lines = text.split("\n");
    const ended = lines.flatMap((line) => {
      const [, id, end] = /^([\w-]{1,100}) (\d{1,15})$/.exec(line) ?? [];
      return id !== undefined && Number(end) > now ? [{ id, expires: Number(end) }] : [];
    });
    if (lines.length > MAX_LINES) this.attempt(() => this.write(ended.slice(-MAX_LINES / 2)));
    return ended;
  }

  add(ended: EndedSession): void {
    this.attempt(() => {
      mkdirSync(this.dir, { recursive: true, mode: 0o700 });
      appendFileSync(this.path, lineOf(ended), { mode: 0o600 });
    });
  }

  private write(ended: readonly EndedSession[]): void {
    const fresh = `${this.path}.new`;
    writeFileSync(fresh, ended.map(lineOf).join(""), { mode: 0o600 });
    renameSync(fresh, this.path);
  }

  private attempt(change: () => void): void {
    try {
      change();
    } catch (error) {
      this.complain("write", error);
    }
  }

  private complain(what: string, error: unknown): void {
    this.log.warn(
      `Cannot ${what} "${this.path}": ${(error as Error).message}. ` +
        "Sessions that are signed out can be opened again after a restart: see --state-dir",
    );
  }
}

function lineOf({ expires, id }: EndedSession): string {
  return `${id} ${Math.ceil(expires)}\n`;
}
