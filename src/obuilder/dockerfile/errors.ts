/*
 * What a Dockerfile says that a spec cannot, or that is no Dockerfile.
 */

export interface Problem {
  /** From 1: where the instruction begins. */
  readonly line: number;
  readonly message: string;
}

/** All that stands in the way, so that it can be mended in one go. */
export class DockerfileError extends Error {
  override readonly name = "DockerfileError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ line, message }) => `line ${line}: ${message}`).join("\n"));
    this.problems = problems;
  }
}

/** Thrown while one instruction is looked at; its line is known further up. */
export class InstructionError extends Error {
  override readonly name = "InstructionError";
}
