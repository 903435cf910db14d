/*
 * RUN: its two forms, here-documents, and the flags that a spec has a counterpart for.
 */

import { posix } from "node:path";
import {
  type Cache,
  isUnixUser,
  type KeyValue,
  type RunOp,
  type Secret,
  type User,
} from "../spec/spec.js";
import { InstructionError } from "./errors.js";
import { isHeredoc } from "./heredocs.js";
import type { Flag, Instruction } from "./parser.js";
import type { Stage } from "./stage.js";
import { expandWord, parseJsonWords, type WordRules } from "./words.js";

export function convertRun(instruction: Instruction, stage: Stage, rules: WordRules): void {
  const flags = convertFlags(instruction.flags, stage.user, rules);
  const words = parseJsonWords(instruction.text);
  if (words) {
    if (words.length === 0) throw new InstructionError("RUN needs a command");
    stage.runWords(words, flags);
  } else {
    stage.run(shellCommand(instruction), flags);
  }
}

/** The command, here-documents included as the shell wants them. */
function shellCommand({ text, heredocs }: Instruction): string {
  if (text === "") throw new InstructionError("RUN needs a command");
  const [heredoc] = heredocs;
  if (!heredoc) return text;
  if (!isHeredoc(text)) {
    const bodies = heredocs.map(({ name, content }) => `${content}${name}`);
    return [text, ...bodies].join("\n");
  }
  // The here-document is the whole command.
  if (heredoc.content.startsWith("#!")) {
    throw new InstructionError(
      "a script with a #! line has no counterpart; COPY it from a file and run that",
    );
  }
  return heredoc.content.replace(/\n$/, "");
}

type RunFlags = Omit<RunOp, "op" | "shell">;

function convertFlags(flags: readonly Flag[], user: User, rules: WordRules): RunFlags {
  const cache: Cache[] = [];
  const secrets: Secret[] = [];
  // Commands have the network in Docker unless told otherwise, and in a spec if told so.
  let network = ["host"];
  for (const { name, value } of flags) {
    if (name === "network") {
      network = convertNetwork(value);
    } else if (name === "mount") {
      const mount = parseMount(value ?? "", rules);
      if (mount.type === "cache") cache.push(convertCache(mount, user));
      else if (mount.type === "secret") secrets.push(convertSecret(mount, user));
      else throw new InstructionError(`--mount=type=${mount.type} has no counterpart`);
    } else {
      throw new InstructionError(`RUN --${name} has no counterpart`);
    }
  }
  for (const { target } of secrets) {
    const cover = cache.find((each) => isWithin(target, each.target));
    if (!cover) continue;
    throw new InstructionError(
      `the secret ${target} would be hidden by the cache ${cover.target}, as a spec mounts caches last; ` +
        "give it a target elsewhere",
    );
  }
  return { cache: outerFirst(cache), network, secrets };
}

/** Caches in an order in which none hides another, as Docker has them; a spec mounts them as they stand. */
function outerFirst(caches: readonly Cache[]): Cache[] {
  const depth = ({ target }: Cache) => posix.normalize(`${target}/`).split("/").length;
  const isNested = caches.some((a) => caches.some((b) => a !== b && isWithin(a.target, b.target)));
  return isNested ? caches.toSorted((a, b) => depth(a) - depth(b)) : [...caches];
}

function isWithin(path: string, dir: string): boolean {
  return posix.normalize(`${path}/`).startsWith(posix.normalize(`${dir}/`));
}

function convertNetwork(value: string | undefined): string[] {
  switch (value) {
    case "default":
    case "host":
      return ["host"];
    case "none":
      return [];
    default:
      throw new InstructionError(`--network=${value} has no counterpart, only default, host, none`);
  }
}

interface Mount {
  readonly type: string;
  /** All but the type. */
  readonly options: Map<string, string>;
}

const ALIASES: Record<string, string> = {
  dst: "target",
  destination: "target",
  src: "source",
  ro: "readonly",
};

function parseMount(value: string, rules: WordRules): Mount {
  const options = new Map<string, string>();
  for (const part of splitFields(value)) {
    const [, key, text] = /^([^=]+)(?:=(.*))?$/s.exec(part) ?? [];
    if (key === undefined) throw new InstructionError(`--mount=${value}: "${part}" is no option`);
    const name = key.toLowerCase();
    // Docker looks at words with a variable only, so quotes are characters in others.
    const meaning = text?.includes("$") ? expandWord(text, rules) : text;
    options.set(ALIASES[name] ?? name, meaning ?? "true");
  }
  const type = options.get("type") ?? "bind";
  options.delete("type");
  return { type, options };
}

/** The fields of a line of CSV: `"…"` may have commas, and a quote written twice. */
function splitFields(text: string): string[] {
  const fields: string[] = [];
  for (const [, quotedField, plain] of text.matchAll(
    /(?:^|,)(?:"((?:[^"]|"")*)"(?=,|$)|([^,]*))/g,
  )) {
    fields.push(quotedField?.replaceAll('""', '"') ?? plain!);
  }
  return fields;
}

function convertCache({ options }: Mount, user: User): Cache {
  const target = options.get("target");
  if (!target) throw new InstructionError("a cache mount needs a target");
  refuse(options, ["from", "source", "readonly"], "cache");
  const id = options.get("id") ?? target;
  return { id, target, buildkitOptions: otherOptions(options, user, "cache") };
}

function convertSecret({ options }: Mount, user: User): Secret {
  refuse(options, ["env", "source"], "secret");
  const id = options.get("id") ?? options.get("target")?.replace(/^.*\//, "");
  if (!id) throw new InstructionError("a secret mount needs an id");
  const target = options.get("target") ?? `/run/secrets/${id}`;
  return { id, target, buildkitOptions: otherOptions(options, user, "secret") };
}

function refuse(options: Map<string, string>, names: readonly string[], type: string): void {
  const name = names.find((option) => options.has(option));
  if (name) throw new InstructionError(`option ${name} of a ${type} mount has no counterpart`);
}

/** What only BuildKit knows of. A mount belongs to the step's user, here as in a spec. */
function otherOptions(options: Map<string, string>, user: User, type: string): KeyValue[] {
  const others = [...options].filter(([name]) => !["id", "target", "uid"].includes(name));
  const uid = options.get("uid");
  if (uid !== undefined && !(isUnixUser(user) && uid === user.uid.toString())) {
    throw new InstructionError(`a ${type} mount for another user (uid=${uid}) has no counterpart`);
  }
  return others;
}
