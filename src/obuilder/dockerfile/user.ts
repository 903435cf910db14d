/*
 * Users of USER: numbers at once, names when somebody needs to know (accounts.ts). Most images end
 * with a USER that no command is run as.
 */

import type { User } from "../spec/spec.js";
import { numberIn } from "./account-files.js";
import { InstructionError } from "./errors.js";

/**
 * USER. With the backquote as escape character the image is a Windows one, where users have names.
 */
export function userNamed(text: string, windows: boolean): User | string {
  if (windows && !/^\d+(:\d+)?$/.test(text)) return { name: text };
  const [, user, group] = /^([^:]+)(?::([^:]*))?$/.exec(text) ?? [];
  if (user === undefined) {
    throw new InstructionError(`USER needs the form NAME or NAME:GROUP, and not ${text || '""'}`);
  }
  const uid = user === "root" ? 0n : numberIn(user);
  const gid = group === "root" ? 0n : group ? numberIn(group) : uid === 0n ? 0n : undefined;
  return uid !== undefined && gid !== undefined ? { uid, gid } : text;
}
