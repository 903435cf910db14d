/*
 * Makes a spec of a Dockerfile: FROM, RUN, COPY, ENV, USER, WORKDIR, SHELL, ARG and stages.
 *
 * Stages become nested builds in the Dockerfile's order, but for those that the last one does not
 * need; a stage that continues another repeats its operations, which share their layers. What has
 * no counterpart is an error, not left out, and all errors are reported at once.
 *
 * Nothing is known here of the images. That they are run by root, in `/`, with `/bin/sh -c` is
 * assumed; their variables can be told, and so can what is in the build context.
 */

import { fromBytes } from "../../text/index.js";
import type { ChildBuild, DataSource, Spec } from "../spec/spec.js";
import { type BuildContext, UNKNOWN_CONTEXT } from "./build-context.js";
import { convertCopy } from "./copy.js";
import { DockerfileError, InstructionError, type Problem } from "./errors.js";
import { type Instruction, parseDockerfile } from "./parser.js";
import { type Platform, platformArgs, platformName, thisPlatform } from "./platform.js";
import { convertRun } from "./run.js";
import { Stage } from "./stage.js";
import { parseUser } from "./user.js";
import { expandWord, type Lookup, parseJsonWords, splitWords, type WordRules } from "./words.js";

export interface FromDockerfileOptions {
  /** Values for ARG, as `docker build --build-arg` has them. */
  readonly buildArgs?: ReadonlyMap<string, string>;
  /** The variables that an image sets, if known. Asked only when it matters. */
  readonly imageEnv?: (image: string) => ReadonlyMap<string, string> | undefined;
  /** What COPY copies from, if known. */
  readonly context?: BuildContext;
  /** The stage wanted, if not the last one. */
  readonly target?: string;
  /** What is built for, and on; by default this machine. */
  readonly platform?: Platform;
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

/** Bytes. Docker's own builder takes less. */
const MAX_TEXT = 4 * 1024 * 1024;

/** Characters that variables stand for, in all: one may stand for twice another, which stands for twice another… */
const MAX_SUBSTITUTED = 4 * MAX_TEXT;

/** Operations that stages take over from those that they continue. */
const MAX_REPEATED = 100_000;

/** The images whose variables the conversion would ask for. */
export function imagesAskedFor(
  text: Uint8Array | string,
  options: Omit<FromDockerfileOptions, "imageEnv">,
): string[] {
  const images = new Set<string>();
  const imageEnv = (image: string) => {
    images.add(image);
    return new Map<string, string>();
  };
  try {
    specFromDockerfile(text, { ...options, imageEnv });
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
  }
  return [...images];
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
  readonly #stagesByName = new Map<string, NamedStage>();
  readonly #platform: Platform;
  #repeated = 0;
  #substituted = 0;
  /** Builds of nothing but an image, for `COPY --from=IMAGE`. */
  readonly #images = new Set<string>();
  readonly #problems: Problem[] = [];
  readonly #warnings: Problem[] = [];

  constructor(text: string, options: FromDockerfileOptions) {
    if (text.length > MAX_TEXT) {
      const message = `this is longer than ${MAX_TEXT} bytes, which no Dockerfile is`;
      throw new DockerfileError([{ line: 1, message }]);
    }
    const { escape: escapeWith, instructions } = parseDockerfile(text);
    this.#escape = escapeWith;
    this.#instructions = instructions;
    this.#options = options;
    this.#platform = options.platform ?? thisPlatform();
    for (const [name, value] of platformArgs(this.#platform)) this.#globalArgs.set(name, value);
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
    const rules = this.#rules(stage.lookup);
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
          context: this.#options.context ?? UNKNOWN_CONTEXT,
          warn: (message) => this.#warnings.push({ line: instruction.line, message }),
        });
        break;
      case "ADD":
        throw new InstructionError("ADD has no counterpart; use COPY, or RUN with curl or tar");
      default:
        throw new InstructionError(`${keyword} has no counterpart in a spec`);
    }
  }

  #rules(lookup: Lookup): WordRules {
    const counted = (name: string) => {
      const value = lookup(name);
      this.#substituted += value?.length ?? 0;
      if (this.#substituted <= MAX_SUBSTITUTED) return value;
      throw new InstructionError(
        `what variables stand for adds up to more than ${MAX_SUBSTITUTED} characters`,
      );
    };
    return { escape: this.#escape, lookup: counted };
  }

  #from({ text, flags }: Instruction): void {
    const rules = this.#rules((name) => this.#globalArgs.get(name));
    const words = splitWords(text, this.#escape).map((word) => expandWord(word, rules));
    const [image, as, alias, ...more] = words;
    // The stage begins even if it is not well, so that what follows is not blamed for it.
    const parent = image === undefined ? undefined : this.#stagesByName.get(image.toLowerCase());
    const name = alias?.toLowerCase() ?? this.#stages.length.toString();
    const duplicate = alias !== undefined && this.#stagesByName.has(name);
    const stage = this.#beginStage(image ?? "", parent);
    const named = { name, stage, uses: new Set(parent?.uses) };
    this.#stages.push(named);
    if (alias !== undefined) this.#stagesByName.set(name, named);
    if (!image) throw new InstructionError("FROM needs an image");
    if (words.length === 2 || more.length > 0 || (as && as.toLowerCase() !== "as")) {
      throw new InstructionError("FROM needs the form IMAGE or IMAGE AS NAME");
    }
    if (duplicate) throw new InstructionError(`there is a stage ${name} already`);
    for (const { name: flag, value } of flags) {
      if (flag !== "platform") throw new InstructionError(`FROM --${flag} has no counterpart`);
      const wanted = expandWord(value ?? "", rules);
      const own = platformName(this.#platform);
      if (wanted !== own) {
        throw new InstructionError(
          `--platform=${wanted} has no counterpart: builds are for their machine's own, ${own}`,
        );
      }
    }
    if (this.#repeated > MAX_REPEATED) {
      throw new InstructionError(
        `stages that continue others repeat more than ${MAX_REPEATED} operations`,
      );
    }
    if (image === "scratch") {
      throw new InstructionError("FROM scratch has no counterpart: a build begins with an image");
    }
  }

  #beginStage(image: string, parent: NamedStage | undefined): Stage {
    this.#repeated += parent?.stage.ops.length ?? 0;
    if (parent && this.#repeated <= MAX_REPEATED) return parent.stage.continued();
    const defaultShell = this.#isWindows ? ["cmd", "/S", "/C"] : ["/bin/sh", "-c"];
    return new Stage({ image, imageEnv: () => this.#options.imageEnv?.(image), defaultShell });
  }

  /** Paths are full of backslashes there, so the escape character is another. */
  get #isWindows(): boolean {
    return this.#escape === "`";
  }

  #globalArg(text: string): void {
    const rules = this.#rules((name) => this.#globalArgs.get(name));
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
    const current = this.#stages.length - 1;
    const named = this.#stagesByName.get(name.toLowerCase());
    const byNumber = /^\d+$/.test(name) && Number(name) < current && this.#stages[Number(name)];
    const stage = named && named !== this.#stages[current] ? named : byNumber || undefined;
    if (name === "") throw new InstructionError("--from needs the name of a stage or image");
    if (!stage) this.#images.add(name);
    uses.add(stage?.name ?? name);
    return { from: "build", name: stage?.name ?? name };
  }

  #target(): NamedStage | undefined {
    const { target } = this.#options;
    if (target === undefined) return this.#stages.at(-1);
    return (
      this.#stagesByName.get(target.toLowerCase()) ??
      (/^\d+$/.test(target) ? this.#stages[Number(target)] : undefined)
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
