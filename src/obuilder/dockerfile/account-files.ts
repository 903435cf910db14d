/*
 * `/etc/passwd` and `/etc/group` of an image: Docker looks users up there, and nowhere else.
 */

export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/** A user's numbers. */
export interface UserEntry {
  readonly name: string;
  readonly uid: bigint;
  readonly gid: bigint;
}

export interface GroupEntry {
  readonly name: string;
  readonly gid: bigint;
  /** Names of users whose main group may be another. */
  readonly members: readonly string[];
}

/** Further ones are not looked at. */
const MAX_ENTRIES = 10_000;

export function readUsers({ passwd }: AccountFiles): UserEntry[] {
  return rows(passwd).flatMap(([name, , uid, gid]) => {
    const [u, g] = [numberIn(uid), numberIn(gid)];
    return name && u !== undefined && g !== undefined ? [{ name, uid: u, gid: g }] : [];
  });
}

export function readGroups({ group }: AccountFiles): GroupEntry[] {
  return rows(group).flatMap(([name, , gid, members = ""]) => {
    const g = numberIn(gid);
    const users = members.split(",").filter((user) => user !== "");
    return name && g !== undefined ? [{ name, gid: g, members: users }] : [];
  });
}

/** A number of a user or group as people write it. */
export function numberIn(text: string | undefined): bigint | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? BigInt(text) : undefined;
}

function rows(text: string): string[][] {
  return text
    .split("\n")
    .slice(0, MAX_ENTRIES)
    .map((line) => line.split(":"));
}
