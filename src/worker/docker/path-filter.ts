/**
 * Which files of a directory are sent to BuildKit: what its own patterns leave out, and what a
 * request of the engine leaves out or is content with, has no need to go there. Patterns and what
 * they mean are Docker's (github.com/moby/patternmatcher).
 */
import type { IgnoreFile } from "../../text/index.js";

export class PathFilter {
  /**
   * `excludes` leave out; of what they leave, `includes` takes part, or everything if there is
   * none.
   */
  constructor(
    private readonly excludes: readonly IgnoreFile[],
    private readonly includes?: IgnoreFile | undefined,
  ) {}

  /**
   * What to do with the file or directory at `path`, which is one for `IgnoreFile.leavesOut`; what
   * that throws is thrown. Each set of patterns is asked once: they can take long.
   */
  judge(path: string): Verdict {
    const { excludes, includes } = this;
    const isIncluded = !includes || includes.leavesOut(path) !== undefined;
    let mayHoldMore = isIncluded || includes.reachesInto(path, { exceptions: false });
    let isTaken = isIncluded;
    for (const patterns of mayHoldMore ? excludes : []) {
      if (!patterns.leavesOut(path)) continue;
      isTaken = false;
      mayHoldMore &&= patterns.reachesInto(path, { exceptions: true });
    }
    return { isTaken, mayHoldMore };
  }
}

interface Verdict {
  /** It is sent. */
  readonly isTaken: boolean;
  /** If it is a directory, something in it may be sent, even if it is not sent for its own sake. */
  readonly mayHoldMore: boolean;
}
