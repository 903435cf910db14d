/**
 * What to do with a job that was given to this worker: make its build context, then hand it to the
 * builder for its kind.
 */
import type { Pointer, Struct, StructCtor } from "capnp-es";
import { type JobDescr, LocalContext, type Secret } from "../api/index.js";
import { Slices } from "../async/index.js";
import { logger } from "../console/index.js";
import { readingSpec } from "../obuilder/index.js";
import { quoted } from "../text/index.js";
import type { Contexts } from "./context/contexts.js";
import type { DockerBuilder } from "./docker/docker-builder.js";
import { InvalidJob, JobFailed } from "./failure.js";
import type { JobLog } from "./log/job-log.js";
import type { OutputCapture } from "./outputs/output-capture.js";
import type { SpecBuilder } from "./spec-builder.js";

const log = logger("worker");

/** A job's end of the worker. */
export interface BuildIo {
  readonly log: JobLog;
  /** Aborted when the job shall stop; its reason is what to throw then. */
  readonly signal: AbortSignal;
}

/** A custom job as its handler sees it. */
export interface CustomJob extends BuildIo {
  readonly kind: string;
  /** What the client sent. Valid while the handler runs. */
  readonly payload: Pointer;
  /** Reads what the client sent as a struct. Valid while the handler runs. */
  read<T extends Struct>(type: StructCtor<T>): T;
  /** The directory with the source that the job asked for, its own; removed afterwards. */
  readonly src: string;
  readonly secrets: readonly Secret[];
  /**
   * Says where the files are that clients may ask for (`--output`): in this directory, not in
   * `src`.
   */
  handOver(root: string): void;
}

/**
 * Runs a custom job; the result is the job's output. To fail with words for the client, throw a
 * `JobFailed`.
 */
export type CustomHandler = (job: CustomJob) => Promise<string>;

export interface Builders {
  readonly contexts: Contexts;
  readonly docker: DockerBuilder;
  /** Undefined: this worker does not build specs. */
  readonly specs: SpecBuilder | undefined;
  /** By kind. */
  readonly custom: ReadonlyMap<string, CustomHandler>;
}

export interface BuildSettings {
  /** Takes the files that are to be handed over. */
  readonly capture?: OutputCapture | undefined;
  /** Whose job it is, if the scheduler tells. */
  readonly client?: string | undefined;
}

/**
 * Builds a job, and has `capture` take the files that are to be handed over; the result is its
 * output. Throws `InvalidJob`, `SexpError` for a bad spec, `JobFailed`, and the signal's reason.
 */
export async function build(
  descr: JobDescr,
  io: BuildIo,
  builders: Builders,
  { capture, client }: BuildSettings = {},
): Promise<string> {
  const { action, secrets } = descr;
  log.info(announcement(descr));
  // What is not worth fetching a source for.
  capture?.check();
  const push =
    action.kind === "docker" && action.push ? builders.docker.checkPush(action.push) : undefined;
  const manifest = LocalContext.manifestOf(descr.source);
  const source = {
    repository: descr.source?.repository ?? "",
    commits: descr.source?.commits ?? [],
    includeGit: action.kind === "docker" && action.includeGit,
    ...(manifest !== undefined && { local: { client: client ?? "", manifest } }),
  };
  // As output of the job: a repository can make Git say as much as it likes.
  const gitIo = { log: (line: string) => void io.log.write(`${line}\n`), signal: io.signal };
  return builders.contexts.withSource(source, gitIo, async (src) => {
    switch (action.kind) {
      case "docker":
        return builders.docker.build({ ...action, push, secrets, src, capture }, io);
      case "obuilder": {
        const spec = await new Slices(io.signal).run(readingSpec(action.spec));
        if (!builders.specs) {
          throw new InvalidJob("This worker is not configured for use with OBuilder!");
        }
        return builders.specs.build(spec, { secrets, src, capture }, io);
      }
      case "custom": {
        const handler = builders.custom.get(action.name);
        if (!handler) {
          throw new JobFailed(
            `This worker does not handle custom jobs of kind "${action.name}". ` +
              `It handles: ${[...builders.custom.keys()].join(", ") || "none"}`,
          );
        }
        // Not `...io`: it is an object with accessors, which a copy would not have.
        const { log, signal } = io;
        const { name: kind, payload } = action;
        const read: CustomJob["read"] = (type) => new type(payload.segment, payload.byteOffset);
        let root = src;
        const handOver = (other: string) => {
          root = other;
        };
        const job = { log, signal, kind, payload, read, src, secrets, handOver };
        return runHandler(handler, job, () => root, capture);
      }
    }
  });
}

/** Runs the handler, and takes the files of where it has said that they are. */
async function runHandler(
  handler: CustomHandler,
  job: CustomJob,
  root: () => string,
  capture: OutputCapture | undefined,
): Promise<string> {
  try {
    const output = await handler(job);
    await capture?.ofResult(root(), job.signal);
    return output;
  } catch (error) {
    if (!job.signal.aborted) await capture?.ofFailure(root(), job.signal);
    throw error;
  }
}

function announcement({ action, cacheHint }: JobDescr): string {
  switch (action.kind) {
    case "docker":
      return "contents" in action.dockerfile
        ? `Got request to build (${cacheHint}):\n${shown(action.dockerfile.contents)}`
        : `Got request to build ${quoted(action.dockerfile.path)} (${cacheHint})`;
    case "obuilder":
      return `Got request to build (${cacheHint}):\n${shown(action.spec)}`;
    case "custom":
      return `Got request to build a job of kind ${quoted(action.name)}`;
  }
}

/** What of a Dockerfile or spec gets into the worker's own log, which clients must not fill. */
const MAX_SHOWN = 16 * 1024;

function shown(text: string): string {
  if (text.length <= MAX_SHOWN) return text.trim();
  return `${text.slice(0, MAX_SHOWN).trim()}\n… (${text.length - MAX_SHOWN} characters more)`;
}
