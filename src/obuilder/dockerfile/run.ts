/*
 * RUN: its two forms, here-documents, and the flags that a spec has a counterpart for.
 */

import { posix } from "node:path";
import {
  type Cache,
  isRoot,
  isUnixUser,
  type KeyValue,
  type RunOp,
  type Secret,
  type User,
} from "../spec/spec.js";
import type { CopyEnvironment, CopySource } from "./copy-job.js";
import { InstructionError } from "./errors.js";
import { type Heredoc, isHeredoc } from "./heredocs.js";
import { type Loan, whileLent } from "./loans.js";
import type { Flag, Instruction } from "./parser.js";
import { shellWord, writeCommand } from "./shell-text.js";
import type { Stage } from "./stage.js";
import { expandWord, parseJsonWords, type WordRules } from "./words.js";

export function convertRun(
  instruction: Instruction,
  stage: Stage,
  rules: WordRules,
  environment: CopyEnvironment,
): void {
  if (stage.root !== "") {
    throw new InstructionError(
      "RUN has no counterpart in a stage that begins with scratch or with an image that has no shell; if what is added " +
        "there has one, make an image of it with obuilder import-image, and begin with that",
    );
  }
  const { user } = stage;
  const { lends, ...flags } = convertFlags(instruction.flags, { user, stage, rules, environment });
  const words = parseJsonWords(instruction.text);
  if (words?.length === 0) throw new InstructionError("RUN needs a command");
  const command = words ? undefined : shellCommand(instruction, user);
  whileLent(lends, stage, () => {
    if (words) stage.runWords(words, flags);
    else stage.run(command!, flags);
  });
}

/** The command, here-documents included as the shell wants them. */
function shellCommand({ text, heredocs }: Instruction, user: User): string {
  if (text === "") throw new InstructionError("RUN needs a command");
  const [heredoc] = heredocs;
  if (!heredoc) return text;
  if (!isHeredoc(text)) {
    const bodies = heredocs.map(({ name, content }) => `${content}${name}`);
    return [text, ...bodies].join("\n");
  }
  // The here-document is the whole command.
  return heredoc.content.startsWith("#!")
    ? scriptCommand(heredoc, user)
    : heredoc.content.replace(/\n$/, "");
}

/**
 * Runs a script with a `#!` line from a place that is in no layer: root from where Docker has it,
 * and others, who may not write there, from where nothing can be executed directly.
 */
function scriptCommand({ name, content }: Heredoc, user: User): string {
  const [, interpreter, argument] = /^#![ \t]*(\S+)[ \t]*(.*)/.exec(content) ?? [];
  if (interpreter === undefined)
    throw new InstructionError("the script's #! line names no program");
  if (isRoot(user)) {
    const file = shellWord(`/dev/pipes/${name.replaceAll("/", "_")}`);
    const write = writeCommand(content, file);
    return `mkdir -p /dev/pipes\n${write}\nchmod 755 ${file}\nexec ${file}`;
  }
  const file = shellWord(`/dev/shm/${name.replaceAll("/", "_")}`);
  const words = [interpreter, ...(argument ? [argument.trimEnd()] : [])].map(shellWord);
  return `${writeCommand(content, file)}\nexec ${words.join(" ")} ${file}`;
}

interface RunFlags extends Omit<RunOp, "op" | "shell"> {
  /** Mounts of things that a spec cannot mount. */
  readonly lends: readonly Loan[];
}

interface FlagOptions {
  readonly user: User;
  readonly stage: Stage;
  readonly rules: WordRules;
  readonly environment: CopyEnvironment;
}

function convertFlags(flags: readonly Flag[], options: FlagOptions): RunFlags {
  const { user, stage, rules, environment } = options;
  const cache: Cache[] = [];
  const secrets: Secret[] = [];
  const lends: Loan[] = [];
  // Commands have the network in Docker unless told otherwise, and in a spec if told so.
  let network = ["host"];
  for (const { name, value } of flags) {
    if (name === "network") {
      network = convertNetwork(value);
    } else if (name === "mount") {
      const mount = parseMount(value ?? "", rules);
      if (mount.type === "cache") cache.push(convertCache(mount, options));
      else if (mount.type === "secret") secrets.push(convertSecret(mount, user));
      else if (mount.type === "bind") lends.push(convertBind(mount, stage, environment));
      else if (mount.type === "tmpfs") lends.push(convertTmpfs(mount, stage, environment));
      else if (mount.type === "ssh") {
        throw new InstructionError("--mount=type=ssh has no counterpart; give the key as a secret");
      } else throw new InstructionError(`--mount=type=${mount.type} has no counterpart`);
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
  if ([...cache, ...secrets].some(({ target }) => stage.paths.kindOf(target) === undefined)) {
    environment.warnOnce(
      "places at which caches and secrets are mounted stay in the layer, empty, where Docker removes those that it made",
    );
  }
  return { cache: outerFirst(cache), network, secrets, lends };
}

/**
 * Caches in an order in which none hides another, as Docker has them; a spec mounts them as they
 * stand.
 */
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

function convertCache({ options }: Mount, { user, stage, environment }: FlagOptions): Cache {
  const written = options.get("target");
  if (!written) throw new InstructionError("a cache mount needs a target");
  refuse(options, ["from", "source", "readonly"], "cache");
  const target = written.startsWith("/") ? written : stage.paths.absolute(written);
  if (target === undefined) throw new InstructionError(`the path ${written} is too long`);
  const uid = options.get("uid");
  if (uid !== undefined && !isUidOf(user, uid)) {
    environment.warnOnce(
      `the cache ${target} belongs to the user who runs the command, and not to ${uid} as in Docker`,
    );
    options.delete("uid");
  }
  return { id: options.get("id") ?? written, target, buildkitOptions: otherOptions(options) };
}

function convertSecret({ options }: Mount, user: User): Secret {
  refuse(options, ["env", "source"], "secret");
  const id = options.get("id") ?? options.get("target")?.replace(/^.*\//, "");
  if (!id) throw new InstructionError("a secret mount needs an id");
  const target = options.get("target") ?? `/run/secrets/${id}`;
  // Everybody can read it there.
  const uid = options.get("uid");
  if (uid !== undefined && !isUidOf(user, uid)) options.delete("uid");
  return { id, target, buildkitOptions: otherOptions(options) };
}

function convertBind({ options }: Mount, stage: Stage, environment: CopyEnvironment): Loan {
  const from = options.get("from");
  const source: CopySource =
    from === undefined
      ? { from: { from: "context" }, context: environment.context, root: "" }
      : environment.sourceNamed(from);
  const path = options.get("source") ?? "/";
  return { ...place(options, stage, environment), source, path };
}

function convertTmpfs({ options }: Mount, stage: Stage, environment: CopyEnvironment): Loan {
  return { ...place(options, stage, environment), source: undefined, path: "" };
}

function place(
  options: Map<string, string>,
  stage: Stage,
  { unusedName, warn }: CopyEnvironment,
): Pick<Loan, "target" | "name" | "warn"> {
  const target = stage.paths.absolute(options.get("target") ?? ".");
  if (target === undefined || target === "/") {
    throw new InstructionError(
      "a bind or tmpfs mount on / has no counterpart; give it a target below",
    );
  }
  return { target, name: unusedName(), warn };
}

function refuse(options: Map<string, string>, names: readonly string[], type: string): void {
  const name = names.find((option) => options.has(option));
  if (name) throw new InstructionError(`option ${name} of a ${type} mount has no counterpart`);
}

/** What only BuildKit knows of. A mount belongs to the step's user, here as in a spec. */
function otherOptions(options: Map<string, string>): KeyValue[] {
  return [...options].filter(([name]) => !["id", "target", "uid"].includes(name));
}

function isUidOf(user: User, uid: string): boolean {
  return isUnixUser(user) && uid === user.uid.toString();
}
