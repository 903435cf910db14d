/*
 * One stage of a Dockerfile on its way to a spec: the operations so far, and what later
 * instructions depend on.
 *
 * Docker and the spec differ in who keeps what. Docker copies as root whatever USER says, has a
 * shell of its own by default and takes words without a shell; the spec has one user, one shell.
 * So the stage knows both what the Dockerfile has set and what the operations so far have set, and
 * adds a `user` or `shell` operation where the two must agree.
 */

import { isDeepStrictEqual } from "node:util";
import { type CopyOp, type Op, ROOT, type RunOp, type User } from "../spec/spec.js";
import { InstructionError } from "./errors.js";
import { KnownPaths } from "./known-paths.js";
import type { Lookup } from "./words.js";

export interface StageBase {
  readonly image: string;
  /** The image's variables, if known. */
  readonly imageEnv: () => ReadonlyMap<string, string> | undefined;
  /** Docker's, when there is no SHELL. */
  readonly defaultShell: readonly string[];
}

export class Stage {
  readonly #base: StageBase;
  readonly #ops: Op[] = [];
  /** ENV, which wins over ARG. */
  #env = new Map<string, string>();
  readonly #args = new Map<string, string | undefined>();
  /** As the Dockerfile has it … */
  #user: User = ROOT;
  /** Why the user cannot be told, if so: it is one that the image sets. */
  #userProblem: string | undefined;
  #shell: readonly string[];
  /** … and as the operations so far leave it; of the shell, undefined is the builder's default. */
  #specUser: User = ROOT;
  #specShell: readonly string[] | undefined;
  #paths = new KnownPaths();

  constructor(base: StageBase) {
    this.#base = base;
    this.#shell = base.defaultShell;
  }

  /**
   * A new stage that begins where this one ends. Build arguments do not go with it; that commands still see them as
   * variables cannot be helped, as a spec has no way to unset one.
   */
  continued(): Stage {
    const stage = new Stage(this.#base);
    stage.#ops.push(...this.#ops);
    stage.#env = new Map(this.#env);
    stage.#user = this.#user;
    stage.#userProblem = this.#userProblem;
    stage.#shell = this.#shell;
    stage.#specUser = this.#specUser;
    stage.#specShell = this.#specShell;
    stage.#paths = this.#paths.copy();
    return stage;
  }

  get image(): string {
    return this.#base.image;
  }

  get ops(): readonly Op[] {
    return this.#ops;
  }

  /** Throws `InstructionError` if the image sets one that a spec cannot have. */
  get user(): User {
    if (this.#userProblem !== undefined) throw new InstructionError(this.#userProblem);
    return this.#user;
  }

  /** What is known of the files so far. */
  get paths(): KnownPaths {
    return this.#paths;
  }

  /** The value of a variable in this stage, for substitutions. */
  readonly lookup: Lookup = (name) => {
    if (this.#env.has(name)) return this.#env.get(name);
    if (this.#args.has(name)) return this.#args.get(name);
    const { image } = this.#base;
    const imageEnv = this.#base.imageEnv();
    if (imageEnv) return imageEnv.get(name);
    // The shell's own, as `$1` and `$@`. No image sets these.
    if (/^[^\p{L}_]/u.test(name)) return undefined;
    throw new InstructionError(
      `$${name} is set by no ARG or ENV before, so it would be what the image ${image} sets, ` +
        "which is not known here; write its value instead",
    );
  };

  setEnv(key: string, value: string): void {
    this.#env.set(key, value);
    this.#ops.push({ op: "env", key, value });
  }

  /** A build argument: a variable for commands, unless ENV has set one of that name. */
  setArg(name: string, value: string | undefined): void {
    this.#args.set(name, value);
    if (value !== undefined && !this.#env.has(name)) {
      this.#ops.push({ op: "env", key: name, value });
    }
  }

  setWorkdir(path: string): void {
    this.#paths.enter(path);
    this.#ops.push({ op: "workdir", path });
  }

  setUser(user: User): void {
    this.#user = user;
    this.#userProblem = undefined;
    this.#becomeUser(user);
  }

  /** The image sets a user that a spec cannot have; whoever needs to know it gets this message. */
  setUnknownUser(problem: string): void {
    this.#userProblem = problem;
  }

  setShell(words: readonly string[]): void {
    this.#shell = words;
    this.#useShell(words);
  }

  /** A command for the shell. */
  run(command: string, rest: Omit<RunOp, "op" | "shell">): void {
    this.#becomeUser(this.user);
    this.#useShell(this.#shell);
    this.#paths.command(command);
    this.#ops.push({ op: "run", ...rest, shell: command });
  }

  /** A program and its arguments, without a shell. */
  runWords(words: readonly string[], rest: Omit<RunOp, "op" | "shell">): void {
    this.#becomeUser(this.user);
    this.#paths.command(words.map((word) => (/\s/.test(word) ? "''" : word)).join(" "));
    this.#useShell(words.slice(0, -1));
    this.#ops.push({ op: "run", ...rest, shell: words.at(-1)! });
  }

  copy(copy: Omit<CopyOp, "op">, owner: User): void {
    this.#becomeUser(owner);
    this.#ops.push({ op: "copy", ...copy });
  }

  #becomeUser(user: User): void {
    if (isDeepStrictEqual(user, this.#specUser)) return;
    this.#specUser = user;
    this.#ops.push({ op: "user", user });
  }

  #useShell(words: readonly string[]): void {
    if (this.#specShell && isDeepStrictEqual(words, this.#specShell)) return;
    this.#specShell = words;
    this.#ops.push({ op: "shell", words });
  }
}
