/**
 * A real Prometheus, on loopback and in a temporary directory.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unpackedPackage } from "./debian-package.js";
import { freePort } from "./programs.js";

/** One line of a query's result. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

export interface Rule {
  readonly name: string;
  readonly query: string;
  readonly health: "ok" | "err" | "unknown";
  readonly lastError?: string;
  readonly state: "inactive" | "pending" | "firing";
  readonly annotations: Readonly<Record<string, string>>;
}

export class Prometheus {
  private constructor(
    private readonly dir: string,
    private readonly child: ChildProcess,
    private readonly port: number,
  ) {}

  /**
   * Starts one with a copy of the configuration in `configDir`, whose files `adapt` may change.
   * Ready when it answers queries.
   */
  static async start(
    configDir: string,
    adapt: (name: string, text: string) => string,
  ): Promise<Prometheus> {
    const dir = mkdtempSync(join(tmpdir(), "ocluster-prometheus-"));
    const config = join(dir, "config");
    cpSync(configDir, config, { recursive: true });
    for (const name of readdirSync(config)) {
      const path = join(config, name);
      writeFileSync(path, adapt(name, readFileSync(path, "utf8")));
    }
    const port = await freePort();
    const child = spawn(
      join(unpackedPackage("prometheus"), "usr/bin/prometheus"),
      [
        `--config.file=${join(config, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(dir, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.stderr!.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (said.includes("Server is ready to receive web requests")) resolve();
      });
      child.once("error", reject);
      child.once("close", () => reject(new Error(`Prometheus ended:\n${said}`)));
    });
    return new Prometheus(dir, child, port);
  }

  async stop(): Promise<void> {
    const ended = once(this.child, "close");
    this.child.kill("SIGTERM");
    await ended;
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** The value of an expression now. Throws if it is not one. */
  async query(expression: string): Promise<Sample[]> {
    const data = await this.#get(`query?${new URLSearchParams({ query: expression })}`);
    return (data as { readonly result: Sample[] }).result;
  }

  /** Asks again and again until the value of an expression is `enough`. */
  async until(expression: string, enough: (samples: Sample[]) => boolean): Promise<void> {
    while (!enough(await this.query(expression))) {}
  }

  /** The rules that it has, of all groups. */
  async rules(): Promise<Rule[]> {
    const { groups } = (await this.#get("rules")) as {
      readonly groups: readonly { readonly rules: readonly Rule[] }[];
    };
    return groups.flatMap(({ rules }) => rules);
  }

  async #get(path: string): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/v1/${path}`);
    const answer = (await response.json()) as { readonly data?: unknown; readonly error?: string };
    if (!response.ok) throw new Error(`${decodeURIComponent(path)}: ${answer.error}`);
    return answer.data;
  }
}

/**
 * Runs `promtool`, which looks at configuration and runs tests of rules; throws with what it says
 * if it finds fault.
 */
export function promtool(...args: string[]): void {
  execFileSync(join(unpackedPackage("prometheus"), "usr/bin/promtool"), args, { stdio: "pipe" });
}
