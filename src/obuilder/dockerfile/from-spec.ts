/*
 * Writes a spec as a Dockerfile, for people who want to try a build without this system.
 *
 * What a Dockerfile cannot say is lost: `exclude`, `network`, and, without BuildKit, caches and
 * secrets. Nothing is escaped but the values of variables.
 */

import {
  type Cache,
  type CopyOp,
  isRoot,
  isUnixUser,
  type Op,
  ROOT,
  type RunOp,
  type Spec,
  type User,
} from "../spec/spec.js";

export interface DockerfileStyle {
  /** Write caches and secrets as `RUN --mount=…`, which takes BuildKit. */
  readonly buildkit: boolean;
  /** `windows`: escape with a backquote, and take ContainerAdministrator for the first user. */
  readonly escape: "unix" | "windows";
}

/** The spec has no counterpart in this style; the message says in which it has. */
export class UnwritableSpec extends Error {
  override readonly name = "UnwritableSpec";
}

const WINDOWS_ROOT: User = { name: "ContainerAdministrator" };

/**
 * The Dockerfile, each line ended by LF.
 *
 * Throws `UnwritableSpec` for a cache or secret of a step that a Windows user runs, with BuildKit.
 */
export function dockerfileOf(spec: Spec, style: DockerfileStyle): string {
  const lines: string[] = [];
  if (style.escape === "windows") lines.push("#escape=`");
  writeStage(spec, undefined, style, lines);
  return `${lines.join("\n")}\n`;
}

function writeStage(
  spec: Spec,
  name: string | undefined,
  style: DockerfileStyle,
  lines: string[],
): void {
  for (const child of spec.children) {
    writeStage(child.spec, child.name, style, lines);
    lines.push("");
  }
  lines.push(`FROM ${spec.from}${name === undefined ? "" : ` as ${name}`}`);
  let user = style.escape === "windows" ? WINDOWS_ROOT : ROOT;
  for (const op of spec.ops) {
    lines.push(instruction(op, user, style));
    if (op.op === "user") user = op.user;
  }
}

function instruction(op: Op, user: User, style: DockerfileStyle): string {
  switch (op.op) {
    case "comment":
      return `# ${op.text}`;
    case "workdir":
      return `WORKDIR ${op.path}`;
    case "shell":
      return `SHELL [ ${op.words.map((word) => `"${word}"`).join(", ")} ]`;
    case "run":
      return runInstruction(op, user, style);
    case "copy":
      return copyInstruction(op, user);
    case "user":
      return `USER ${isUnixUser(op.user) ? `${op.user.uid}:${op.user.gid}` : op.user.name}`;
    case "env":
      return `ENV ${op.key}="${quoteValue(op.value, escapeCharacter(style))}"`;
  }
}

function runInstruction(op: RunOp, user: User, style: DockerfileStyle): string {
  const mounts = style.buildkit
    ? [
        ...op.secrets.map((secret) => mountFlag("secret", secret, user)),
        ...op.cache.map((cache) => mountFlag("cache", cache, user)),
      ]
    : [];
  const lines = op.shell.split("\n").map(trimBlanks);
  return `RUN ${mounts.join("")}${lines.join(` ${escapeCharacter(style)}\n    `)}`;
}

function mountFlag(type: "secret" | "cache", mount: Cache, user: User): string {
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
  ];
  return `--mount=${options.map(([key, value]) => `${key}=${value}`).join(",")} `;
}

function copyInstruction(op: CopyOp, user: User): string {
  const flags = [];
  if (isUnixUser(user) && !isRoot(user)) {
    flags.push(`--chown=${user.uid}:${user.gid}`);
  }
  if (op.from.from === "build") flags.push(`--from=${op.from.name}`);
  return `COPY ${flags.map((flag) => `${flag} `).join("")}${op.src.join(" ")} ${op.dst}`;
}

function escapeCharacter(style: DockerfileStyle): string {
  return style.escape === "windows" ? "`" : "\\";
}

function quoteValue(value: string, escapeWith: string): string {
  return value.replace(/["\\`]/g, (c) => (c === '"' || c === escapeWith ? escapeWith + c : c));
}

const BLANKS = " \t\n\f\r";

/** Of ASCII blanks only: a no-break space is part of the command. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.includes(text[start]!)) start++;
  while (start < end && BLANKS.includes(text[end - 1]!)) end--;
  return text.slice(start, end);
}
