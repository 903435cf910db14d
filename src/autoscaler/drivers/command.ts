/**
 * Commands of the operator's, for whatever has a command line: `launch`, `list` and `stop`.
 * docs/scaling.md has their contract, and examples.
 */
import type { Instance } from "../decision/index.js";
import { type Driver, DriverError, isInstanceId, type Launched, MAX_INSTANCES } from "../driver.js";
import type { Settings } from "../settings.js";
import { runTool } from "../tool.js";

export interface CommandOptions {
  /** For `sh`. */
  readonly launch: string;
  readonly list: string;
  readonly stop: string | undefined;
  /** Seconds that each may take. */
  readonly timeout: number;
  readonly group: string;
  readonly pool: string;
}

export function commandOptions(settings: Settings, group: string, pool: string): CommandOptions {
  return {
    launch: settings.requiredText("launch"),
    list: settings.requiredText("list"),
    stop: settings.text("stop"),
    timeout: settings.duration("timeout", { min: 1 }) ?? 60,
    group,
    pool,
  };
}

export class CommandDriver implements Driver {
  /** Left out where there is no command for it. */
  readonly stop?: NonNullable<Driver["stop"]>;

  constructor(private readonly options: CommandOptions) {
    const { stop } = options;
    if (stop === undefined) return;
    this.stop = async (ids, signal) => void (await this.run(stop, ids, {}, signal));
  }

  get title(): string {
    return `commands of group "${this.options.group}"`;
  }

  async list(signal: AbortSignal): Promise<Instance[]> {
    const text = await this.run(this.options.list, [], {}, signal);
    const instances = new Map<string, Instance>();
    for (const [id, phase = "running", ...rest] of linesOf(text)) {
      if (!isInstanceId(id!) || (phase !== "pending" && phase !== "running") || rest.length > 0) {
        throw new DriverError(
          `The list command has printed ${JSON.stringify([id, phase, ...rest].join(" "))}; expected ID pending, or ID running`,
        );
      }
      instances.set(id!, { id: id!, phase });
      if (instances.size > MAX_INSTANCES) {
        throw new DriverError(`The list command has printed more than ${MAX_INSTANCES} instances`);
      }
    }
    return [...instances.values()];
  }

  async launch(count: number, signal: AbortSignal): Promise<Launched> {
    const text = await this.run(this.options.launch, [], { OCLUSTER_COUNT: String(count) }, signal);
    const ids = linesOf(text).map(([id]) => id!);
    const strange = ids.find((id) => !isInstanceId(id));
    if (strange !== undefined) {
      throw new DriverError(
        `The launch command has printed ${JSON.stringify(strange)}, which is no id`,
      );
    }
    if (ids.length === 0) throw new DriverError("The launch command has printed no ids");
    if (ids.length >= count) return { ids };
    return { ids, failure: `The launch command has printed ${ids.length} ids of ${count}` };
  }

  private run(
    command: string,
    args: readonly string[],
    more: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<string> {
    const { group, pool, timeout } = this.options;
    const env = { ...process.env, OCLUSTER_POOL: pool, OCLUSTER_GROUP: group, ...more };
    // What follows the command are its $1, $2, …
    return runTool(["sh", "-c", command, "sh", ...args], {
      // What one that launches has started are workers, perhaps.
      asGroup: command !== this.options.launch,
      env,
      signal,
      timeoutMs: timeout * 1000,
    });
  }
}

/** The words of the lines that have some. */
function linesOf(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([first]) => first !== "");
}
