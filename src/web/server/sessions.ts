/**
 * Who somebody is: the secret of a link becomes a session, which a cookie carries; scripts bear a
 * token. There are no accounts: all that can be told apart is what a secret opens.
 *
 *     once ──exchanged──▶ session (of all)           used up with that
 *     link ──exchanged──▶ session (of one thing)     again and again, until it ends
 */
import type { EndedSession, EndedSessions } from "./ended-sessions.js";
import { ApiError } from "./errors.js";
import type { Scope, Secret, Secrets } from "./secrets.js";

/** Seconds for which a session lasts, and a one-time link. */
export const SESSION_SECONDS = 7 * 86_400;
export const ONCE_SECONDS = 3600;

/** Used links and ended sessions that are remembered: until they would have ended by themselves. */
const MAX_REMEMBERED = 100_000;

/** How to come in. */
const ANOTHER = "`ocluster-web -c FILE --link` prints another link";

/** Somebody who may look, and perhaps more. */
export interface Session {
  readonly scope: Scope;
  /** Seconds since the Unix epoch. */
  readonly expires: number;
  /** Came in a cookie, which a browser sends for whoever asks it to. */
  readonly isAmbient: boolean;
  readonly id: string;
  /** What it was made with. */
  readonly secrets: Secrets;
}

export class Sessions {
  /** Ids of secrets that open nothing any more, with their ends. */
  private readonly spent = new Map<string, number>();

  constructor(
    private secrets: Secrets,
    private readonly ended: Pick<EndedSessions, "add" | "read">,
    /** Seconds since the Unix epoch. */
    private readonly now: () => number = () => Date.now() / 1000,
    private readonly began = now(),
  ) {
    for (const each of ended.read(now())) this.spend(each);
  }

  /** From now on other secrets are in use: all that was made with those of before is over. */
  replace(secrets: Secrets): void {
    this.secrets = secrets;
  }

  /** Whether it is of secrets that were replaced. */
  isReplaced(session: Session): boolean {
    return session.secrets !== this.secrets;
  }

  /** The text of a fresh one-time link's secret. */
  once(): string {
    return this.secrets.make("once", { kind: "all" }, ONCE_SECONDS, this.now()).text;
  }

  /** The text of a link to one job or batch, which lasts for so many seconds, and its end. */
  link(scope: Scope, seconds: number): { readonly text: string; readonly expires: number } {
    const { secret, text } = this.secrets.make("link", scope, seconds, this.now());
    return { text, expires: secret.expires };
  }

  /**
   * The session that a link's secret is exchanged for, and the text of it for a cookie. Throws an
   * `ApiError`.
   */
  exchange(text: string): { readonly text: string; readonly session: Session } {
    const secret = this.secrets.read(text);
    if (!secret || (secret.kind !== "once" && secret.kind !== "link")) {
      throw new ApiError("bad_secret", `This link is none of this program's: ${ANOTHER}.`);
    }
    if (secret.expires <= this.now()) {
      throw new ApiError(
        "link_expired",
        secret.kind === "once"
          ? `This link has expired: ${ANOTHER}.`
          : "This link has expired: ask for another whoever gave it to you.",
      );
    }
    const { scope } = secret;
    let seconds = SESSION_SECONDS;
    if (secret.kind === "once") {
      // Which of an earlier process' links were used is not known.
      if (this.spent.has(secret.id) || secret.made < this.began) {
        throw new ApiError("link_used", `This link opens once, and was used: ${ANOTHER}.`);
      }
      this.spend(secret);
    } else {
      seconds = Math.min(seconds, secret.expires - this.now());
    }
    const made = this.secrets.make("session", scope, seconds, this.now());
    return { text: made.text, session: this.sessionOf(made.secret, true) };
  }

  /** The session that a cookie carries, or a token is; null if it is none (any more). */
  find(text: string, kind: "session" | "token"): Session | null {
    const secret = this.secrets.read(text);
    if (secret?.kind !== kind) return null;
    const session = this.sessionOf(secret, kind === "session");
    return this.isOver(session) ? null : session;
  }

  /** Ends it before its time. */
  end(session: Session): void {
    this.spend(session);
    this.ended.add(session);
  }

  /** Whether it has ended: by time, because somebody has said so, or with its secrets. */
  isOver(session: Session): boolean {
    const { expires, id } = session;
    return expires <= this.now() || this.spent.has(id) || this.isReplaced(session);
  }

  private sessionOf({ expires, id, scope }: Secret, isAmbient: boolean): Session {
    return { expires, id, scope, isAmbient, secrets: this.secrets };
  }

  private spend({ expires, id }: EndedSession): void {
    if (this.spent.size >= MAX_REMEMBERED) {
      for (const [old, end] of this.spent) if (end <= this.now()) this.spent.delete(old);
      const [first] = this.spent.keys();
      if (this.spent.size >= MAX_REMEMBERED) this.spent.delete(first!);
    }
    this.spent.set(id, expires);
  }
}
