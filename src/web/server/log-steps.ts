/**
 * The steps that a log tells of, from its lines alone: those of spec jobs by their headings and
 * notes (`worker/log/notes.ts`), those of Docker jobs by BuildKit's numbers. What a step prints can
 * look like any of these; then the list has a step too many, and nothing worse.
 */

import { isoMoment } from "../../text/index.js";

/** Steps that are kept, and characters of a title. */
const MAX_STEPS = 5000;
const MAX_TITLE = 1000;

/** Characters of a line that are looked at. */
export const STEP_LINE = 1000;

/** Lines of a heading. */
const MAX_HEADING_LINES = 50;

export interface Step {
  readonly line: number;
  title: string;
  cached: boolean;
  /** That it took, as far as the log tells. */
  seconds: number | null;
  /** ISO 8601, as far as the log tells. */
  started: string | null;
  /** Of its layer. */
  id: string | null;
  ended: boolean;
  failed: boolean;
}

const HEADING = /^\u001b\[01;34m(.*)$/;
const RESET = /\u001b\[0m.*$/;
const NOTE =
  /^\u001b\[01;2m\u001b\[01;35m(\d{4}-\d\d-\d\d) (\d\d:\d\d)\.(\d\d) ---> (saved as|using) "([0-9a-f]{1,128})"/;
const DOCKER = /^#(\d{1,9}) (.*)$/;
const DOCKER_STEP = /^\[.*\] |^(?:resolve|load|exporting|copy|sha256:|importing) ?/;

export class LogSteps {
  readonly steps: Step[] = [];
  private readonly docker = new Map<number, Step>();
  /** The heading that goes on. */
  private open: Step | null = null;
  private openLines = 0;
  /** The time of the last note, in seconds. */
  private time: number | null = null;

  /** Whether a line that begins with this byte can tell something. */
  wants(byte: number): boolean {
    return byte === 0x1b || byte === 0x23 || this.open !== null;
  }

  /** @param text the beginning of the line */
  add(line: number, text: string): void {
    if (this.open) {
      this.goOn(text);
      return;
    }
    const heading = HEADING.exec(text);
    if (heading) this.begin(line, heading[1]!);
    else if (!this.note(text)) this.dockerLine(line, text);
  }

  private begin(line: number, text: string): void {
    const step = this.put(line, text.replace(RESET, ""));
    if (!step || RESET.test(text)) return;
    this.open = step;
    this.openLines = 0;
  }

  private goOn(text: string): void {
    const step = this.open!;
    step.title = `${step.title} ${text.replace(RESET, "").trim()}`.slice(0, MAX_TITLE);
    if (RESET.test(text) || ++this.openLines >= MAX_HEADING_LINES) this.open = null;
  }

  private note(text: string): boolean {
    const [, day, minute, second, how, id] = NOTE.exec(text) ?? [];
    if (id === undefined) return false;
    const time = Date.parse(`${day}T${minute}:${second}Z`) / 1000;
    if (Number.isNaN(time)) return false;
    const step = this.steps.at(-1);
    if (step && !step.ended) {
      step.ended = true;
      step.cached = how === "using";
      step.id = id;
      if (this.time !== null && time >= this.time) {
        step.seconds = time - this.time;
        step.started = isoMoment(this.time);
      }
    }
    this.time = time;
    return true;
  }

  private dockerLine(line: number, text: string): void {
    const [, digits, rest] = DOCKER.exec(text) ?? [];
    if (digits === undefined || rest === undefined) return;
    const number = Number(digits);
    const step = this.docker.get(number);
    if (!step) {
      const begun = DOCKER_STEP.test(rest) ? this.put(line, rest.trimEnd()) : null;
      if (begun) this.docker.set(number, begun);
      return;
    }
    const done = /^(?:DONE ([0-9.]+)s|(CACHED)|(ERROR))/.exec(rest);
    if (!done || step.ended) return;
    step.ended = true;
    step.cached = done[2] !== undefined;
    step.failed = done[3] !== undefined;
    if (done[1] !== undefined) step.seconds = Number(done[1]);
  }

  private put(line: number, title: string): Step | null {
    if (this.steps.length >= MAX_STEPS) return null;
    const step: Step = {
      ...{ line, title: title.slice(0, MAX_TITLE) },
      ...{ seconds: null, started: null, id: null },
      ...{ cached: false, ended: false, failed: false },
    };
    this.steps.push(step);
    return step;
  }
}
