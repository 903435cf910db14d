/*
 * Makes a spec of a Dockerfile: FROM, RUN, COPY, ENV, USER, WORKDIR, SHELL, ARG, ONBUILD and stages.
 *
 * Stages become nested builds in the Dockerfile's order, but for those that the last one does not
 * need; a stage that continues another repeats its operations, which share their layers. What only
 * says how an image is to be run is left out with a warning. What else has no counterpart is an
 * error, and all errors are reported at once.
 *
 * What images set and what is in the build context can be told. Where the outcome depends on what is
 * not known, a warning says what was taken for granted.
 */

import { fromBytes } from "../../text/index.js";
import type { Spec } from "../spec/spec.js";
import { assemble, type NamedStage } from "./assemble.js";
import { type BuildContext, stageContext, UNKNOWN_CONTEXT } from "./build-context.js";
import { type CopySource, convertCopy } from "./copy.js";
import { DockerfileError, InstructionError, type Problem } from "./errors.js";
import { parseFrom } from "./from.js";
import { applySettings, type ImageSettings } from "./image-settings.js";
import { type Instruction, parseDockerfile, parseTrigger } from "./parser.js";
import { type Platform, platformArgs, thisPlatform } from "./platform.js";
import { convertRun } from "./run.js";
import { Stage } from "./stage.js";
import { parseUser } from "./user.js";
import { needed, parseArgs, parsePairs, splitArgs } from "./variables.js";
import { expandWord, type Lookup, parseJsonWords, type WordRules } from "./words.js";
import { convertWorkdir } from "./workdir.js";

export interface FromDockerfileOptions {
  /** Values for ARG, as `docker build --build-arg` has them. */
  readonly buildArgs?: ReadonlyMap<string, string>;
  /** The variables that an image sets, if known. Asked only when it matters. */
  readonly imageEnv?: (image: string) => ReadonlyMap<string, string> | undefined;
  /** What an image says of builds that begin with it, if known. */
  readonly imageSettings?: (image: string) => ImageSettings | undefined;
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

/** Say how an image is to be run, and change nothing of what a build does. */
const OF_RUNNING = new Set([
  ...["CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL", "VOLUME"],
]);

/** Operations that stages take over from those that they continue. */
const MAX_REPEATED = 100_000;

/** The images whose settings and variables the conversion would ask for. */
export function imagesAskedFor(
  text: Uint8Array | string,
  options: Omit<FromDockerfileOptions, "imageEnv" | "imageSettings">,
): string[] {
  const images = new Set<string>();
  const imageSettings = (image: string) => {
    images.add(image);
    return undefined;
  };
  try {
    specFromDockerfile(text, { ...options, imageSettings });
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
  }
  return [...images];
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
  /** Images that a warning was given for, as what they set is not known. */
  readonly #unknownImages = new Set<string>();
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
    const spec = assemble(target, this.#stages, this.#images);
    return { spec, warnings: this.#warnings };
  }

  #instruction(instruction: Instruction): void {
    const { keyword, text } = instruction;
    const current = this.#stages.at(-1);
    if (keyword === "FROM") this.#from(instruction);
    else if (current) this.#inStage(instruction, current);
    else if (keyword === "ARG") this.#globalArg(text);
    else throw new InstructionError(`${keyword} before the first FROM`);
  }

  #inStage(instruction: Instruction, { stage, triggers, uses }: NamedStage): void {
    const { keyword, text } = instruction;
    const warn = (message: string) => this.#warn(instruction, message);
    if (OF_RUNNING.has(keyword)) {
      warn(`${keyword} is left out: it says how to run the image, and a spec says how to build it`);
      return;
    }
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
        convertWorkdir(oneWord(), stage, warn);
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
          warn,
        });
        break;
      case "ADD":
        throw new InstructionError("ADD has no counterpart; use COPY, or RUN with curl or tar");
      case "ONBUILD":
        triggers.push(instruction.trigger!);
        break;
      default:
        throw new InstructionError(`there is no instruction ${keyword}`);
    }
  }

  #warn({ line }: Instruction, message: string): void {
    this.#warnings.push({ line, message });
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

  #from(instruction: Instruction): void {
    const rules = this.#rules((name) => this.#globalArgs.get(name));
    const { image, alias, problem } = parseFrom(instruction, rules, this.#platform);
    const parent = this.#stagesByName.get(image.toLowerCase());
    const name = alias ?? this.#stages.length.toString();
    const isDuplicate = alias !== undefined && this.#stagesByName.has(name);
    const stage = this.#beginStage(image, parent);
    const named = { name, stage, triggers: [], uses: new Set(parent?.uses) };
    this.#stages.push(named);
    if (alias !== undefined) this.#stagesByName.set(name, named);
    if (problem !== undefined) throw new InstructionError(problem);
    if (isDuplicate) throw new InstructionError(`there is a stage ${name} already`);
    if (this.#repeated > MAX_REPEATED) {
      throw new InstructionError(
        `stages that continue others repeat more than ${MAX_REPEATED} operations`,
      );
    }
    const triggers = parent ? parent.triggers : this.#fromImage(instruction, stage);
    for (const trigger of triggers) this.#trigger({ ...trigger, line: instruction.line }, named);
  }

  /** Gives a new stage what its image sets; returns what ONBUILD has left in there. */
  #fromImage(instruction: Instruction, stage: Stage): Instruction[] {
    const { image } = stage;
    const settings = this.#options.imageSettings?.(image);
    if (settings) {
      applySettings(stage, settings, this.#isWindows);
      return settings.onbuild.map((text) => parseTrigger(text, instruction.line));
    }
    if (!this.#unknownImages.has(image)) {
      this.#unknownImages.add(image);
      this.#warn(
        instruction,
        `the image ${image} is not known here; if it sets USER, WORKDIR, SHELL or ONBUILD, write these ` +
          "behind FROM, or have the Docker engine pull it first",
      );
    }
    return [];
  }

  #trigger(trigger: Instruction, named: NamedStage): void {
    try {
      this.#inStage(trigger, named);
    } catch (error) {
      if (!(error instanceof InstructionError)) throw error;
      const from = named.stage.image;
      throw new InstructionError(`ONBUILD ${trigger.keyword} of ${from}: ${error.message}`, {
        cause: error,
      });
    }
  }

  #beginStage(image: string, parent: NamedStage | undefined): Stage {
    if (parent) {
      const { stage, triggers } = parent;
      this.#repeated += stage.ops.length + triggers.length + Math.ceil(stage.paths.size / 10);
    }
    if (parent && this.#repeated <= MAX_REPEATED) return parent.stage.continued();
    const usualShell = this.#isWindows ? ["cmd", "/S", "/C"] : ["/bin/sh", "-c"];
    const shell = this.#options.imageSettings?.(image)?.shell ?? [];
    const defaultShell = shell.length > 0 ? shell : usualShell;
    return new Stage({ image, imageEnv: () => this.#options.imageEnv?.(image), defaultShell });
  }

  /** Paths are full of backslashes there, so the escape character is another. */
  get #isWindows(): boolean {
    return this.#escape === "`";
  }

  #globalArg(text: string): void {
    const rules = this.#rules((name) => this.#globalArgs.get(name));
    // BuildKit sets these one after the other, other than in a stage.
    for (const [name, value] of splitArgs(text, this.#escape)) {
      const expanded = value === undefined ? undefined : expandWord(value, rules);
      this.#globalArgs.set(name, this.#options.buildArgs?.get(name) ?? expanded);
    }
  }

  #arg(text: string, stage: Stage, rules: WordRules): void {
    for (const [name, value] of parseArgs(text, rules)) {
      const inherited = value ?? this.#globalArgs.get(name);
      stage.setArg(name, this.#options.buildArgs?.get(name) ?? inherited);
    }
  }

  /** A stage by its name or number, else an image. */
  #sourceNamed(name: string, uses: Set<string>): CopySource {
    const current = this.#stages.length - 1;
    const named = this.#stagesByName.get(name.toLowerCase());
    const byNumber = /^\d+$/.test(name) && Number(name) < current && this.#stages[Number(name)];
    const stage = named && named !== this.#stages[current] ? named : byNumber || undefined;
    if (name === "") throw new InstructionError("--from needs the name of a stage or image");
    if (!stage) this.#images.add(name);
    uses.add(stage?.name ?? name);
    const from = { from: "build", name: stage?.name ?? name } as const;
    return { from, context: stage ? stageContext(stage.stage.paths) : UNKNOWN_CONTEXT };
  }

  #target(): NamedStage | undefined {
    const { target } = this.#options;
    if (target === undefined) return this.#stages.at(-1);
    return (
      this.#stagesByName.get(target.toLowerCase()) ??
      (/^\d+$/.test(target) ? this.#stages[Number(target)] : undefined)
    );
  }
}
