/*
 * Makes a spec of a Dockerfile: FROM, RUN, COPY, ENV, USER, WORKDIR, SHELL, ARG and stages.
 *
 * Stages become nested builds in the Dockerfile's order, but for those that the last one does not
 * need; a stage that continues another repeats its operations, which share their layers. What has
 * no counterpart is an error, not left out, and all errors are reported at once.
 *
 * Nothing is known here of the images. That they are run by root, in `/`, with `/bin/sh -c` is
 * assumed; their variables can be told. `.dockerignore` is not looked at.
 */

import { fromBytes } from "../../text/bytes.js";
import type { ChildBuild, DataSource, Spec } from "../spec.js";
import { convertCopy } from "./copy.js";
import { DockerfileError, InstructionError, type Problem } from "./errors.js";
import { type Instruction, parseDockerfile } from "./parser.js";
import { convertRun } from "./run.js";
import { Stage } from "./stage.js";
import { parseUser } from "./user.js";
import { expandWord, parseJsonWords, splitWords, type WordRules } from "./words.js";

export interface FromDockerfileOptions {
  /** Values for ARG, as `docker build --build-arg` has them. */
  readonly buildArgs?: ReadonlyMap<string, string>;
  /** The variables that an image sets, if known. */
  readonly imageEnv?: (image: string) => ReadonlyMap<string, string> | undefined;
  /** Whether a path in the build context is a directory, if known. */
  readonly isDirectory?: (path: string) => boolean | undefined;
  /** The stage wanted, if not the last one. */
  readonly target?: string;
}

export interface FromDockerfile {
  readonly spec: Spec;
  /** Where the outcome depends on what is not known. */
  readonly warnings: readonly Problem[];
}

/** Throws `DockerfileError`. */
export function specFromDockerfile(
  text: Uint8Array | string,
  options: FromDockerfileOptions = {},
): FromDockerfile {
  return new Converter(typeof text === "string" ? text : fromBytes(text), options).convert();
}

interface NamedStage {
  readonly name: string;
  readonly stage: Stage;
  /** Names of the builds it copies from. */
  readonly uses: Set<string>;
}

class Converter {
  readonly #options: FromDockerfileOptions;
  readonly #escape: "\\" | "`";
  readonly #instructions: readonly Instruction[];
  readonly #globalArgs = new Map<string, string | undefined>();
  readonly #stages: NamedStage[] = [];
  /** Builds of nothing but an image, for `COPY --from=IMAGE`. */
  readonly #images = new Set<string>();
  readonly #problems: Problem[] = [];
  readonly #warnings: Problem[] = [];

  constructor(text: string, options: FromDockerfileOptions) {
    const { escape: escapeWith, instructions } = parseDockerfile(text);
    this.#escape = escapeWith;
    this.#instructions = instructions;
    this.#options = options;
  }

  convert(): FromDockerfile {
    for (const instruction of this.#instructions) {
      try {
        this.#instruction(instruction);
      } catch (error) {
        if (!(error instanceof InstructionError)) throw error;
        this.#problems.push({ line: instruction.line, message: error.message });
      }
    }
    const line = this.#instructions.at(-1)?.line ?? 1;
    if (this.#stages.length === 0 && this.#problems.length === 0) {
      this.#problems.push({ line, message: "there is no FROM" });
    }
    const target = this.#target();
    if (!target && this.#problems.length === 0) {
      this.#problems.push({ line, message: `there is no stage ${this.#options.target}` });
    }
    if (!target || this.#problems.length > 0) throw new DockerfileError(this.#problems);
    return { spec: this.#specOf(target), warnings: this.#warnings };
  }

  #instruction(instruction: Instruction): void {
    const { keyword, text } = instruction;
    const current = this.#stages.at(-1);
    if (keyword === "FROM") this.#from(instruction);
    else if (current) this.#inStage(instruction, current);
    else if (keyword === "ARG") this.#globalArg(text);
    else throw new InstructionError(`${keyword} before the first FROM`);
  }

  #inStage(instruction: Instruction, { stage, uses }: NamedStage): void {
    const { keyword, text } = instruction;
    const rules: WordRules = { escape: this.#escape, lookup: stage.lookup };
    const oneWord = () => expandWord(needed(text, keyword), rules);
    switch (keyword) {
      case "ARG":
        this.#arg(text, stage, rules);
        break;
      case "ENV":
        for (const [key, value] of parsePairs(text, rules)) stage.setEnv(key, value);
        break;
      case "WORKDIR":
        stage.setWorkdir(oneWord());
        break;
      case "USER":
        stage.setUser(parseUser(oneWord(), this.#isWindows));
        break;
      case "SHELL": {
        const words = parseJsonWords(text);
        if (!words) throw new InstructionError('SHELL needs the form ["WORD", "WORD"]');
        stage.setShell(words);
        break;
      }
      case "RUN":
        convertRun(instruction, stage, rules);
        break;
      case "COPY":
        convertCopy(instruction, stage, rules, {
          sourceNamed: (name) => this.#sourceNamed(name, uses),
          isDirectory: (path) => this.#options.isDirectory?.(path),
          warn: (message) => this.#warnings.push({ line: instruction.line, message }),
        });
        break;
      case "ADD":
        throw new InstructionError("ADD has no counterpart; use COPY, or RUN with curl or tar");
      default:
        throw new InstructionError(`${keyword} has no counterpart in a spec`);
    }
  }

  #from({ text, flags }: Instruction): void {
    const rules: WordRules = { escape: this.#escape, lookup: (name) => this.#globalArgs.get(name) };
    const words = splitWords(text, this.#escape).map((word) => expandWord(word, rules));
    const [image, as, alias, ...more] = words;
    const index = this.#stages.length.toString();
    const name = alias?.toLowerCase() ?? index;
    // The stage begins even if it is not well, so that what follows is not blamed for it.
    const parent = this.#stages.find((stage) => stage.name === image?.toLowerCase());
    const duplicate = this.#stages.some((stage) => stage.name === name);
    const stage = parent?.stage.continued() ?? this.#newStage(image ?? "");
    this.#stages.push({ name, stage, uses: new Set(parent?.uses) });
    if (!image) throw new InstructionError("FROM needs an image");
    if (words.length === 2 || more.length > 0 || (as && as.toLowerCase() !== "as")) {
      throw new InstructionError("FROM needs the form IMAGE or IMAGE AS NAME");
    }
    if (duplicate) throw new InstructionError(`there is a stage ${name} already`);
    const [flag] = flags;
    if (flag) throw new InstructionError(`FROM --${flag.name} has no counterpart`);
    if (image === "scratch") {
      throw new InstructionError("FROM scratch has no counterpart: a build begins with an image");
    }
  }

  #newStage(image: string): Stage {
    const defaultShell = this.#isWindows ? ["cmd", "/S", "/C"] : ["/bin/sh", "-c"];
    return new Stage({ image, imageEnv: this.#options.imageEnv?.(image), defaultShell });
  }

  /** Paths are full of backslashes there, so the escape character is another. */
  get #isWindows(): boolean {
    return this.#escape === "`";
  }

  #globalArg(text: string): void {
    const rules: WordRules = { escape: this.#escape, lookup: (name) => this.#globalArgs.get(name) };
    for (const [name, value] of parseArgs(text, rules)) {
      this.#globalArgs.set(name, this.#options.buildArgs?.get(name) ?? value);
    }
  }

  #arg(text: string, stage: Stage, rules: WordRules): void {
    for (const [name, value] of parseArgs(text, rules)) {
      const inherited = value ?? this.#globalArgs.get(name);
      stage.setArg(name, this.#options.buildArgs?.get(name) ?? inherited);
    }
  }

  /** A stage by its name or number, else an image. */
  #sourceNamed(name: string, uses: Set<string>): DataSource {
    const earlier = this.#stages.slice(0, -1);
    const byNumber = /^\d+$/.test(name) ? earlier[Number(name)] : undefined;
    const stage = earlier.find((other) => other.name === name.toLowerCase()) ?? byNumber;
    if (name === "") throw new InstructionError("--from needs the name of a stage or image");
    if (!stage) this.#images.add(name);
    uses.add(stage?.name ?? name);
    return { from: "build", name: stage?.name ?? name };
  }

  #target(): NamedStage | undefined {
    const { target } = this.#options;
    if (target === undefined) return this.#stages.at(-1);
    return (
      this.#stages.find(({ name }) => name === target.toLowerCase()) ?? this.#stages[Number(target)]
    );
  }

  /** The stage, after those it needs in the order of the Dockerfile. */
  #specOf(target: NamedStage): Spec {
    const needed = new Set(target.uses);
    for (const { name, uses } of this.#stages.toReversed()) {
      if (needed.has(name)) for (const use of uses) needed.add(use);
    }
    const images = [...this.#images]
      .filter((image) => needed.has(image))
      .map((image): ChildBuild => ({ name: image, spec: { children: [], from: image, ops: [] } }));
    const stages = this.#stages
      .filter(({ name }) => needed.has(name))
      .map(({ name, stage }): ChildBuild => ({ name, spec: bodyOf(stage) }));
    return { ...bodyOf(target.stage), children: [...images, ...stages] };
  }
}

function bodyOf(stage: Stage): Spec {
  return { children: [], from: stage.image, ops: stage.ops };
}

function needed(text: string, keyword: string): string {
  if (text === "") throw new InstructionError(`${keyword} needs a value`);
  return text;
}

/** `NAME`, `NAME=VALUE`, several of them */
function* parseArgs(text: string, rules: WordRules): Generator<[string, string | undefined]> {
  for (const word of splitWords(needed(text, "ARG"), rules.escape)) {
    const [, name, value] = /^([A-Za-z_]\w*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) throw new InstructionError(`ARG ${word} is not NAME or NAME=VALUE`);
    yield [name, value === undefined ? undefined : expandWord(value, rules)];
  }
}

/** `KEY=VALUE …`, or the old form `KEY VALUE` where the value is the rest of the line. */
function parsePairs(text: string, rules: WordRules): [string, string][] {
  const words = splitWords(needed(text, "ENV"), rules.escape);
  if (!words[0]!.includes("=")) {
    const [, key, value] = /^(\S+)\s+(.+)$/s.exec(text) ?? [];
    if (key === undefined) throw new InstructionError(`ENV ${text} has no value`);
    return [[expandWord(key, rules), expandWord(value!, rules)]];
  }
  return words.map((word) => {
    const equals = word.indexOf("=");
    if (equals < 1) throw new InstructionError(`ENV ${word} is not KEY=VALUE`);
    return [expandWord(word.slice(0, equals), rules), expandWord(word.slice(equals + 1), rules)];
  });
}
