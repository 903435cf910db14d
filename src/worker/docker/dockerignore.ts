/**
 * Which files of a job's context are not sent to the engine.
 */
import { IgnoreFile } from "../../text/index.js";
import { JobFailed } from "../failure.js";

export class DockerIgnore {
  readonly #file: IgnoreFile;

  constructor(text: string) {
    this.#file = new IgnoreFile(text);
  }

  /** Whether something in an ignored directory may be needed after all. */
  get hasExceptions(): boolean {
    return this.#file.hasExceptions;
  }

  /** Whether the file or directory at `path`, relative to the context and without `.` segments, is left out. Throws `JobFailed`. */
  ignores(path: string): boolean {
    try {
      return this.#file.leavesOut(path) !== undefined;
    } catch (error) {
      throw new JobFailed((error as Error).message, { cause: error });
    }
  }
}
