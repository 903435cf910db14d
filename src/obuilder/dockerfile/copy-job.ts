/*
 * What the sources of one COPY or ADD have in common, and where its paths are in a spec.
 */

import type { DataSource, User } from "../spec/spec.js";
import type { BuildContext } from "./build-context.js";
import { InstructionError } from "./errors.js";
import type { Stage } from "./stage.js";

/** Where a COPY copies from, and what is known of the files there. */
export interface CopySource {
  readonly from: DataSource;
  readonly context: BuildContext;
  /**
   * The directory that is the source's top, if it is a stage that began with nothing; else empty.
   */
  readonly root: string;
  /** Of a stage or image: has a command of root's run at its end. */
  readonly help?: (command: string) => void;
}

export interface CopyEnvironment {
  /** Where `--from=NAME` points. */
  readonly sourceNamed: (name: string) => CopySource;
  readonly context: BuildContext;
  readonly warn: (message: string) => void;
  /** Warns of something that all COPYs have in common, the first time. */
  readonly warnOnce: (message: string) => void;
  /** A name for files of this conversion. */
  readonly unusedName: () => string;
}

/** One COPY or ADD: what its sources have in common. */
export interface CopyJob extends CopyEnvironment {
  readonly stage: Stage;
  readonly source: CopySource;
  readonly owner: User;
  /** As `chmod` has it. */
  readonly mode: string | undefined;
  /** As written, and never empty. */
  readonly dst: string;
  /** Whether that is a directory by its name. */
  readonly into: boolean;
}

/**
 * A destination from the top, without a slash at its end. Throws `InstructionError` if it is too
 * long.
 */
export function absolute(dst: string, stage: Stage): string {
  const path = stage.paths.absolute(dst);
  if (path === undefined) throw new InstructionError(`the path ${dst} is too long`);
  return path;
}

/** A destination where the stage's root is. */
export function placed(dst: string, stage: Stage): string {
  if (stage.root === "") return dst;
  const path = `${stage.root}${absolute(dst, stage)}`;
  return path.endsWith("/") || !isDirectoryByName(dst) ? path : `${path}/`;
}

export function placedSource(path: string, { root }: CopySource): string {
  return root === "" ? path : `${root}/${path}`.replace(/\/\.?(?=\/|$)/g, "") || root;
}

/** A path that ends with a slash, or in `.` or `..`, can only be a directory. */
export function isDirectoryByName(path: string): boolean {
  return /(?:^|\/)\.{0,2}$/.test(path);
}
