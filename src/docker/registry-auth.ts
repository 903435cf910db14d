/**
 * What this worker's operator has logged in to, by `docker login`: base images may come from
 * private registries.
 *
 * Docker's configuration file names, for a registry: a helper of its own (`credHelpers`), else the
 * helper for all (`credsStore`), else it has the password itself (`auths`).
 * https://docs.docker.com/reference/cli/docker/login/
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { CredentialHelper, type HelperCredentials } from "./credential-helper.js";

/** As the engine's API spells it. With an identity token the password is empty. */
export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
  readonly identitytoken?: string;
}

/** By the registry's address, as in the configuration file. */
export type RegistryAuths = ReadonlyMap<string, RegistryAuth>;

/** As much of the configuration file as matters here. */
interface DockerConfig {
  readonly auths: Readonly<Record<string, StoredAuth>>;
  readonly credHelpers: Readonly<Record<string, string>>;
  readonly credsStore: string | undefined;
}

interface StoredAuth {
  /** `user:password` in base64. */
  readonly auth?: string;
  readonly identitytoken?: string;
}

/** Told what is wrong with a file or a helper, and left out therefore. */
export type OnWarning = (message: string) => void;

/** The user name with which helpers say that the secret is a token. */
const TOKEN_USER = "<token>";

export class OperatorLogins {
  private constructor(
    private readonly config: DockerConfig,
    private readonly onWarning: OnWarning,
  ) {}

  /**
   * The file is read anew for each build, so that a login counts at once. Without a usable file
   * there are no logins.
   */
  static async read(onWarning: OnWarning): Promise<OperatorLogins> {
    const directory = process.env.DOCKER_CONFIG || join(homedir(), ".docker");
    const path = join(directory, "config.json");
    try {
      return new OperatorLogins(parseConfig(await readFile(path, "utf8")), onWarning);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
        onWarning(`Ignoring Docker's configuration "${path}": ${(error as Error).message}`);
      }
      return new OperatorLogins(parseConfig("{}"), onWarning);
    }
  }

  /**
   * What to log in to one registry with, if anything. A helper that fails is warned of, and counts
   * as none.
   */
  async get(registry: string): Promise<RegistryAuth | undefined> {
    const { credHelpers, credsStore } = this.config;
    const helper = ownValue(credHelpers, registry) ?? credsStore;
    return (
      (helper ? await askHelper(helper, registry, this.onWarning) : undefined) ??
      this.#stored(registry)
    );
  }

  /**
   * For each registry that there is something for: the classic builder wants to know before it
   * begins.
   */
  async all(): Promise<RegistryAuths> {
    const { auths, credHelpers, credsStore } = this.config;
    const listed = credsStore ? await listHelper(credsStore, this.onWarning) : [];
    const registries = new Set([...Object.keys(auths), ...listed, ...Object.keys(credHelpers)]);
    const found = await Promise.all(
      [...registries].map(async (registry) => [registry, await this.get(registry)] as const),
    );
    return new Map(
      found.filter((entry): entry is [string, RegistryAuth] => entry[1] !== undefined),
    );
  }

  /** What the file itself has. Older clients have put URLs there, `https://HOST/v1/`. */
  #stored(registry: string): RegistryAuth | undefined {
    const { auths } = this.config;
    const key = Object.hasOwn(auths, registry)
      ? registry
      : Object.keys(auths).find((address) => hostOf(address) === registry);
    return key === undefined ? undefined : readStored(auths[key]!);
  }
}

/**
 * What is not as it should be in the file counts as if it were not there. Throws on what is no JSON
 * object.
 */
function parseConfig(text: string): DockerConfig {
  const config: unknown = JSON.parse(text);
  if (!isRecord(config)) throw new Error("it is no object");
  const { auths, credHelpers, credsStore } = config;
  return {
    auths: entriesOf(auths, isStoredAuth),
    credHelpers: entriesOf(credHelpers, isString),
    credsStore: isString(credsStore) ? credsStore : undefined,
  };
}

function entriesOf<T>(value: unknown, fits: (one: unknown) => one is T): Record<string, T> {
  const entries = Object.entries(isRecord(value) ? value : {});
  return Object.fromEntries(entries.filter((entry): entry is [string, T] => fits(entry[1])));
}

function isStoredAuth(value: unknown): value is StoredAuth {
  return isRecord(value) && [value.auth, value.identitytoken].every(isStringIfAny);
}

function isStringIfAny(value: unknown): value is string | undefined {
  return value === undefined || isString(value);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function readStored({ auth = "", identitytoken }: StoredAuth): RegistryAuth | undefined {
  const text = Buffer.from(auth, "base64").toString();
  const [, username = "", password = ""] = /^([^:]*):(.*)$/s.exec(text) ?? [];
  if (identitytoken) return { username, password: "", identitytoken };
  return username === "" ? undefined : { username, password };
}

async function askHelper(
  name: string,
  registry: string,
  onWarning: OnWarning,
): Promise<RegistryAuth | undefined> {
  return await orNothing(async () => {
    const credentials = await new CredentialHelper(name).get(registry);
    return credentials && fromHelper(credentials);
  }, onWarning);
}

async function listHelper(name: string, onWarning: OnWarning): Promise<string[]> {
  return (await orNothing(() => new CredentialHelper(name).list(), onWarning)) ?? [];
}

async function orNothing<T>(ask: () => Promise<T>, onWarning: OnWarning): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    onWarning((error as Error).message);
    return undefined;
  }
}

function fromHelper({ Secret, Username }: HelperCredentials): RegistryAuth {
  return Username === TOKEN_USER
    ? { username: "", password: "", identitytoken: Secret }
    : { username: Username, password: Secret };
}

function hostOf(address: string): string {
  return address.replace(/^https?:\/\//, "").split("/", 1)[0]!;
}

function ownValue<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
