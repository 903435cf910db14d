/*
 * Makes a spec of a Dockerfile: FROM, RUN, COPY, ENV, USER, WORKDIR, SHELL, ARG, ONBUILD and
 * stages.
 *
 * Stages become nested builds in the Dockerfile's order, but for those that the last one does not
 * need; a stage that continues another repeats its operations, which share their layers. What only
 * says how an image is to be run is left out with a warning. What else has no counterpart is an
 * error, and all errors are reported at once.
 *
 * What images set and what is in the build context can be told. Where the outcome depends on what
 * is not known, a warning says what was taken for granted.
 */

import { fromBytes } from "../../text/index.js";
import { ROOT, type Spec, type UnixUser } from "../spec/spec.js";
import type { AccountFiles } from "./account-files.js";
import { Accounts } from "./accounts.js";
import { assemble, type NamedStage } from "./assemble.js";
import { type BuildContext, UNKNOWN_CONTEXT } from "./build-context.js";
import { convertCopy } from "./copy.js";
import type { CopyEnvironment } from "./copy-job.js";
import { DockerfileError, InstructionError, type Problem } from "./errors.js";
import { parseFrom } from "./from.js";
import { applySettings, type ImageSettings } from "./image-settings.js";
import { type Instruction, parseDockerfile, parseTrigger } from "./parser.js";
import { type Platform, platformArgs, thisPlatform } from "./platform.js";
import { Remarks } from "./remarks.js";
import { convertRun } from "./run.js";
import { PRIVATE_NAME, Stage } from "./stage.js";
import { Stages } from "./stages.js";
import { userNamed } from "./user.js";
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
  /** `/etc/passwd` and `/etc/group` of an image, if known. */
  readonly imageAccounts?: (image: string) => AccountFiles | undefined;
  /** Numbers of users and groups by their names, whatever images say. */
  readonly users?: ReadonlyMap<string, UnixUser>;
  /** What COPY copies from, if known. */
  readonly context?: BuildContext;
  /** The stage wanted, if not the last one. */
  readonly target?: string;
  /** What is built for, and on; by default this machine. */
  readonly platform?: Platform;
}

export interface FromDockerfile {
  readonly spec: Spec;
  /** The directory that is the root of what is built, if it began with nothing; else empty. */
  readonly root: string;
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

/**
 * Characters that variables stand for, in all: one may stand for twice another, which stands for
 * twice another…
 */
const MAX_SUBSTITUTED = 4 * MAX_TEXT;

/** What a stage is made in that begins with what no step can work in, and where in that. */
const PROGRAMS_IMAGE = "busybox";
const ROOT_ASIDE = "/scratch";

/** The images whose settings and variables the conversion would ask for. */
export function imagesAskedFor(
  text: Uint8Array | string,
  options: Omit<FromDockerfileOptions, "imageEnv" | "imageSettings" | "imageAccounts">,
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

/** Images that are made to hold one program, as far as they are known by their names. */
function isWithoutPrograms(image: string): boolean {
  return /(?:^|\/)distroless\/|(?:^|\/)chainguard\/static\b/.test(image);
}

class Converter {
  readonly #options: FromDockerfileOptions;
  readonly #escape: "\\" | "`";
  readonly #instructions: readonly Instruction[];
  readonly #globalArgs = new Map<string, string | undefined>();
  readonly #stages = new Stages();
  readonly #platform: Platform;
  #substituted = 0;
  /** Files that the spec has of its own. */
  #files = 0;
  /** Images that a warning was given for, as what they set is not known. */
  readonly #unknownImages = new Set<string>();
  readonly #problems: Problem[] = [];
  readonly #remarks = new Remarks();
  readonly #warn = this.#remarks.warn;

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
      this.#remarks.line = instruction.line;
      try {
        this.#instruction(instruction);
      } catch (error) {
        if (!(error instanceof InstructionError)) throw error;
        this.#problems.push({ line: instruction.line, message: error.message });
      }
    }
    const line = this.#instructions.at(-1)?.line ?? 1;
    if (this.#stages.all.length === 0 && this.#problems.length === 0) {
      this.#problems.push({ line, message: "there is no FROM" });
    }
    const target = this.#stages.target(this.#options.target);
    if (!target && this.#problems.length === 0) {
      this.#problems.push({ line, message: `there is no stage ${this.#options.target}` });
    }
    target?.stage.end();
    if (!target || this.#problems.length > 0) throw new DockerfileError(this.#problems);
    const spec = assemble(target, this.#stages.all, this.#stages.images);
    return { spec, root: target.stage.root, warnings: this.#remarks.all };
  }

  #instruction(instruction: Instruction): void {
    const { keyword, text } = instruction;
    const current = this.#stages.current;
    if (keyword === "FROM") this.#from(instruction);
    else if (current) this.#inStage(instruction, current);
    else if (keyword === "ARG") this.#globalArg(text);
    else throw new InstructionError(`${keyword} before the first FROM`);
  }

  #inStage(instruction: Instruction, { stage, triggers }: NamedStage): void {
    const { keyword, text } = instruction;
    if (this.#remarks.isLeftOut(keyword)) return;
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
        convertWorkdir(oneWord(), stage, this.#warn);
        break;
      case "USER":
        stage.setUser(userNamed(oneWord(), this.#isWindows));
        break;
      case "SHELL": {
        const words = parseJsonWords(text);
        if (!words) throw new InstructionError('SHELL needs the form ["WORD", "WORD"]');
        stage.setShell(words);
        break;
      }
      case "RUN":
        convertRun(instruction, stage, rules, this.#copyEnvironment);
        break;
      case "COPY":
      case "ADD":
        convertCopy(instruction, stage, rules, this.#copyEnvironment);
        break;
      case "ONBUILD":
        triggers.push(instruction.trigger!);
        break;
      default:
        throw new InstructionError(`there is no instruction ${keyword}`);
    }
  }

  get #copyEnvironment(): CopyEnvironment {
    return {
      sourceNamed: (name) => this.#stages.source(name),
      context: this.#options.context ?? UNKNOWN_CONTEXT,
      warn: this.#warn,
      warnOnce: this.#remarks.warnOnce,
      unusedName: () => `${++this.#files}`,
    };
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
    const parent = this.#stages.named(image);
    const stage = (parent && this.#stages.continued(parent)) ?? this.#newStage(image);
    const named = this.#stages.add(stage, alias, parent);
    if (problem !== undefined) throw new InstructionError(problem);
    const triggers = parent ? parent.triggers : this.#fromImage(instruction, stage);
    for (const trigger of triggers) this.#trigger({ ...trigger, line: instruction.line }, named);
  }

  /** Gives a new stage what its image sets; returns what ONBUILD has left in there. */
  #fromImage({ line }: Instruction, stage: Stage): Instruction[] {
    const image = stage.base;
    if (stage.root !== "") {
      this.#warn(
        `${image} has no shell and no tar, which steps of a spec need: what is made here is in ${stage.root} of ` +
          `${stage.image}, and copied from there${image === "scratch" ? "" : "; the image's files lose their owners and modes"}`,
      );
      if (image === "scratch") return [];
      const { from } = this.#stages.source(image);
      stage.copy({ from, src: ["/"], dst: stage.root, exclude: [PRIVATE_NAME] }, ROOT);
    }
    const settings = this.#options.imageSettings?.(image);
    if (settings) {
      applySettings(stage, settings, this.#isWindows);
      return settings.onbuild.map((text) => parseTrigger(text, line));
    }
    if (!this.#unknownImages.has(image)) {
      this.#unknownImages.add(image);
      this.#warn(
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

  #newStage(base: string): Stage {
    const isScratch = base === "scratch";
    const isAside = isScratch || isWithoutPrograms(base);
    const { imageEnv, imageSettings, imageAccounts, users = new Map() } = this.#options;
    const usualShell = this.#isWindows ? ["cmd", "/S", "/C"] : ["/bin/sh", "-c"];
    const shell = isScratch ? [] : (imageSettings?.(base)?.shell ?? []);
    const none = { passwd: "", group: "" };
    return new Stage({
      image: isAside ? PROGRAMS_IMAGE : base,
      base,
      imageEnv: () => (isScratch ? new Map() : imageEnv?.(base)),
      defaultShell: shell.length > 0 ? shell : usualShell,
      accounts: () =>
        new Accounts({
          image: base,
          files: isScratch ? none : imageAccounts?.(base),
          given: users,
        }),
      root: isAside ? ROOT_ASIDE : "",
      warn: this.#warn,
    });
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
}
