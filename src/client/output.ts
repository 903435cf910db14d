/**
 * Where a client's output goes: the job's log, and at its end the result.
 *
 *     default        log and result on standard output
 *     --log-file F   log in F, result on standard output
 *     --json         log on standard error (unless in a file), result on standard output, as one line of JSON
 *     --output …:-   both on standard error: standard output is for the file
 *
 * On a terminal the builder's own lines are made to fit (`LineShortener`); elsewhere the log is
 * as it came.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { JobRecords } from "../api/index.js";
import { LineShortener, stderrTerminal } from "../console/index.js";
import type { RpcError } from "../rpc/index.js";
import { quoted, visibleJson, visibleLines } from "../text/index.js";
import { type FailureKind, refusalJson } from "./failure.js";
import { jobJson } from "./jobs/job-json.js";
import { describeState, withoutStop } from "./jobs/job-text.js";

export interface OutputOptions {
  readonly logFile?: string | undefined;
  readonly json: boolean;
  /** Standard output is for something else than log and result. */
  readonly isTaken?: boolean;
}

export class ClientOutput {
  private readonly file: number | undefined;
  private readonly json: boolean;
  private readonly isTaken: boolean;
  private readonly logFile: string;

  private readonly shortener: LineShortener | undefined;

  /** Throws a `LogFileError` if the log file cannot be written. */
  constructor({ isTaken = false, logFile, json }: OutputOptions) {
    this.isTaken = isTaken;
    this.logFile = logFile ?? "";
    this.file = logFile === undefined ? undefined : openLog(logFile);
    this.json = json;
    if (logFile === undefined && (json ? process.stderr : this.out).isTTY) {
      this.shortener = new LineShortener();
    }
  }

  /** The log begins. */
  start(): void {
    if (this.file === undefined && !this.json) this.print("Tailing log:");
  }

  /** A part of the log. Fulfilled when there is room for more. */
  async log(data: Uint8Array): Promise<void> {
    if (this.file !== undefined) {
      try {
        for (let done = 0; done < data.length; ) done += writeSync(this.file, data, done);
      } catch (error) {
        throw new LogFileError(this.logFile, error);
      }
      return;
    }
    const stream = this.json ? process.stderr : this.out;
    const shown = this.shortener?.push(data) ?? data;
    if (!stream.write(shown)) await new Promise((resolve) => stream.once("drain", resolve));
  }

  /** The log is over. */
  private logEnds(): void {
    const rest = this.shortener?.end();
    if (rest?.length) (this.json ? process.stderr : this.out).write(rest);
  }

  succeeded(output: string): void {
    this.logEnds();
    if (this.json) this.print(visibleJson({ ok: true, output }));
    else if (output !== "") this.print(`Result: ${quoted(output)}`);
  }

  failed(error: RpcError, kind: FailureKind): void {
    this.logEnds();
    if (this.json) this.lost(error, kind);
    else this.print(visibleLines(`${error}.`));
  }

  /** A durable job has ended: programs get its record. */
  ended(record: JobRecords.JobRecord): void {
    this.logEnds();
    if (this.json) this.print(jobJson(record));
    else if (record.state === "succeeded") this.succeeded(record.output);
    else this.print(`${capitalized(withoutStop(describeState(record)))}.`);
  }

  /** The job was refused, or who ran it is gone. People read about that on standard error. */
  lost({ message }: RpcError, kind: FailureKind): void {
    this.logEnds();
    if (this.json) this.print(refusalJson(kind, message));
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
  }

  private get out(): NodeJS.WriteStream {
    return this.isTaken ? process.stderr : process.stdout;
  }

  /** On the terminal, if it is one, there may be a status line. */
  private print(line: string): void {
    stderrTerminal.withoutStatus(() => this.out.write(`${line}\n`));
  }
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function openLog(path: string): number {
  try {
    return openSync(path, "w");
  } catch (error) {
    throw new LogFileError(path, error);
  }
}

/** The log cannot be written where it was to be. */
class LogFileError extends Error {
  override readonly name = "LogFileError";

  constructor(path: string, cause: unknown) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = /^\w+: ([^,]+)/.exec(message)?.[1] ?? message;
    const advice =
      code === "ENOSPC" || code === "EDQUOT"
        ? "Make room, or name a file on another disk"
        : "Name a file in a directory that you may write to";
    super(
      `Cannot write the job's log to ${quoted(path)} (--log-file): ${why}.\n` +
        `${advice}; without --log-file the log goes to standard output.`,
      { cause },
    );
  }
}
