/*
 * The build spec: what a build is asked to do, as data.
 *
 * A spec is a base image and operations on it, preceded by nested builds whose results the
 * operations may copy from. `spec-reader.ts` reads it from an S-expression, `spec-printer.ts`
 * prints its canonical form.
 *
 * Every string here is a byte string (`bytes.ts`): text that keeps bytes outside of UTF-8.
 */

/** `((build NAME SPEC)* (from IMAGE) OP*)` */
export interface Spec {
  /** In the order written. Names may repeat; the later one wins. */
  readonly children: readonly ChildBuild[];
  /** The image's name as written; the base layer's id depends on nothing else. */
  readonly from: string;
  readonly ops: readonly Op[];
}

/** A nested build, made before the build that contains it. */
export interface ChildBuild {
  readonly name: string;
  readonly spec: Spec;
}

export type Op = CommentOp | WorkdirOp | ShellOp | RunOp | CopyOp | UserOp | EnvOp;

/** `(comment TEXT)`: does nothing but appear in the log. */
export interface CommentOp {
  readonly op: "comment";
  readonly text: string;
}

/** `(workdir PATH)`: where later commands run and relative destinations begin. */
export interface WorkdirOp {
  readonly op: "workdir";
  readonly path: string;
}

/** `(shell WORD*)`: the words before the command of later `run`s; may be none. */
export interface ShellOp {
  readonly op: "shell";
  readonly words: readonly string[];
}

/** `(run (cache …) (network …) (secrets …) (shell CMD))` */
export interface RunOp {
  readonly op: "run";
  readonly cache: readonly Cache[];
  /** `[]` (none) or `["host"]`; anything else is refused when the step runs. */
  readonly network: readonly string[];
  readonly secrets: readonly Secret[];
  /** The command, one word appended to the shell's words. */
  readonly shell: string;
}

/** `(copy (from …) (src …) (dst …) (exclude …))` */
export interface CopyOp {
  readonly op: "copy";
  readonly from: DataSource;
  readonly src: readonly string[];
  readonly dst: string;
  /** Base names to leave out at any depth below a source; not globs. */
  readonly exclude: readonly string[];
}

/** `(user (uid N) (gid N))` or `(user (name NAME))` */
export interface UserOp {
  readonly op: "user";
  readonly user: User;
}

/** `(env KEY VALUE)` */
export interface EnvOp {
  readonly op: "env";
  readonly key: string;
  readonly value: string;
}

/** Where a `copy` reads: the directory given with the build, or the result of a nested build. */
export type DataSource =
  | { readonly from: "context" }
  | { readonly from: "build"; readonly name: string };

/** A directory kept between builds, mounted at `target` while the command runs. */
export interface Cache {
  readonly id: string;
  readonly target: string;
  /** Only for a Dockerfile made from the spec. */
  readonly buildkitOptions: readonly KeyValue[];
}

/** A secret's value appears as the file `target` while the command runs. */
export interface Secret {
  readonly id: string;
  readonly target: string;
  /** Only for a Dockerfile made from the spec. */
  readonly buildkitOptions: readonly KeyValue[];
}

export type KeyValue = readonly [key: string, value: string];

/** Environment variables, in an order that ids depend on. Keys may repeat. */
export type Env = readonly KeyValue[];

export type User = UnixUser | WindowsUser;

/** Numbers within ±2^62, as the spec language has them; an id holds them exactly. */
export interface UnixUser {
  readonly uid: bigint;
  readonly gid: bigint;
}

export interface WindowsUser {
  readonly name: string;
}

export const ROOT: UnixUser = { uid: 0n, gid: 0n };

export function isUnixUser(user: User): user is UnixUser {
  return "uid" in user;
}

export function isRoot(user: User): boolean {
  return isUnixUser(user) && user.uid === ROOT.uid && user.gid === ROOT.gid;
}
