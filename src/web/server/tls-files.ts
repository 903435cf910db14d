/**
 * A certificate and its key, in files that somebody renews now and then: they are looked at again
 * and again, so that a renewed certificate is in use without a restart. While the two do not fit
 * each other, as one was written and the other not yet, the old ones stay.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { CommandFailed, type Logger } from "../../console/index.js";
import { FILE_LOOK_MS, fileVersion } from "./file-version.js";

export interface TlsFiles {
  /** PEM; the certificate first, and then those that it was signed with. */
  readonly cert: string;
  readonly key: string;
}

export interface Credentials {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Names that the certificate is for, in lower case. */
  readonly names: readonly string[];
}

/** A certificate that ends within so many days should have been renewed. */
const DAYS = 7;

/** Rejects with `CommandFailed` if they cannot be used. */
export function readCredentials({ cert: certFile, key: keyFile }: TlsFiles): Credentials {
  const cert = readPart("certificate", certFile);
  const key = readPart("key", keyFile);
  try {
    createSecureContext({ cert, key });
    const certificate = new X509Certificate(cert);
    if (!certificate.checkPrivateKey(createPrivateKey(key))) {
      throw new Error("the key is another certificate's");
    }
    return { cert, key, names: namesIn(certificate) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandFailed(
      `Cannot use certificate "${certFile}" with key "${keyFile}": ${why}. Both are PEM files, the key without a password.`,
      { cause: error },
    );
  }
}

/**
 * Calls `renewed` with other credentials whenever the files have them, until `signal` is aborted.
 */
export function watchCredentials(
  files: TlsFiles,
  renewed: (credentials: Credentials) => void,
  log: Logger,
  signal: AbortSignal,
  everyMs = FILE_LOOK_MS,
): void {
  let seen = versionOf(files);
  warnOfEnd(files, log);
  const timer = setInterval(() => {
    const version = versionOf(files);
    if (version === seen) return;
    try {
      renewed(readCredentials(files));
      seen = version;
      log.info(`The certificate "${files.cert}" was renewed, and is in use`);
      warnOfEnd(files, log);
    } catch (error) {
      log.warn(`${error instanceof Error ? error.message : error} The old ones stay in use.`);
      seen = version;
    }
  }, everyMs).unref();
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

/** Another one whenever a file may have other content. */
function versionOf({ cert, key }: TlsFiles): string {
  return [cert, key].map(fileVersion).join("/");
}

function warnOfEnd({ cert }: TlsFiles, log: Logger): void {
  const end = Date.parse(new X509Certificate(readFileSync(cert)).validTo);
  const days = (end - Date.now()) / 86_400_000;
  if (days < DAYS) {
    const when = days < 0 ? "has expired" : `expires in ${Math.floor(days)} days`;
    log.warn(`The certificate "${cert}" ${when}: renew it, and it is taken without a restart`);
  }
}

function readPart(what: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CommandFailed(`Cannot read the ${what} "${path}": ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Host names and addresses; patterns are left out, as nobody types one. */
function namesIn({ subjectAltName = "" }: X509Certificate): string[] {
  return subjectAltName.split(", ").flatMap((entry) => {
    const [, kind, name] = /^(DNS|IP Address):(.+)$/.exec(entry) ?? [];
    if (name === undefined || name.includes("*")) return [];
    return [kind === "DNS" || !name.includes(":") ? name.toLowerCase() : `[${name.toLowerCase()}]`];
  });
}
