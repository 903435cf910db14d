/*
 * The users and groups of a stage. A spec has numbers only, so names are looked up: in what the
 * caller says, in the image's files if they are known, in what commands have made, and among the
 * users that distributions agree about. Where that is a guess, it is to be checked when the spec is
 * built, by a step that fails otherwise.
 */

import type { UnixUser } from "../spec/spec.js";
import { type AccountChange, accountChanges } from "./account-commands.js";
import { type AccountFiles, numberIn, readGroups, readUsers } from "./account-files.js";
import { InstructionError } from "./errors.js";
import type { Lookup } from "./words.js";

type UserMade = Extract<AccountChange, { makes: "user" }>;
type GroupMade = Extract<AccountChange, { makes: "group" }>;

export interface Resolved {
  readonly user: UnixUser;
  /** Whether the numbers are certain. If not, `checkCommand` has them looked at. */
  readonly isSure: boolean;
  /** Groups that the image has a named user in, besides the main one. */
  readonly moreGroups: readonly string[];
}

interface Known {
  readonly id: bigint;
  readonly isSure: boolean;
}

interface KnownUser extends Known {
  readonly gid: bigint;
}

/** Numbers that Debian, Fedora and Alpine have in common, or the usual one of them. */
const USUAL_USERS: ReadonlyMap<string, readonly [bigint, bigint]> = new Map([
  ["nobody", [65534n, 65534n]],
  ["daemon", [1n, 1n]],
  ["www-data", [33n, 33n]],
]);
const USUAL_GROUPS: ReadonlyMap<string, bigint> = new Map([
  ...(["nobody", "nogroup"] as const).map((name) => [name, 65534n] as const),
  ...([
    ["daemon", 1n],
    ["www-data", 33n],
    ["tty", 5n],
    ["disk", 6n],
    ["users", 100n],
    ["staff", 50n],
  ] as const),
]);

/** Where the numbers of new users begin. */
const FIRST_ID = 1000n;
const LAST_ID = 60_000n;
const LAST_SYSTEM_ID = 999n;
const FIRST_SYSTEM_ID = 100n;

export interface AccountsBase {
  readonly image: string;
  /** The image's files, if they are known. */
  readonly files: AccountFiles | undefined;
  /** What the caller says of names. */
  readonly given: ReadonlyMap<string, UnixUser>;
}

export class Accounts {
  readonly #base: AccountsBase;
  readonly #users = new Map<string, KnownUser>();
  readonly #groups = new Map<string, Known>();
  readonly #moreGroups = new Map<string, readonly string[]>();
  /**
   * Whether the image's files were told, and nothing has happened to them that is not understood.
   */
  #isKnown: boolean;

  constructor(base: AccountsBase) {
    this.#base = base;
    this.#isKnown = base.files !== undefined;
    if (!base.files) return;
    // Of several of one name the first counts.
    for (const { name, uid, gid } of readUsers(base.files).reverse()) {
      this.#users.set(name, { id: uid, gid, isSure: true });
    }
    for (const { name, gid, members } of readGroups(base.files).reverse()) {
      this.#groups.set(name, { id: gid, isSure: true });
      for (const member of members) this.#member(member, name);
    }
  }

  copy(): Accounts {
    const other = new Accounts({ ...this.#base, files: undefined });
    for (const [name, user] of this.#users) other.#users.set(name, user);
    for (const [name, group] of this.#groups) other.#groups.set(name, group);
    for (const [name, groups] of this.#moreGroups) other.#moreGroups.set(name, groups);
    other.#isKnown = this.#isKnown;
    return other;
  }

  /** A command was run. Variables that `lookup` knows are put in. */
  command(text: string, lookup: Lookup): void {
    for (const change of accountChanges(text, lookup)) {
      if (change.makes === "doubt") this.#doubt();
      else if (change.makes === "group") this.#addGroup(change);
      else this.#addUser(change);
    }
  }

  /**
   * The numbers of `USER` or `USER:GROUP`, names or numbers. Throws `InstructionError` for names
   * that nothing is known of.
   */
  resolve(text: string): Resolved {
    const [, user, group] = /^([^:]+)(?::([^:]*))?$/.exec(text) ?? [];
    if (user === undefined) throw new InstructionError(`${text || '""'} is no user`);
    const found = this.#user(user);
    if (!group) {
      const name = [...this.#users].find(([, { id }]) => id === found.id)?.[0] ?? user;
      const moreGroups = (this.#moreGroups.get(name) ?? []).filter(
        (other) => this.#groups.get(other)?.id !== found.gid,
      );
      return { user: { uid: found.id, gid: found.gid }, isSure: found.isSure, moreGroups };
    }
    const { id: gid, isSure } = this.#group(group);
    // What the user's own group is does not matter then.
    const isUserSure = found.isSure || numberIn(user) !== undefined;
    return { user: { uid: found.id, gid }, isSure: isUserSure && isSure, moreGroups: [] };
  }

  /**
   * The same for `--chown`, where a number alone is the group's, too, and nothing before the colon
   * is root.
   */
  resolveOwner(text: string): Resolved {
    const [user = "", group] = text.split(":", 2);
    if (user === "") return this.resolve(`0:${group ?? ""}`);
    return this.resolve(
      group === undefined && numberIn(user) !== undefined ? `${user}:${user}` : text,
    );
  }

  #user(name: string): KnownUser {
    const given = this.#base.given.get(name);
    if (given) return { id: given.uid, gid: given.gid, isSure: true };
    const known = this.#users.get(name);
    if (known) return { ...known, isSure: known.isSure && this.#isKnown };
    if (name === "root") return { id: 0n, gid: 0n, isSure: true };
    const uid = numberIn(name);
    if (uid !== undefined) return this.#userNumbered(uid);
    const usual = this.#isKnown ? undefined : USUAL_USERS.get(name);
    if (usual)
      return { id: this.#local(name, usual[0]), gid: this.#local(name, usual[1]), isSure: false };
    throw unknown("user", name, this.#base.image);
  }

  /** Its group is that which the image has for it, else root's. */
  #userNumbered(uid: bigint): KnownUser {
    if (uid === 0n) return { id: uid, gid: 0n, isSure: true };
    for (const { id, gid, isSure } of this.#users.values()) {
      if (id === uid) return { id, gid, isSure: isSure && this.#isKnown };
    }
    return { id: uid, gid: 0n, isSure: this.#isKnown };
  }

  #group(name: string): Known {
    const number = numberIn(name);
    if (number !== undefined) return { id: number, isSure: true };
    const given = this.#base.given.get(name);
    if (given) return { id: given.gid, isSure: true };
    const known = this.#groups.get(name);
    if (known) return { ...known, isSure: known.isSure && this.#isKnown };
    if (name === "root") return { id: 0n, isSure: true };
    const usual = this.#isKnown ? undefined : USUAL_GROUPS.get(name);
    if (usual !== undefined) return { id: this.#local(name, usual), isSure: false };
    throw unknown("group", name, this.#base.image);
  }

  /** Alpine has numbers of its own for some. */
  #local(name: string, id: bigint): bigint {
    if (!this.#isAlpine) return id;
    return name === "www-data" ? 82n : name === "daemon" ? 2n : id;
  }

  #member(name: string, group: string): void {
    this.#moreGroups.set(name, [...(this.#moreGroups.get(name) ?? []), group]);
  }

  #doubt(): void {
    this.#isKnown = false;
  }

  #addGroup({ name, gid, isSystem, countsUp }: GroupMade): void {
    if (this.#groups.has(name)) return;
    const id = gid ?? this.#free(this.#groups, isSystem, countsUp);
    this.#groups.set(name, { id, isSure: gid !== undefined });
  }

  #addUser(made: UserMade): void {
    const { name, uid, isSystem, countsUp } = made;
    if (this.#users.has(name)) return;
    const id = uid ?? this.#free(this.#users, isSystem, countsUp);
    const group = this.#mainGroup(made, id);
    this.#users.set(name, { id, gid: group.id, isSure: uid !== undefined && group.isSure });
  }

  /** The main group of a new user whose number is `uid`; it may be a new one. */
  #mainGroup({ name, group, isSystem, countsUp }: UserMade, uid: bigint): Known {
    if (group !== undefined) {
      const gid = numberIn(group);
      if (gid !== undefined) return { id: gid, isSure: true };
      return this.#groups.get(group) ?? { id: USUAL_GROUPS.get(group) ?? uid, isSure: false };
    }
    // A system user of adduser has the group of nobody.
    if (isSystem && countsUp) return { id: this.#isAlpine ? 65533n : 65534n, isSure: false };
    const isTaken = [...this.#groups.values()].some(({ id }) => id === uid);
    const made = {
      id: isTaken ? this.#free(this.#groups, isSystem, countsUp) : uid,
      isSure: this.#isKnown && !isTaken,
    };
    if (!this.#groups.has(name)) this.#groups.set(name, made);
    return made;
  }

  get #isAlpine(): boolean {
    return /alpine/.test(this.#base.image);
  }

  #free(taken: ReadonlyMap<string, Known>, isSystem: boolean, countsUp: boolean): bigint {
    const ids = new Set([...taken.values()].map(({ id }) => id));
    if (!isSystem) {
      let id = FIRST_ID;
      for (const used of ids) if (used >= id && used < LAST_ID) id = used + 1n;
      return id;
    }
    // All have `users` there, of whose groups nothing is known.
    if (!this.#isKnown && taken === this.#groups) ids.add(USUAL_GROUPS.get("users")!);
    let id = countsUp ? FIRST_SYSTEM_ID : LAST_SYSTEM_ID;
    while (ids.has(id)) id += countsUp ? 1n : -1n;
    return id;
  }
}

function unknown(what: "user" | "group", name: string, image: string): InstructionError {
  const elsewhere =
    image === "scratch"
      ? ""
      : `, or have the Docker engine pull ${image}, where it may be looked up`;
  return new InstructionError(
    `${what} ${name} is not known: a spec has numbers; say which with --user=${name}=UID:GID${elsewhere}`,
  );
}

/**
 * A command for `/bin/sh` that fails if a user of the image, as USER names it, has other numbers
 * than these. It needs no program, and looks where Docker looks.
 */
export function checkCommand(text: string, { uid, gid }: UnixUser): string {
  const [user, group] = text.split(":") as [string, string | undefined];
  const isNumber = numberIn(user) !== undefined;
  const lines: string[] = ["found=none"];
  const read = (file: string, key: string, id: string) =>
    `while IFS=: read -r name x id ${file === "passwd" ? "group" : "x"} x; do ` +
    `if [ "$${key}" = '${id}' ]; then found=$${file === "passwd" ? "id:$group" : "id"}; break; fi; ` +
    `done < /etc/${file}`;
  lines.push(read("passwd", isNumber ? "id" : "name", user));
  if (!group) {
    if (isNumber) lines.push(`[ "$found" = none ] && found=${uid}:0`);
    lines.push(verdict(user, `${uid}:${gid}`, `--user=${user}=UID:GID`));
  } else {
    if (!isNumber) lines.push(verdict(user, `${uid}:*`, `--user=${user}=UID:GID`));
    if (numberIn(group) === undefined) {
      lines.push("found=none", read("group", "name", group));
      lines.push(verdict(`:${group}`, `${gid}`, `--user=${group}=UID:GID`));
    }
  }
  return lines.join("\n");
}

function verdict(name: string, expected: string, option: string): string {
  return (
    `case $found in ${expected}) ;; *) echo "${name} is $found in this image and not ${expected}, as ` +
    `was guessed; make the spec again with ${option}" >&2; exit 1;; esac`
  );
}
