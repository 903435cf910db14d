/**
 * A service manager that listens: what would be systemd's own program writes down what it is told.
 */
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";

export class ServiceManager {
  private readonly bin: string;
  private readonly told: string;

  /** @param dir where its files go; somebody else removes it */
  constructor(private readonly dir: string) {
    this.bin = mkdtempSync(join(dir, "bin-"));
    this.told = join(this.bin, "told");
    writeFileSync(this.told, "");
    const program = join(this.bin, "systemd-notify");
    writeFileSync(program, `#!/bin/sh\necho "$*" >> ${this.told}\n`);
    chmodSync(program, 0o755);
  }

  /** The environment of a service. */
  get env(): Record<string, string> {
    return {
      NOTIFY_SOCKET: join(this.dir, "notify.socket"),
      PATH: `${this.bin}:${process.env.PATH}`,
    };
  }

  /** What it was told, line by line: `--pid=N STATE`. */
  get messages(): string[] {
    return readFileSync(this.told, "utf8").split("\n").slice(0, -1);
  }

  /** Waits until it is told that. */
  async hears(state: string): Promise<void> {
    while (!this.messages.some((message) => message.endsWith(` ${state}`))) await nextTurn();
  }
}
