/**
 * A repository's URL as a job gives it: hostile until it has been looked at.
 *
 * Git understands far more than URLs: `ext::COMMAND` runs a command, a path or `file:` reads the worker's disk, what
 * begins with `-` is an option. So only git, http and https pass, in the form `SCHEME://HOST/…`. Names and passwords in
 * a URL never get as far as a log, a process list or a Git configuration.
 */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { quoted } from "../../text/quoting.js";
import { InvalidJob } from "../failure.js";

const SCHEMES = ["git", "http", "https"];

/** The longest part of a URL's path that is used in a directory's name; file systems take 255 bytes. */
const MAX_BASENAME = 100;

export class RepositoryUrl {
  /** The URL without user name and password. */
  readonly plain: string;
  readonly host: string;
  /** The URL with nothing but scheme, credentials and host, as git-credential-store(1) wants it; undefined without any. */
  readonly credentials: string | undefined;
  /** The name of the local clone's directory, `BASENAME-SHA1(url)`: another password is another clone. */
  readonly id: string;

  /** Throws `InvalidJob`. */
  constructor(text: string) {
    const shown = redact(text);
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
    if (scheme === undefined) throw new InvalidJob(`Missing scheme in URL ${shown}`);
    if (!SCHEMES.includes(scheme)) {
      throw new InvalidJob(`Unsupported scheme ${quoted(scheme)} in URL ${shown}`);
    }
    const url = /[\u0000- \u007f\\]/.test(text) || !URL.canParse(text) ? undefined : new URL(text);
    if (!url?.hostname || !/^[a-z]+:\/\/[^/]/i.test(text)) {
      // A password with a `/` in it makes no URL, but is one.
      throw new InvalidJob(
        `Invalid URL ${quoted(withoutLogin(text))}: expected ${scheme}://HOST/PATH`,
      );
    }
    this.host = url.hostname;
    const { host, password, protocol, username } = url;
    this.credentials =
      username || password ? `${protocol}//${username}:${password}@${host}` : undefined;
    url.username = "";
    url.password = "";
    this.plain = this.credentials === undefined ? text : url.href;
    const basename = posix
      .basename(url.pathname)
      .replace(/[^\w.+-]/g, "_")
      .slice(0, MAX_BASENAME);
    this.id = `${basename}-${createHash("sha1").update(text).digest("hex")}`;
  }
}

/** `text` without the user names and passwords of the URLs in it. */
export function redact(text: string): string {
  return text.replace(/:\/\/[^/\s]*@/g, "://");
}

/** What is no URL, without all from its `://` to its last `@`. */
function withoutLogin(text: string): string {
  const login = text.indexOf("://") + 3;
  const end = text.lastIndexOf("@") + 1;
  return login < 3 || end <= login ? text : text.slice(0, login) + text.slice(end);
}
