/**
 * Credential helpers: programs `docker-credential-NAME` that keep the operator's registry
 * passwords, in a keychain or with a cloud, so that they are in no file.
 *
 * The protocol is that of github.com/docker/docker-credential-helpers: `get` takes a registry's
 * address on standard input and prints JSON; `list` prints the addresses that have a password. Who
 * names the helper is the operator, in a file; its name is looked at all the same, as it becomes
 * that of a program.
 */
import { ProgramError, start } from "../system/index.js";
import { quoted } from "../text/index.js";

/**
 * A helper did not do what it was asked for; the message has nothing that it printed on success.
 */
export class CredentialHelperFailed extends Error {
  override readonly name = "CredentialHelperFailed";
}

/**
 * What a helper prints for `get`. The user name `<token>` means that the secret is an identity
 * token.
 */
export interface HelperCredentials {
  readonly Username: string;
  readonly Secret: string;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

/** Helpers ask servers, but a build waits for them. */
const TIMEOUT_MS = 30_000;

const MAX_OUTPUT = 1024 * 1024;

/** What helpers say that have no password for a registry. */
const NOT_FOUND = /credentials not found/i;

export class CredentialHelper {
  /** Throws `CredentialHelperFailed` on a name that no helper can have. `timeout` in ms. */
  constructor(
    private readonly name: string,
    private readonly timeout = TIMEOUT_MS,
  ) {
    if (!NAME.test(name)) {
      throw new CredentialHelperFailed(`${quoted(name)} is no name of a credential helper`);
    }
  }

  /** The credentials for a registry, if it has any. Throws `CredentialHelperFailed`. */
  async get(registry: string): Promise<HelperCredentials | undefined> {
    const output = await this.#run("get", `${registry}\n`);
    if (output === undefined) return undefined;
    const { Secret, Username } = this.#json(output) as Partial<HelperCredentials>;
    if (typeof Secret !== "string" || typeof Username !== "string") throw this.#nonsense();
    return { Secret, Username };
  }

  /** The registries that it has credentials for. Throws `CredentialHelperFailed`. */
  async list(): Promise<string[]> {
    const output = await this.#run("list", "");
    return output === undefined ? [] : Object.keys(this.#json(output));
  }

  #json(output: string): object {
    try {
      const value: unknown = JSON.parse(output);
      if (typeof value === "object" && value !== null) return value;
    } catch {
      // What it printed can be a password: it is not for the log.
    }
    throw this.#nonsense();
  }

  #nonsense(): CredentialHelperFailed {
    return this.#failed("did not print what it should");
  }

  #failed(why: string): CredentialHelperFailed {
    return new CredentialHelperFailed(`docker-credential-${this.name} ${why}`);
  }

  /** Its standard output; undefined if it has nothing for what it was asked. */
  async #run(action: "get" | "list", input: string): Promise<string | undefined> {
    // In a group of its own: what it may have started can be ended with it.
    const { process: child, ended } = start([`docker-credential-${this.name}`, action], {
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    });
    let failure: Error | undefined;
    let output = "";
    const end = (why: string): void => {
      failure ??= this.#failed(why);
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch {
        // It has ended.
      }
      child.stdout?.destroy();
    };
    const late = () => end(`did not answer within ${this.timeout / 1000} s`);
    const timer = setTimeout(late, this.timeout);
    // Without a file to spare there are no pipes.
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.length > MAX_OUTPUT) end("printed too much");
    });
    child.stdin?.on("error", () => {}).end(input); // It may not read what it does not need.
    try {
      const { signal, status } = await ended;
      if (failure) throw failure;
      if (status === 0) return output;
      if (NOT_FOUND.test(output)) return undefined;
      const how = signal ? `signal ${signal}` : `exit status ${status}`;
      throw this.#failed(`failed with ${how}: ${firstLine(output)}`);
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      throw this.#failed(`cannot be run: ${(error.cause as Error).message}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Helpers that fail say why on standard output. */
function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0]!.slice(0, 200);
}
