/*
 * Writes a spec as a Dockerfile, for people who want to try a build without this system.
 *
 * The text is that of the reference wherever that means the spec. Where it does not, words are
 * quoted, and a command that would become another one on a line of its own is written with its
 * shell as a JSON array, which says exactly what is run. What a Dockerfile cannot say is lost:
 * `exclude`, `network`, and, without BuildKit, caches and secrets. Of a directory that is copied
 * into another, Docker copies the contents; it is written so that the directory comes out, if it is
 * known to be one.
 */

import { posix } from "node:path";
import { quoted } from "../../text/index.js";
import { DEFAULT_SHELL } from "../sandboxes/oci-sandbox.js";
import { Scope } from "../spec/scope.js";
import {
  type Cache,
  type CopyOp,
  type EnvOp,
  isRoot,
  isUnixUser,
  type Op,
  ROOT,
  type RunOp,
  type Spec,
  type UnixUser,
  type User,
} from "../spec/spec.js";
import { commandText } from "./from-spec-command.js";
import { StageNames } from "./from-spec-stages.js";
import {
  copyPaths,
  type Escape,
  imageWord,
  jsonWords,
  lineWord,
  mountOption,
  quotedWord,
  UnwritableSpec,
  variableName,
} from "./from-spec-words.js";

export { UnwritableSpec } from "./from-spec-words.js";

export interface DockerfileStyle {
  /** Write caches and secrets as `RUN --mount=…`, which takes BuildKit. */
  readonly buildkit: boolean;
  /** `windows`: escape with a backquote, and take ContainerAdministrator for the first user. */
  readonly escape: "unix" | "windows";
  /** Whether a path of the job's source is a directory; undefined if it is not known. */
  readonly isDirectory?: (path: string) => boolean | undefined;
  /** Told of a source that, if it is a directory, a line copies otherwise than the spec does. */
  readonly onDoubt?: (path: string, destination: string) => void;
}

/** More than anybody reads. */
const MAX_REPEATED = 4 * 1024 * 1024;

const WINDOWS_ROOT: User = { name: "ContainerAdministrator" };

/**
 * The Dockerfile, each line ended by LF.
 *
 * Throws `UnwritableSpec` for words that no Dockerfile can have, and for a cache or secret of a
 * step that a Windows user runs, with BuildKit.
 */
export function dockerfileOf(spec: Spec, style: DockerfileStyle): string {
  const lines: string[] = [];
  if (style.escape === "windows") lines.push("#escape=`");
  writeStage({ spec, as: undefined, scope: new Scope() }, new StageNames(spec), style, lines);
  return `${lines.join("\n")}\n`;
}

interface NamedSpec {
  readonly spec: Spec;
  /** Its name in the Dockerfile; the last stage has none. */
  readonly as: string | undefined;
  /** What the builds around it are called there, by their names in the spec. */
  readonly scope: Scope<string>;
}

function writeStage(
  { spec, as, scope: outer }: NamedSpec,
  names: StageNames,
  style: DockerfileStyle,
  lines: string[],
): void {
  const scope = new Scope(outer);
  for (const child of spec.children) {
    const name = names.assign(child.name);
    writeStage({ spec: child.spec, as: name, scope }, names, style, lines);
    scope.set(child.name, name);
    lines.push("");
  }
  lines.push(`FROM ${imageWord(spec.from)}${as === undefined ? "" : ` as ${as}`}`);
  const stage = new StageWriter(scope, style);
  for (const [i, op] of spec.ops.entries()) {
    const line = stage.instruction(op);
    // Docker refuses a SHELL without words; commands do without.
    if (op.op === "shell" && op.words.length === 0 && isShellUsed(spec.ops, i)) continue;
    lines.push(line);
  }
}

/** Whether a command is run by the shell that the operation at `index` sets. */
function isShellUsed(ops: readonly Op[], index: number): boolean {
  for (let i = index + 1; i < ops.length; i++) {
    const { op } = ops[i]!;
    if (op === "run" || op === "shell") return op === "run";
  }
  return false;
}

/** One stage, instruction by instruction. */
class StageWriter {
  readonly #scope: Scope<string>;
  readonly #style: DockerfileStyle;
  readonly #escape: Escape;
  #user: User;
  #shell: readonly string[];
  /**
   * Variables whose values have line breaks: ENV cannot set them, so each command gets them from
   * `env`.
   */
  readonly #brokenEnv = new Map<string, string>();
  /** Characters of these that were written so far. */
  #repeated = 0;

  constructor(scope: Scope<string>, style: DockerfileStyle) {
    this.#scope = scope;
    this.#style = style;
    const isWindows = style.escape === "windows";
    this.#escape = isWindows ? "`" : "\\";
    this.#user = isWindows ? WINDOWS_ROOT : ROOT;
    this.#shell = isWindows ? ["cmd", "/S", "/C"] : DEFAULT_SHELL;
  }
  instruction(op: Op): string {
    switch (op.op) {
      case "comment":
        return op.text
          .split("\n")
          .map((line) => `# ${line}`)
          .join("\n");
      case "workdir":
        return `WORKDIR ${lineWord("path", op.path, this.#escape)}`;
      case "shell":
        this.#shell = op.words;
        return `SHELL ${jsonWords(op.words)}`;
      case "run":
        return `RUN ${this.#mounts(op)}${this.#command(op.shell)}`;
      case "copy":
        return this.#copy(op);
      case "user":
        this.#user = op.user;
        return `USER ${isUnixUser(op.user) ? userPair(op.user) : lineWord("user", op.user.name, this.#escape)}`;
      case "env":
        return this.#env(op);
    }
  }
  #env({ key, value }: EnvOp): string {
    this.#brokenEnv.delete(key);
    if (!value.includes("\n")) {
      return `ENV ${variableName(key, this.#escape)}=${quotedWord(value, this.#escape)}`;
    }
    if (this.#style.escape === "windows") {
      throw new UnwritableSpec(
        `The value of ${key} has a line break in it, which a Dockerfile for Windows cannot say`,
      );
    }
    this.#brokenEnv.set(key, value);
    return `# The value of ${quoted(key)} has line breaks, which ENV cannot say; commands get it from env.`;
  }

  #command(command: string): string {
    const isUsual = this.#shell.length > 0 && this.#brokenEnv.size === 0;
    const text = isUsual ? commandText(command, this.#escape) : undefined;
    // Nothing is what the reference writes for nothing; a shell of the spec's own is run all the
    // same.
    if (text || (text === "" && this.#shell === DEFAULT_SHELL)) return text;
    const variables = [...this.#brokenEnv].map(([key, value]) => `${key}=${value}`);
    this.#repeated += variables.reduce((sum, { length }) => sum + length, 0);
    if (this.#repeated > MAX_REPEATED) {
      throw new UnwritableSpec(
        `Variables with line breaks, repeated for each command, add up to more than ${MAX_REPEATED} characters`,
      );
    }
    const env = variables.length > 0 ? ["env", ...variables] : [];
    return jsonWords([...env, ...this.#shell, command]);
  }

  #mounts({ cache, secrets }: RunOp): string {
    if (!this.#style.buildkit) return "";
    return [
      ...secrets.map((secret) => this.#mount("secret", secret)),
      ...cache.map((each) => this.#mount("cache", each)),
    ].join("");
  }

  #mount(type: "secret" | "cache", mount: Cache): string {
    const user = this.#user;
    if (!isUnixUser(user)) {
      throw new UnwritableSpec(
        `The ${type} "${mount.id}" is mounted for user ${user.name}, and a mount needs a user number; ` +
          "leave --buildkit out or give the step a (user (uid N) (gid N))",
      );
    }
    const options = [
      ["type", type],
      ["id", mount.id],
      ["target", mount.target],
      ["uid", user.uid.toString()],
      ...mount.buildkitOptions,
    ] as const;
    return `--mount=${options.map(([key, value]) => mountOption(key, value)).join(",")} `;
  }

  #copy({ from, src, dst }: CopyOp): string {
    const user = this.#user;
    const flags: string[] = [];
    if (isUnixUser(user) && !isRoot(user)) flags.push(`--chown=${userPair(user)} `);
    if (from.from === "build") {
      flags.push(`--from=${imageWord(this.#scope.get(from.name) ?? from.name)} `);
    }
    return this.#destinations({ from, src, dst })
      .map(({ src: some, dst: to }) => `COPY ${flags.join("")}${copyPaths(some, to, this.#escape)}`)
      .join("\n");
  }

  /**
   * Into a directory Docker copies what a directory has in it, and a spec the directory itself: so
   * its name becomes part of the destination. Sources of which it is not known what they are stay
   * together, as the reference writes them.
   */
  #destinations({ from, src, dst }: Pick<CopyOp, "from" | "src" | "dst">): CopyLine[] {
    const lines: CopyLine[] = [];
    if (!dst.endsWith("/")) return [{ src, dst }];
    for (const path of src) {
      const name = posix.basename(posix.normalize(`/${path}`));
      const isContext = from.from === "context";
      const isDirectory =
        path.endsWith("/") || (isContext ? this.#style.isDirectory?.(path) : undefined);
      // The top directory has no name of its own.
      if (isDirectory && name !== "") {
        lines.push({ src: [path], dst: dst + name });
        continue;
      }
      if (name !== "" && isDirectory === undefined) this.#style.onDoubt?.(path, dst);
      const last = lines.at(-1);
      if (last?.dst === dst) lines[lines.length - 1] = { src: [...last.src, path], dst };
      else lines.push({ src: [path], dst });
    }
    return lines.length === 0 ? [{ src, dst }] : lines;
  }
}

interface CopyLine {
  readonly src: readonly string[];
  readonly dst: string;
}

function userPair({ uid, gid }: UnixUser): string {
  return `${uid}:${gid}`;
}
