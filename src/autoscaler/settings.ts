/**
 * Reading a configuration: each value by its name and kind, with an error that says where it is and
 * what was expected. What nobody has asked for is a mistake in the file.
 */
import { CommandFailed } from "../console/index.js";
import { readDuration, readSize, visible } from "../text/index.js";

/** A mistake in a configuration file. */
export class ConfigError extends CommandFailed {}

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** Longest text that is quoted in an error. */
const QUOTED = 100;

export class Settings {
  readonly #asked = new Set<string>();

  constructor(
    /** The file, for errors. */
    readonly file: string,
    /** Where in the file. */
    readonly path: string,
    private readonly value: unknown,
  ) {}

  /** An error about what is at a key, or here if that is empty. */
  error(key: string, what: string): ConfigError {
    const path = [this.path, key].filter((part) => part !== "").join(".");
    return new ConfigError(`${this.file}: ${path === "" ? "" : `${visible(path)}: `}${what}`);
  }

  /** All of it, as it is. Throws if it is no mapping. */
  object(): Readonly<Record<string, unknown>> {
    const { value } = this;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.error("", "expected a mapping");
    }
    return value as Readonly<Record<string, unknown>>;
  }

  keys(): string[] {
    return Object.keys(this.object());
  }

  section(key: string): Settings | undefined {
    const value = this.#get(key);
    return value === undefined ? undefined : this.#below(key, value);
  }

  /** The sections of a list, which must be there and must not be empty. */
  sections(key: string): Settings[] {
    const value = this.#get(key);
    if (!Array.isArray(value) || value.length === 0) throw this.error(key, "expected a list");
    return value.map((each, index) => this.#below(`${key}[${index}]`, each));
  }

  text(key: string): string | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    // YAML takes `17` and `yes` for other things.
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    if (typeof value !== "string" || value === "" || value.includes("\0")) {
      throw this.error(key, "expected a text");
    }
    return value;
  }

  requiredText(key: string): string {
    const text = this.text(key);
    if (text === undefined) throw this.error(key, "is missing");
    return text;
  }

  /** A list of texts; empty if there is none. */
  texts(key: string): string[] {
    const value = this.#get(key) ?? [];
    if (!Array.isArray(value) || value.some((each) => typeof each !== "string")) {
      throw this.error(key, "expected a list of texts");
    }
    return value as string[];
  }

  integer(key: string, range: Range): number | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (!Number.isSafeInteger(value)) throw this.#unexpected(key, value, "a whole number");
    return this.#inRange(key, value as number, range);
  }

  /** Seconds, of a number or a text such as `5m`. */
  duration(key: string, range: Range = {}): number | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    const seconds = readDuration(String(value));
    if (seconds === null) throw this.#unexpected(key, value, "a duration such as 90s or 10m");
    return this.#inRange(key, seconds, range);
  }

  /** Bytes, of a number or a text such as `64G`. */
  size(key: string): number | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    const bytes = readSize(String(value), 1);
    if (bytes === null || bytes === 0) throw this.#unexpected(key, value, "a size such as 64G");
    return bytes;
  }

  /** Throws for a setting that nobody has asked for. */
  done(): void {
    const unknown = this.keys().find((key) => !this.#asked.has(key));
    if (unknown === undefined) return;
    const known = [...this.#asked].sort().join(", ");
    throw this.error(unknown, `there is no such setting; there are ${known}`);
  }

  #get(key: string): unknown {
    this.#asked.add(key);
    const object = this.object();
    return Object.hasOwn(object, key) ? (object[key] ?? undefined) : undefined;
  }

  #below(key: string, value: unknown): Settings {
    return new Settings(this.file, this.path === "" ? key : `${this.path}.${key}`, value);
  }

  #inRange(key: string, value: number, { max, min = 0 }: Range): number {
    if (value < min) throw this.error(key, `expected at least ${min}`);
    if (max !== undefined && value > max) throw this.error(key, `expected at most ${max}`);
    return value;
  }

  #unexpected(key: string, value: unknown, expected: string): ConfigError {
    const shown = visible(JSON.stringify(value) ?? "nothing").slice(0, QUOTED);
    return this.error(key, `${shown} is not ${expected}`);
  }
}
