/*
 * One stage of a Dockerfile on its way to a spec: the operations so far, and what later
 * instructions depend on.
 *
 * Docker and the spec differ in who keeps what. Docker copies as root whatever USER says, has a
 * shell of its own by default and takes words without a shell; the spec has one user, one shell.
 * So the stage knows both what the Dockerfile has set and what the operations so far have set, and
 * adds a `user` or `shell` operation where the two must agree.
 *
 * A stage that begins with nothing (`FROM scratch`), or with an image that has neither shell nor
 * `tar`, is made in a directory of an image that has both, as steps need these.
 */

import { isDeepStrictEqual } from "node:util";
import { type CopyOp, type Op, ROOT, type RunOp, type User } from "../spec/spec.js";
import { type Accounts, checkCommand, type Resolved } from "./accounts.js";
import { InstructionError } from "./errors.js";
import { KnownPaths } from "./known-paths.js";
import { checkPathCommand, guessedPath } from "./usual-path.js";
import type { Lookup } from "./words.js";

export interface StageBase {
  /** As the spec has it. */
  readonly image: string;
  /** As the Dockerfile has it, if that is another one. */
  readonly base: string;
  /** The image's variables, if known. */
  readonly imageEnv: () => ReadonlyMap<string, string> | undefined;
  /** Docker's, when there is no SHELL. */
  readonly defaultShell: readonly string[];
  readonly accounts: () => Accounts;
  /** The directory that is the stage's root, if that is not the image's own; else empty. */
  readonly root: string;
  readonly warn: (message: string) => void;
}

/** The files that a spec needs and Docker does not are in there, or have this name. */
export const PRIVATE_NAME = ".from-dockerfile";

/** Runs what the spec adds to the Dockerfile. */
const HELPER_SHELL = ["/bin/sh", "-c"] as const;

export class Stage {
  readonly #base: StageBase;
  readonly #ops: Op[] = [];
  /** Operations that only those need who copy from the stage. */
  readonly #tail: Op[] = [];
  /** ENV, which wins over ARG. */
  #env = new Map<string, string>();
  readonly #args = new Map<string, string | undefined>();
  /** As the Dockerfile has it: the user, or a text that is looked up when it matters … */
  #user: User | string = ROOT;
  #shell: readonly string[];
  /** … and as the operations so far leave it; of the shell, undefined is the builder's default. */
  #specUser: User = ROOT;
  #specShell: readonly string[] | undefined;
  #paths = new KnownPaths();
  #accounts: Accounts | undefined;
  /** Commands that look at users' numbers, so that none is there twice. */
  #checks = new Set<string>();

  constructor(base: StageBase) {
    this.#base = base;
    this.#shell = base.defaultShell;
  }

  /**
   * A new stage that begins where this one ends. Build arguments do not go with it; that commands
   * still see them as variables cannot be helped, as a spec has no way to unset one.
   */
  continued(): Stage {
    const stage = new Stage(this.#base);
    stage.#ops.push(...this.#ops);
    stage.#env = new Map(this.#env);
    stage.#user = this.#user;
    stage.#shell = this.#shell;
    stage.#specUser = this.#specUser;
    stage.#specShell = this.#specShell;
    stage.#paths = this.#paths.copy();
    stage.#accounts = this.#accounts?.copy();
    stage.#checks = new Set(this.#checks);
    return stage;
  }

  get image(): string {
    return this.#base.image;
  }

  /** What the Dockerfile begins it with. */
  get base(): string {
    return this.#base.base;
  }

  /** The directory that is its root. Empty for the usual one. */
  get root(): string {
    return this.#base.root;
  }

  get ops(): readonly Op[] {
    return this.#ops;
  }

  /** The same for who copies from it. */
  get opsAsSource(): readonly Op[] {
    return [...this.#ops, ...this.#tail];
  }

  /** Who runs commands. Throws `InstructionError` if that is somebody of whom nothing is known. */
  get user(): User {
    if (typeof this.#user !== "string") return this.#user;
    const text = this.#user;
    const found = this.accounts.resolve(text);
    if (found.moreGroups.length > 0) {
      this.#base.warn(
        `${text} is in ${found.moreGroups.join(", ")}, too, for Docker; a spec has one group for each user`,
      );
    }
    this.#user = this.checked(text, found);
    return this.#user;
  }

  get accounts(): Accounts {
    this.#accounts ??= this.#base.accounts();
    return this.#accounts;
  }

  /** What is known of the files so far. */
  get paths(): KnownPaths {
    return this.#paths;
  }

  /** The value of a variable in this stage, for substitutions. */
  readonly lookup: Lookup = (name) => {
    if (this.#env.has(name)) return this.#env.get(name);
    if (this.#args.has(name)) return this.#args.get(name);
    const { base: image } = this.#base;
    const imageEnv = this.#base.imageEnv();
    if (imageEnv) return imageEnv.get(name);
    // The shell's own, as `$1` and `$@`. No image sets these.
    if (/^[^\p{L}_]/u.test(name)) return undefined;
    if (name === "PATH") return this.#guessedPath();
    throw new InstructionError(
      `$${name} is set by no ARG or ENV before, so it would be what the image ${image} sets, ` +
        "which is not known here; have the Docker engine pull it, or write its value instead",
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
    if (this.root === "") this.#ops.push({ op: "workdir", path });
  }

  /** A user, or what is to be looked up when a command or a copy needs it. */
  setUser(user: User | string): void {
    this.#user = user;
    if (typeof user !== "string") this.#becomeUser(user);
  }

  /** The user that was looked up; the spec checks it if it was guessed. */
  checked(text: string, { user, isSure }: Resolved): User {
    if (isSure) return user;
    const command = checkCommand(text, user);
    if (this.#checks.has(command)) return user;
    this.#checks.add(command);
    this.#base.warn(
      `${text} is taken for ${user.uid}:${user.gid}, and a step checks that; --user says it for sure`,
    );
    this.help(command);
    return user;
  }

  setShell(words: readonly string[]): void {
    this.#shell = words;
    this.#useShell(words);
  }

  /** A command for the shell. */
  run(command: string, rest: Omit<RunOp, "op" | "shell">): void {
    this.#becomeUser(this.user);
    this.#useShell(this.#shell);
    this.#note(command);
    this.#ops.push({ op: "run", ...rest, shell: command });
  }

  /** A program and its arguments, without a shell. */
  runWords(words: readonly string[], rest: Omit<RunOp, "op" | "shell">): void {
    this.#becomeUser(this.user);
    this.#note(words.map((word) => (/\s/.test(word) ? "''" : word)).join(" "));
    this.#useShell(words.slice(0, -1));
    this.#ops.push({ op: "run", ...rest, shell: words.at(-1)! });
  }

  copy(copy: Omit<CopyOp, "op">, owner: User): void {
    this.#becomeUser(owner);
    this.#ops.push({ op: "copy", ...copy });
  }

  /** A command that the Dockerfile does not have: root runs it, in the working directory. */
  help(command: string): void {
    this.#help(command);
    this.#paths.ran();
  }

  #help(command: string): void {
    this.#becomeUser(ROOT);
    this.#useShell(HELPER_SHELL);
    this.#ops.push(helperRun(command));
  }

  /** The same in another directory. */
  helpIn(dir: string, command: string): void {
    const workdir = this.#paths.workdir;
    this.#ops.push({ op: "workdir", path: dir });
    this.#help(command);
    this.#ops.push({ op: "workdir", path: workdir });
  }

  /** A command of root's at the very end, for those who copy from the stage. */
  helpSource(command: string): void {
    if (this.#tail.length === 0) this.#tail.push(...helperSettings());
    this.#tail.push(helperRun(command));
  }

  #guessedPath(): string {
    const { base: image } = this.#base;
    const path = guessedPath(image);
    if (this.root !== "") return path;
    const command = checkPathCommand(path, image);
    if (!this.#checks.has(command)) {
      this.#checks.add(command);
      this.help(command);
      this.#base.warn(
        `$PATH of ${image} is taken for ${path}, and a step checks that; it is known for sure if the Docker engine ` +
          "has the image",
      );
    }
    return path;
  }

  /** Has nothing more to come: makes the working directory if no step has. */
  end(): void {
    if (this.root === "" && (this.#paths.unmadeWorkdir ?? "/") !== "/") this.help(":");
  }

  #note(command: string): void {
    this.#paths.command(command);
    if (/user|group/.test(command)) this.accounts.command(command, this.lookup);
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

/** What `helperRun` needs to be set in a build that begins or ends with it. */
export function helperSettings(): Op[] {
  return [
    { op: "user", user: ROOT },
    { op: "shell", words: HELPER_SHELL },
  ];
}

/** Without network, caches and secrets. */
export function helperRun(command: string): RunOp {
  return { op: "run", cache: [], network: [], secrets: [], shell: command };
}
