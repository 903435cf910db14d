/**
 * The stream of files that the scheduler keeps of a job: its list, and what is wanted of its
 * contents, over any number of connections.
 */
import { JobRecords, OutputStream } from "../../api/index.js";
import { CommandFailed } from "../../console/index.js";
import type { Capability, RpcError } from "../../rpc/index.js";
import { StreamReader } from "./stream-reader.js";

export class OutputSource {
  private constructor(
    readonly job: number,
    readonly attempt: number,
    readonly list: OutputStream.OutputList,
    private readonly stream: StreamReader,
  ) {}

  /**
   * Reads the list. Attempt 0: the newest of which files are kept. Rejects with `CommandFailed` if
   * none are, or what is kept makes no sense, and with an `RpcError`. @param maxList bytes that the
   * list may have
   */
  static async open(
    records: Capability,
    job: number,
    attempt = 0,
    maxList = Number.POSITIVE_INFINITY,
  ): Promise<OutputSource> {
    const kept = await outputsOf(records, job, attempt);
    if (kept.size === 0) throw new NoOutputs(job, attempt);
    const stream = new StreamReader(job, kept.attempt);
    const readAll = async (from: number, to: number) => {
      const parts: Uint8Array[] = [];
      for await (const part of stream.read(records, from, to)) parts.push(part);
      return Buffer.concat(parts);
    };
    try {
      const at = Math.max(0, kept.size - OutputStream.TRAILER_SIZE);
      const trailer = OutputStream.readTrailer(await readAll(at, kept.size), kept.size);
      if (trailer.list > maxList) {
        throw new CommandFailed(
          `Job ${job} has too many files to list here: \`ocluster-client outputs ${job}\` lists them.`,
        );
      }
      const list = OutputStream.readList(await readAll(trailer.contents, at), trailer);
      return new OutputSource(job, kept.attempt, list, stream);
    } catch (error) {
      throw inWords(error, job);
    }
  }

  /** The contents from one byte to another. Rejects as `open` does. */
  async *read(records: Capability, from: number, to: number): AsyncGenerator<Uint8Array> {
    try {
      yield* this.stream.read(records, from, to);
    } catch (error) {
      throw inWords(error, this.job);
    }
  }
}

/** There are no files of a job, or not any more. */
export class NoOutputs extends CommandFailed {
  constructor(job: number, attempt: number) {
    const of = attempt === 0 ? `job ${job}` : `attempt ${attempt} of job ${job}`;
    super(`No files of ${of} are kept: it has none (--output), or not any more.`);
  }
}

/** Whether the scheduler keeps files at all. Rejects with `CommandFailed` if not. */
export async function checkKeepsOutputs(records: Capability): Promise<void> {
  await JobRecords.outputs(records, 0).catch((error: RpcError) => {
    if (error.kind === "failed") return;
    throw error.kind === "unimplemented" ? keepsNone(error) : error;
  });
}

async function outputsOf(records: Capability, job: number, attempt: number) {
  return await JobRecords.outputs(records, job, attempt).catch((error: RpcError) => {
    throw error.kind === "unimplemented" ? keepsNone(error) : error;
  });
}

function keepsNone(cause: RpcError): CommandFailed {
  const advice = "--output needs a newer one. Nothing was submitted";
  return new CommandFailed(`This scheduler keeps no files of jobs: ${advice}.`, { cause });
}

/** What is wrong with the stream itself is no reason to try again. */
function inWords(error: unknown, job: number): unknown {
  if (!(error instanceof OutputStream.BadOutputs) && !(error instanceof RangeError)) return error;
  return new CommandFailed(`The files of job ${job} cannot be used: ${error.message}.`, {
    cause: error,
  });
}
