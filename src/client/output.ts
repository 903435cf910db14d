/**
 * Where a client's output goes: the job's log, and at its end the result.
 *
 *     default        log and result on standard output
 *     --log-file F   log in F, result on standard output
 *     --json         log on standard error (unless in a file), result on standard output, as one line of JSON
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { JobRecords } from "../api/index.js";
import type { RpcError } from "../rpc/index.js";
import { quoted, visibleJson, visibleLines } from "../text/index.js";
import { jobJson } from "./jobs/job-json.js";
import { describeState, withoutStop } from "./jobs/job-text.js";

export interface OutputOptions {
  readonly logFile?: string | undefined;
  readonly json: boolean;
}

export class ClientOutput {
  private readonly file: number | undefined;
  private readonly json: boolean;

  /** Throws the system's error if the log file cannot be written. */
  constructor({ logFile, json }: OutputOptions) {
    this.file = logFile === undefined ? undefined : openSync(logFile, "w");
    this.json = json;
  }

  /** The log begins. */
  start(): void {
    if (this.file === undefined && !this.json) process.stdout.write("Tailing log:\n");
  }

  /** A part of the log. Fulfilled when there is room for more. */
  async log(data: Uint8Array): Promise<void> {
    if (this.file !== undefined) {
      for (let done = 0; done < data.length; ) done += writeSync(this.file, data, done);
      return;
    }
    const stream = this.json ? process.stderr : process.stdout;
    if (!stream.write(data)) await new Promise((resolve) => stream.once("drain", resolve));
  }

  succeeded(output: string): void {
    if (this.json) print(visibleJson({ ok: true, output }));
    else if (output !== "") print(`Result: ${quoted(output)}`);
  }

  failed(error: RpcError): void {
    if (this.json) this.lost(error);
    else print(visibleLines(`${error}.`));
  }

  /** A durable job has ended: programs get its record. */
  ended(record: JobRecords.JobRecord): void {
    if (this.json) print(jobJson(record));
    else if (record.state === "succeeded") this.succeeded(record.output);
    else print(`${capitalized(withoutStop(describeState(record)))}.`);
  }

  /** The job was refused, or who ran it is gone. People read about that on standard error. */
  lost({ kind, message }: RpcError): void {
    if (this.json) print(visibleJson({ ok: false, kind, reason: message }));
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
  }
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
