/**
 * What this worker's operator has logged in to, by `docker login`: base images may come from private registries.
 * https://docs.docker.com/reference/cli/docker/login/
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { logger } from "../../cli/log.js";

export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
}

/** By the registry's address, as in the configuration file. */
export type RegistryAuths = ReadonlyMap<string, RegistryAuth>;

/** The file is read anew for each build, so that a login counts at once. Without a usable file there is none. */
export async function operatorAuths(): Promise<RegistryAuths> {
  const directory = process.env.DOCKER_CONFIG || join(homedir(), ".docker");
  const path = join(directory, "config.json");
  const auths = new Map<string, RegistryAuth>();
  try {
    const config = JSON.parse(await readFile(path, "utf8")) as {
      auths?: Record<string, { auth?: string }>;
    };
    for (const [address, { auth }] of Object.entries(config.auths ?? {})) {
      const [, username, password] =
        /^([^:]*):(.*)$/s.exec(Buffer.from(auth ?? "", "base64").toString()) ?? [];
      if (username !== undefined && password !== undefined) {
        auths.set(address, { username, password });
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      logger("worker").warn(
        `Ignoring Docker's configuration "${path}": ${(error as Error).message}`,
      );
    }
  }
  return auths;
}
