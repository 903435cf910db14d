/*
 * Users of USER and --chown. A spec knows numbers only, as names would have to be looked up in the
 * image.
 */

import { ROOT, type UnixUser, type User } from "../spec/spec.js";
import { InstructionError } from "./errors.js";

/** USER. With the backquote as escape character the image is a Windows one, where users have names. */
export function parseUser(text: string, windows: boolean): User {
  if (windows && !/^\d+(:\d+)?$/.test(text)) return { name: text };
  return parseUserPair(text);
}

/** `UID:GID`; `root` and `0` stand for `0:0`. */
export function parseUserPair(text: string): UnixUser {
  const [, user, group] = /^([^:]+)(?::([^:]+))?$/.exec(text) ?? [];
  const uid = parseNumber(user);
  if (uid === 0n && group === undefined) return ROOT;
  const gid = parseNumber(group);
  if (uid !== undefined && gid !== undefined) return { uid, gid };
  throw new InstructionError(
    `user ${text || '""'} has no counterpart: a spec has numbers, so write UID:GID, as in 1000:1000`,
  );
}

function parseNumber(text: string | undefined): bigint | undefined {
  if (text === "root") return 0n;
  return text !== undefined && /^\d{1,10}$/.test(text) ? BigInt(text) : undefined;
}
