/*
 * The users and groups that a command of RUN makes with `useradd`, `adduser`, `groupadd` or
 * `addgroup`: those of shadow, Debian's and busybox's. What they are told is read here; which
 * number they choose by themselves is guessed in `accounts.ts`.
 */

import { numberIn } from "./account-files.js";
import { InstructionError } from "./errors.js";
import { expandWord, type Lookup, splitWords } from "./words.js";

export type AccountChange =
  | {
      readonly makes: "user";
      readonly name: string;
      readonly uid: bigint | undefined;
      /** The main group, by number or name. */
      readonly group: string | undefined;
      readonly isSystem: boolean;
      /** `adduser` takes the first number that is free for a system user, `useradd` the last. */
      readonly countsUp: boolean;
    }
  | {
      readonly makes: "group";
      readonly name: string;
      readonly gid: bigint | undefined;
      readonly isSystem: boolean;
      readonly countsUp: boolean;
    }
  /** Some user or group is changed, so that nothing is sure any more. */
  | { readonly makes: "doubt" };

/** Long options by the short ones that mean the same, and the short ones that take a value. */
interface Grammar {
  readonly long: Readonly<Record<string, string>>;
  readonly valued: string;
  /** Long options with a value that matters to nobody here. */
  readonly longValued: readonly string[];
}

const USERADD: Grammar = {
  long: { uid: "u", gid: "g", system: "r" },
  valued: "bcdefgGkKpRPsuZ",
  longValued: [
    "base-dir",
    "comment",
    "home-dir",
    "home",
    "expiredate",
    "inactive",
    "groups",
  ].concat(["skel", "key", "password", "root", "prefix", "shell", "selinux-user"]),
};
const ADDUSER: Grammar = {
  long: { uid: "u", gid: "G", ingroup: "G", system: "S" },
  valued: "hgsGuk",
  longValued: ["home", "gecos", "comment", "shell", "skel", "conf", "firstuid", "lastuid"].concat([
    ...["firstgid", "lastgid", "add_extra_groups"],
  ]),
};
const GROUPADD: Grammar = {
  long: { gid: "g", system: "r" },
  valued: "gKpRPU",
  longValued: ["key", "password", "root", "prefix", "users"],
};
const ADDGROUP: Grammar = {
  long: { gid: "g", system: "S" },
  valued: "g",
  longValued: ["conf", "firstgid", "lastgid"],
};

/** Commands longer than that are not looked through. */
const MAX_COMMAND = 100_000;

/** What a command changes, in its order. Variables that `lookup` knows are put in. */
export function accountChanges(command: string, lookup: Lookup): AccountChange[] {
  if (command.length > MAX_COMMAND) return [];
  if (!/\b(?:user|group)(?:add|mod|del)\b|\b(?:add|del)(?:user|group)\b/.test(command)) return [];
  return command.split(/&&|\|\||[;|\n(){}]/).flatMap((part) => {
    const words = splitWords(part.trim(), "\\").map((word) => meaning(word, lookup));
    const at = words.findIndex(
      (word) => word === undefined || !/^(?:sudo|then|do|else|!|[A-Z_]+=.*)$/.test(word),
    );
    const program = words[at]?.replace(/^.*\//, "");
    return program === undefined ? [] : changeBy(program, words.slice(at + 1));
  });
}

/** Undefined if it depends on what is not known. */
function meaning(word: string, lookup: Lookup): string | undefined {
  if (/`|\$\(/.test(word)) return undefined;
  try {
    return expandWord(word, { escape: "\\", lookup });
  } catch (error) {
    if (error instanceof InstructionError) return undefined;
    throw error;
  }
}

function changeBy(program: string, words: readonly (string | undefined)[]): AccountChange[] {
  switch (program) {
    case "useradd":
      return user(parse(words, USERADD), { group: "g", system: "r", countsUp: false });
    case "adduser":
      return user(parse(words, ADDUSER), { group: "G", system: "S", countsUp: true });
    case "groupadd":
      return group(parse(words, GROUPADD), { system: "r", countsUp: false });
    case "addgroup":
      return group(parse(words, ADDGROUP), { system: "S", countsUp: true });
    case "usermod":
    case "groupmod":
    case "userdel":
    case "groupdel":
    case "deluser":
    case "delgroup":
      return [{ makes: "doubt" }];
    default:
      return [];
  }
}

interface Parsed {
  /** Values of options by their letters; `""` for those without. */
  readonly options: Map<string, string | undefined>;
  readonly names: (string | undefined)[];
}

/** Letters of options, and how the program chooses numbers. */
interface Habits {
  readonly system: string;
  readonly countsUp: boolean;
}

function user(
  { options, names }: Parsed,
  { group, system, countsUp }: Habits & { readonly group: string },
): AccountChange[] {
  const [name, ...more] = names;
  // `adduser USER GROUP` only makes a member.
  if (name === undefined || more.length > 0) return [];
  const uid = numberIn(options.get("u"));
  if (options.has("u") && uid === undefined) return [{ makes: "doubt" }];
  const isSystem = options.has(system);
  return [{ makes: "user", name, uid, group: options.get(group), isSystem, countsUp }];
}

function group({ options, names }: Parsed, { system, countsUp }: Habits): AccountChange[] {
  const [name, ...more] = names;
  // `addgroup USER GROUP` only makes a member.
  if (name === undefined || more.length > 0) return [];
  const gid = numberIn(options.get("g"));
  if (options.has("g") && gid === undefined) return [{ makes: "doubt" }];
  return [{ makes: "group", name, gid, isSystem: options.has(system), countsUp }];
}

function parse(words: readonly (string | undefined)[], grammar: Grammar): Parsed {
  const options = new Map<string, string | undefined>();
  const names: (string | undefined)[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === undefined || !/^-./.test(word)) {
      // A redirection ends what is the program's own.
      if (word !== undefined && /^\d*[<>]/.test(word)) break;
      names.push(word);
    } else if (word.startsWith("--")) {
      const [, name, value] = /^--([^=]*)(?:=(.*))?$/s.exec(word)!;
      const letter = grammar.long[name!];
      const isValued = letter !== undefined && grammar.valued.includes(letter);
      const takes = isValued || grammar.longValued.includes(name!);
      const text = value ?? (takes ? words[++i] : "");
      if (letter !== undefined) options.set(letter, text);
    } else {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at]!;
        const isValued = grammar.valued.includes(letter);
        const rest = word.slice(at + 1);
        options.set(letter, isValued ? (rest === "" ? words[++i] : rest) : "");
        if (isValued) break;
      }
    }
  }
  return { options, names };
}
