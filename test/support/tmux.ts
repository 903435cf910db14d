/**
 * A terminal as people have it, by tmux: what stands on its screen, after all that was drawn there,
 * and lines that are broken anew when it becomes narrow.
 */
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { expect } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

export class Tmux {
  private readonly server = `ocluster-test-${randomUUID()}`;

  /** Runs a shell command, whose screen stays when it has ended. */
  constructor(command: string, { columns = 80, rows = 24 } = {}) {
    // Ctrl-C is for the command. No configuration of this machine's, and a shell that reads none.
    const script = `cd '${ROOT}'; trap : INT; ${command}; echo "[status $?]"; exec sleep infinity`;
    const size = ["-x", `${columns}`, "-y", `${rows}`];
    this.tmux("-f", "/dev/null", "new-session", "-d", ...size, "sh", "-c", script);
  }

  /**
   * What is on the screen, and what has left it at the top; without blanks at the ends of lines,
   * and lines at its end.
   */
  screen(): string {
    return this.tmux("capture-pane", "-p", "-S", "-").replace(/\s+$/, "");
  }

  /** Waits until the screen is like that. Resolves to it. */
  async shows(pattern: RegExp): Promise<string> {
    let screen = "";
    await expect.poll(() => (screen = this.screen()), { timeout: 30_000 }).toMatch(pattern);
    return screen;
  }

  resize(columns: number): void {
    this.tmux("resize-window", "-x", `${columns}`);
  }

  /** Keys as tmux names them: `C-c`. */
  press(...keys: readonly string[]): void {
    this.tmux("send-keys", ...keys);
  }

  close(): void {
    this.tmux("kill-server");
  }

  private tmux(...args: readonly string[]): string {
    return execFileSync("tmux", ["-L", this.server, "-u", ...args], { encoding: "utf8" });
  }
}
