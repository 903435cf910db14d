/**
 * What an object store is signed to with, from where Amazon's programs have it: `AWS_ACCESS_KEY_ID`
 * and `AWS_SECRET_ACCESS_KEY` (and `AWS_SESSION_TOKEN`), else a profile (`AWS_PROFILE`) of the file
 * `AWS_SHARED_CREDENTIALS_FILE`, by default `~/.aws/credentials`. The file is read again when it
 * has changed: others renew what is in it.
 */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { quoted } from "../text/index.js";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** There are none, or they cannot be read. The message says what to do. */
export class NoCredentials extends Error {
  override readonly name = "NoCredentials";
}

/** Bytes of a file of credentials; more is none. */
const MAX_FILE = 1024 ** 2;

/** How often it is looked whether the file has changed, in ms. */
const LOOK_MS = 10_000;

/** Gives what there is at this moment. Throws `NoCredentials`. */
export type CredentialSource = () => Credentials;

/**
 * The variables of `env`, or the file that they name. Throws `NoCredentials`.
 *
 * @param now in ms, on any clock that does not jump
 */
export function findCredentials(
  env: NodeJS.ProcessEnv = process.env,
  now: () => number = () => performance.now(),
): CredentialSource {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  if (accessKeyId && secretAccessKey) {
    const credentials = {
      accessKeyId,
      secretAccessKey,
      sessionToken: env.AWS_SESSION_TOKEN || undefined,
    };
    return () => credentials;
  }
  if (accessKeyId || secretAccessKey) {
    const missing = accessKeyId ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID";
    throw new NoCredentials(`${missing} is not set, and its other half is: set both`);
  }
  const path =
    env.AWS_SHARED_CREDENTIALS_FILE || join(env.HOME ?? homedir(), ".aws", "credentials");
  const profile = env.AWS_PROFILE || "default";
  return fromFile(path, profile, now);
}

function fromFile(path: string, profile: string, now: () => number): CredentialSource {
  let credentials = readProfile(path, profile);
  let changed = changeOf(path);
  let looked = now();
  return () => {
    if (now() - looked < LOOK_MS) return credentials;
    looked = now();
    const change = changeOf(path);
    if (change === changed) return credentials;
    try {
      credentials = readProfile(path, profile);
      changed = change;
    } catch (error) {
      // Somebody may just be writing it.
      if (!(error instanceof NoCredentials)) throw error;
    }
    return credentials;
  };
}

/** Tells one content of a file from the next. */
function changeOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? `${stats.ino} ${stats.mtimeMs} ${stats.size}` : "";
}

function readProfile(path: string, profile: string): Credentials {
  let text: string;
  try {
    if (statSync(path).size > MAX_FILE) throw new Error("it is far too large");
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new NoCredentials(
      `${quoted(path)} cannot be read (${(error as Error).message}): set AWS_ACCESS_KEY_ID and ` +
        "AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE to a file that has them",
      { cause: error },
    );
  }
  const values = sectionOf(text, profile);
  if (!values) {
    throw new NoCredentials(
      `${quoted(path)} has no profile [${profile}]: add it, or set AWS_PROFILE to one that is there`,
    );
  }
  const accessKeyId = values.get("aws_access_key_id");
  const secretAccessKey = values.get("aws_secret_access_key");
  if (!accessKeyId || !secretAccessKey) {
    throw new NoCredentials(
      `Profile [${profile}] of ${quoted(path)} needs aws_access_key_id and aws_secret_access_key`,
    );
  }
  return { accessKeyId, secretAccessKey, sessionToken: values.get("aws_session_token") };
}

/** What a section of an INI file has, by names in small letters; undefined if it is not there. */
function sectionOf(text: string, name: string): Map<string, string> | undefined {
  let values: Map<string, string> | undefined;
  let isIn = false;
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[([^\]]*)\]/.exec(line);
    if (section) {
      isIn = section[1]!.trim().replace(/^profile\s+/, "") === name;
      if (isIn) values ??= new Map();
      continue;
    }
    const [, key, value] = /^\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (isIn && key !== undefined) values!.set(key.toLowerCase(), value!);
  }
  return values;
}
