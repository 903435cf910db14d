/**
 * BuildKit's progress as text, the way that `docker build --progress=plain` shows it:
 *
 *     #5 [2/3] RUN date
 *     #5 0.312 Sat Nov 21 09:53:25 UTC 2026
 *     #5 DONE 0.4s
 *
 * Steps run side by side, and get numbers in the order in which they start. A line of output
 * belongs to the step whose number it carries.
 *
 * Field numbers are those of `StatusResponse` in BuildKit's api/services/control/control.proto.
 */
import { Message } from "./protobuf.js";

interface Step {
  readonly number: number;
  readonly name: string;
  /** Seconds since 1970, as all times here. */
  readonly started: number;
  /** Output without a line end so far. */
  rest: string;
  ended: boolean;
}

/** The longest unfinished line that is kept. */
const MAX_LINE = 64 * 1024;

export class BuildKitProgress {
  /** By their digests. */
  readonly #steps = new Map<string, Step>();
  /** The step that the last line was about: its name need not be said again. */
  #current: Step | undefined;

  /** The text for one encoded `moby.buildkit.v1.StatusResponse`. */
  text(encoded: Uint8Array): string {
    const response = new Message(encoded);
    const vertexes = response.messages(1).map(readVertex);
    let text = "";
    for (const { digest, name, started } of vertexes) {
      if (started === undefined || this.#steps.has(digest)) continue;
      const step = { number: this.#steps.size + 1, name, started, rest: "", ended: false };
      this.#steps.set(digest, step);
      text += this.#about(step);
    }
    for (const status of response.messages(2)) {
      const step = this.#steps.get(status.text(2));
      const completed = status.message(8);
      if (!step || !completed) continue;
      text += `${this.#about(step)}#${step.number} ${status.text(3) || status.text(1)} done\n`;
    }
    for (const log of response.messages(3)) {
      const step = this.#steps.get(log.text(1));
      if (step) text += this.#output(step, log.text(4), readTime(log, 2) ?? step.started);
    }
    for (const { cached, completed, digest, error } of vertexes) {
      const step = this.#steps.get(digest);
      if (!step || completed === undefined || step.ended) continue;
      step.ended = true;
      const done = cached ? "CACHED" : `DONE ${(completed - step.started).toFixed(1)}s`;
      text += this.#about(step);
      if (step.rest !== "") text += `#${step.number} ${step.rest}\n`;
      text += `#${step.number} ${error ? `ERROR: ${error}` : done}\n`;
      this.#current = undefined;
    }
    return text;
  }

  #output(step: Step, output: string, time: number): string {
    const lines = (step.rest + output).split("\n");
    step.rest = lines.pop()!.slice(-MAX_LINE);
    if (lines.length === 0) return "";
    const prefix = `#${step.number} ${(time - step.started).toFixed(3)} `;
    return this.#about(step) + lines.map((line) => `${prefix}${line.trimEnd()}\n`).join("");
  }

  /** The step's name, unless the last line was about it. */
  #about(step: Step): string {
    if (this.#current === step) return "";
    this.#current = step;
    return `\n#${step.number} ${step.name}\n`;
  }
}

function readVertex(vertex: Message) {
  return {
    digest: vertex.text(1),
    name: vertex.text(3),
    cached: vertex.number(4) !== 0,
    started: readTime(vertex, 5),
    completed: readTime(vertex, 6),
    error: vertex.text(7),
  };
}

function readTime(message: Message, field: number): number | undefined {
  const time = message.message(field);
  return time && time.number(1) + time.number(2) / 1e9;
}
