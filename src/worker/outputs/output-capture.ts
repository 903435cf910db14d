/**
 * The files that one attempt at a job hands over: taken of its result before its end is told, and
 * put into a file of the worker's state directory, where the scheduler reads them from.
 *
 * States: *open*, until something was taken; *taken*, with a stream that is complete and on disk.
 * What is taken once is not taken again, and what could not be taken leaves nothing behind.
 */
import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { OutputOrder, OutputStream } from "../../api/index.js";
import { syncDirectory } from "../../system/index.js";
import { writeSize } from "../../text/index.js";
import type { JobLog } from "../log/job-log.js";
import { note } from "../log/notes.js";
import { OutputWriter } from "./output-writer.js";
import { readPatterns, type Wanted, writeRootFiles } from "./root-files.js";

/** Of a Dockerfile, or a spec whose layers are an engine's images. */
const NOTHING_LEFT =
  "No files are handed over: Docker's engine gives nothing of what a failed step has left";

/** A stream on disk. */
export interface TakenFiles {
  /** Bytes. */
  readonly size: number;
  /** As hexadecimal digits. */
  readonly sha256: string;
}

/** Writes files, and returns their list. */
export type Take = (writer: OutputWriter, wanted: Wanted) => Promise<OutputStream.OutputList>;

export class OutputCapture {
  #taken: TakenFiles | undefined;

  /**
   * @param limit bytes that the stream may have
   * @param path of the file; there is none yet
   * @param log the job's
   */
  constructor(
    private readonly order: OutputOrder,
    private readonly limit: number,
    private readonly path: string,
    private readonly log: JobLog,
  ) {}

  get taken(): TakenFiles | undefined {
    return this.#taken;
  }

  /** Throws `InvalidJob` if what is asked for makes no sense. */
  check(): void {
    readPatterns(this.order.paths);
  }

  wants(of: "success" | "failure"): boolean {
    return this.order.when === "always" || this.order.when === of;
  }

  /**
   * Takes what is wanted of a job that has succeeded. Throws a `JobFailed`, or the system's error.
   */
  async ofSuccess(take: Take): Promise<void> {
    if (this.wants("success")) await this.#take(take, this.order.optional);
  }

  /** The same of a root. */
  async ofResult(root: string, signal?: AbortSignal): Promise<void> {
    await this.ofSuccess((writer, wanted) => writeRootFiles(root, wanted, writer, signal));
  }

  /**
   * Takes what there is of a failed step's root. That it failed counts; what is wrong here is told
   * in the log.
   */
  async ofFailure(root: string | undefined, signal?: AbortSignal): Promise<void> {
    if (!this.wants("failure") || this.#taken) return;
    if (root === undefined) {
      this.say(NOTHING_LEFT);
      return;
    }
    try {
      await this.#take((writer, wanted) => writeRootFiles(root, wanted, writer, signal), true);
    } catch (error) {
      this.say(`The files of the failed step cannot be handed over: ${(error as Error).message}`);
    }
  }

  say(text: string): void {
    this.log.append(note(text));
  }

  async #take(take: Take, optional: boolean): Promise<void> {
    const file = await open(this.path, "w", 0o600);
    try {
      const { list, stream } = await this.#write(file, take, optional);
      await syncDirectory(dirname(this.path));
      this.#taken = { size: stream.size, sha256: stream.sha256.toString("hex") };
      const files = list.entries.filter(({ type }) => type !== "dir").length;
      const size = list.entries.reduce((sum, e) => sum + (e.type === "file" ? e.size : 0), 0);
      this.say(`---> ${files} ${files === 1 ? "file" : "files"} kept (${writeSize(size)})`);
    } catch (error) {
      await rm(this.path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  }

  async #write(file: FileHandle, take: Take, optional: boolean) {
    const writer = new OutputWriter(file, this.limit);
    const list = await take(writer, { paths: this.order.paths, optional, limit: this.limit });
    for (const { asked, found } of list.asked) {
      if (found.length === 0) this.say(`There is no ${asked}`);
    }
    return { list, stream: await writer.finish(list) };
  }
}
