/** What programs in this process log, to standard error, while a test wants to know. */
import { vi } from "vitest";

export class LogEntries implements Disposable {
  private readonly written: string[] = [];
  private readonly spy = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    this.written.push(String(text));
    return true;
  });

  /** All of it so far. */
  get text(): string {
    return this.written.join("");
  }

  /** Resolves with the first entry that fits. */
  async first(pattern: RegExp): Promise<string> {
    return vi.waitUntil(() => this.text.split("\n").find((line) => pattern.test(line)), {
      timeout: 20_000,
      interval: 5,
    });
  }

  [Symbol.dispose](): void {
    this.spy.mockRestore();
  }
}
