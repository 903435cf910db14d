/**
 * A repository's URL as a job gives it: hostile until it has been looked at.
 *
 * Git understands far more than URLs: `ext::COMMAND` runs a command, a path or `file:` reads the
 * worker's disk, what begins with `-` is an option. So only git, http and https pass, in the form
 * `SCHEME://HOST/…`. Names and passwords in a URL never get as far as a log, a process list or a
 * Git configuration.
 */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { quoted } from "../../text/index.js";
import { InvalidJob } from "../failure.js";

const SCHEMES = ["git", "http", "https"];

/**
 * The longest part of a URL's path that is used in a directory's name; file systems take 255 bytes.
 */
const MAX_BASENAME = 100;

export class RepositoryUrl {
  /** The URL without user name and password. */
  readonly plain: string;
  readonly host: string;
  /**
   * The URL with nothing but scheme, credentials and host, as git-credential-store(1) wants it;
   * undefined without any.
   */
  readonly credentials: string | undefined;
  /**
   * The name of the local clone's directory, `BASENAME-SHA1(url)`: another password is another
   * clone.
   */
  readonly id: string;

  /** Throws `InvalidJob`. */
  constructor(text: string) {
    const scheme = schemeOf(text);
    if (scheme === undefined) throw new InvalidJob(`Missing scheme in URL ${withoutLogin(text)}`);
    if (!SCHEMES.includes(scheme)) {
      const shown = withoutLogin(text);
      throw new InvalidJob(`Unsupported scheme ${quoted(scheme)} in URL ${shown}`);
    }
    const url = /[\u0000- \u007f\\]/.test(text) || !URL.canParse(text) ? undefined : new URL(text);
    if (!url?.hostname || !/^[a-z]+:\/\/[^/]/i.test(text)) {
      const shown = quoted(withoutLogin(text));
      throw new InvalidJob(`Invalid URL ${shown}: expected ${scheme}://HOST/PATH${inLogin(text)}`);
    }
    // Of a password with a `/` in it, what is before that would be the host, and the rest would be
    // shown.
    const afterScheme = text.slice(text.indexOf("://") + 3);
    if (afterScheme.lastIndexOf("@") > afterScheme.search(/[/?#]|$/)) {
      const shown = quoted(withoutLogin(text));
      throw new InvalidJob(`Ambiguous URL ${shown}: in a path, write @ as %40${inLogin(text)}`);
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

/**
 * `text` without the user names and passwords of the URLs in it. As passwords have slashes and
 * other odd characters in them, a login ends at the last `@` of what is in quotes with the URL, or
 * else of the word. Takes linear time: servers choose what Git prints.
 */
export function redact(text: string): string {
  return text.replace(/'[^'\n]*'/g, withoutUrlLogin).replace(/\S+/g, withoutUrlLogin);
}

/** A scheme, in lower case. What is before the colon of `NAME:PASSWORD@HOST/PATH` is none. */
function schemeOf(text: string): string | undefined {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? [];
  if (scheme === undefined || (!rest!.startsWith("//") && rest!.includes("@"))) return undefined;
  return scheme.toLowerCase();
}

/** What may be no URL, without all from its `://`, or else its beginning, to its last `@`. */
function withoutLogin(text: string): string {
  if (text.includes("://")) return withoutUrlLogin(text);
  const end = text.lastIndexOf("@") + 1;
  // Without a colon it is a name and no password, as in `git@github.com:a/b.git`.
  return text.slice(0, end).includes(":") ? text.slice(end) : text;
}

function withoutUrlLogin(text: string): string {
  const login = text.indexOf("://") + 3;
  const end = text.lastIndexOf("@") + 1;
  return login < 3 || end <= login ? text : text.slice(0, login) + text.slice(end);
}

/** The next step, for who has a login in a URL. */
function inLogin(text: string): string {
  return text.includes("@") ? ", and in a password / as %2F, ? as %3F and # as %23" : "";
}
