/**
 * BuildKit's progress as text, the way that `docker build --progress=plain` shows it:
 *
 *     #5 [2/3] RUN date
 *     #5 0.312 Sat Nov 21 09:53:25 UTC 2026
 *     #5 DONE 0.4s
 *
 * Steps run side by side, and get numbers in the order in which they start. A line of output belongs to the step whose
 * number it carries.
 */
import buildkit from "dockerode/lib/buildkit.js";

interface Step {
  readonly number: number;
  readonly name: string;
  readonly started: number;
  /** Output without a line end so far. */
  rest: string;
  ended: boolean;
}

/** The longest unfinished line that is kept. */
const MAX_LINE = 64 * 1024;

export class BuildKitProgress {
  readonly #steps = new Map<string, Step>();
  /** The step that the last line was about: its name need not be said again. */
  #current: Step | undefined;

  /** The text for one message, whose `aux` is an encoded `moby.buildkit.v1.StatusResponse`. */
  text(aux: string): string {
    const { vertexes, statuses, logs } = buildkit.decodeBuildKitStatus(aux);
    let text = "";
    for (const { digest, name, started } of vertexes) {
      if (started && !this.#steps.has(digest)) {
        const number = this.#steps.size + 1;
        const step = { number, name, started: seconds(started), rest: "", ended: false };
        this.#steps.set(digest, step);
        text += this.#about(step);
      }
    }
    for (const { ID, vertex, name, completed } of statuses) {
      const step = this.#steps.get(vertex);
      if (step && completed) text += `${this.#about(step)}#${step.number} ${name || ID} done\n`;
    }
    for (const { vertex, msg, timestamp } of logs) {
      const step = this.#steps.get(vertex);
      if (step) text += this.#output(step, msg, seconds(timestamp) - step.started);
    }
    for (const { digest, completed, cached, error } of vertexes) {
      const step = this.#steps.get(digest);
      if (!step || !completed || step.ended) continue;
      step.ended = true;
      const how = error
        ? `ERROR: ${error}`
        : cached
          ? "CACHED"
          : `DONE ${(seconds(completed) - step.started).toFixed(1)}s`;
      text += this.#about(step);
      if (step.rest !== "") text += `#${step.number} ${step.rest}\n`;
      text += `#${step.number} ${how}\n`;
      this.#current = undefined;
    }
    return text;
  }

  #output(step: Step, base64: string, elapsed: number): string {
    const lines = (step.rest + Buffer.from(base64, "base64").toString()).split("\n");
    step.rest = lines.pop()!.slice(-MAX_LINE);
    if (lines.length === 0) return "";
    const prefix = `#${step.number} ${elapsed.toFixed(3)} `;
    return this.#about(step) + lines.map((line) => `${prefix}${line.trimEnd()}\n`).join("");
  }

  /** The step's name, unless the last line was about it. */
  #about(step: Step): string {
    if (this.#current === step) return "";
    this.#current = step;
    return `\n#${step.number} ${step.name}\n`;
  }
}

function seconds(time: { readonly seconds: string; readonly nanos: number }): number {
  return Number(time.seconds) + time.nanos / 1e9;
}
