/** `batch`: submits one and sees it through; and `batch watch`, which comes back to it. */
import { basename, extname } from "node:path";
import type { Batches } from "../../api/index.js";
import { interruptible, stderrTerminal } from "../../console/index.js";
import type { Capability } from "../../rpc/index.js";
import { visible } from "../../text/index.js";
import { JobFailure, type RecordsOptions, writeLines } from "../index.js";
import { batchJson } from "./batch-json.js";
import { steadilyWithBatches } from "./batches-session.js";
import { dryRun } from "./dry-run.js";
import { BatchFetcher, type FetchOptions, logPaths, usualDirectory } from "./fetch.js";
import { BatchFollower } from "./follow-batch.js";
import { outputTemplates } from "./outputs.js";
import { type BatchInput, prepare } from "./prepare.js";
import { BatchProgress, describeEnd, titleOf } from "./progress.js";
import { BatchSender, type BatchSettings, type SentBatch } from "./send-batch.js";

export interface RunOptions extends RecordsOptions, FetchOptions {
  readonly input: BatchInput;
  /** By default, the spec's name and a part of the digest: the same again is the same batch. */
  readonly settings: Omit<BatchSettings, "name"> & { readonly name?: string | undefined };
  readonly dryRun: boolean;
  readonly detach: boolean;
  readonly json: boolean;
}

/**
 * Rejects with `CommandFailed`, without text if what became of the batch was said; `UsageError`;
 * `Interrupted`.
 */
export async function runBatch(options: RunOptions): Promise<void> {
  const { input, quiet, settings } = options;
  const prepared = await prepare(input);
  const { columns } = prepared.template;
  if (options.logs !== undefined) logPaths(options.logs, columns);
  outputTemplates(options.outputs ?? [], columns);
  if (options.dryRun) {
    await writeLines(dryRun(prepared));
    return;
  }
  const digest = Buffer.from(prepared.digest).toString("hex");
  const name = settings.name ?? `${nameOf(input)}-${digest.slice(0, 8)}`;
  const sender = new BatchSender(prepared, { ...settings, name });
  const say = (line: string) => {
    if (!quiet) stderrTerminal.line(line);
  };
  let sent: SentBatch | undefined;
  const told = (now: SentBatch) => {
    if (sent === undefined) say(describeSent({ ...now, name }, prepared.count));
    sent = now;
  };
  if (options.detach) {
    await steadilyWithBatches(options, async (records) => told(await sender.run(records)));
    await writeLines([options.json ? `{"id":${sent!.batch}}` : String(sent!.batch)]);
    return;
  }
  const watch = new Watch(options);
  await watch.run(async (records, signal) => {
    if (sent === undefined) told(await sender.run(records, signal));
    return sent!.batch;
  });
}

export interface WatchOptions extends RecordsOptions, FetchOptions {
  readonly batch: Batches.BatchId;
  readonly json: boolean;
  /** Until it has ended; without, what there is now. */
  readonly follow: boolean;
}

/** Rejects as `runBatch`. */
export async function watchBatch(options: WatchOptions): Promise<void> {
  await new Watch(options).run(async () => options.batch);
}

/** What has ended so far, without waiting for more. Rejects with `CommandFailed`. */
export async function fetchBatch(options: Omit<WatchOptions, "follow">): Promise<void> {
  await new Watch({ ...options, follow: false }).run(async () => options.batch);
}

/** Looks on until a batch has ended, over any number of connections. */
class Watch {
  private readonly fetcher: BatchFetcher;
  private readonly progress = new BatchProgress(stderrTerminal);
  private follower: BatchFollower | undefined;
  private seen: Batches.BatchRecord | undefined;

  constructor(
    private readonly options: Omit<WatchOptions, "batch" | "follow"> & {
      readonly follow?: boolean;
    },
  ) {
    this.fetcher = new BatchFetcher(options);
  }

  /** @param which batch; is asked once more with another connection if it rejects */
  async run(
    which: (records: Capability, signal: AbortSignal) => Promise<Batches.BatchId>,
  ): Promise<void> {
    const { follow = true, json, quiet } = this.options;
    const record = await interruptible((signal) =>
      steadilyWithBatches(
        this.options,
        async (records) => {
          this.follower ??= this.followerOf(await which(records, signal));
          return await this.follower.run(records, { follow, signal });
        },
        signal,
      ).catch((error) => {
        if (signal.aborted) this.sayHowToComeBack();
        throw error;
      }),
    ).finally(() => {
      this.progress.close();
      this.fetcher.close();
    });
    if (json) await writeLines([batchJson(record)]);
    else if (record.ended !== null && !quiet) stderrTerminal.line(describeEnd(record));
    if (this.options.byDefault && !quiet) {
      const where = usualDirectory(record.batch);
      stderrTerminal.line(
        `Logs and results are in ${where}. For files of rows: --output=REMOTE:LOCAL.`,
      );
    }
    if (!follow || record.state === "succeeded") return;
    throw new JobFailure(record.state === "cancelled" ? "cancelled" : "failed", "");
  }

  private followerOf(batch: Batches.BatchId): BatchFollower {
    const { quiet } = this.options;
    return new BatchFollower(batch, {
      state: (record) => {
        this.seen = record;
        this.fetcher.prepare(record);
        if (!quiet) this.progress.state(record);
      },
      rows: async (records, rows, record) => {
        if (!quiet) for (const row of rows) this.progress.ended(row);
        await this.fetcher.rows(records, rows, record);
      },
    });
  }

  private sayHowToComeBack(): void {
    const { connect, quiet } = this.options;
    this.progress.close();
    if (quiet) return;
    stderrTerminal.line(
      this.seen
        ? `${titleOf(this.seen)} goes on. To come back: ocluster-client -c ${visible(connect)} batch watch ${this.seen.batch}`
        : "Interrupted: it is not known whether all of the batch was submitted. The same command again goes on with it.",
    );
  }
}

function nameOf({ build }: BatchInput): string {
  if (build.kind === "spec") return basename(build.file, extname(build.file)) || "batch";
  return "docker";
}

/** What was decided, in a line. */
function describeSent(
  { again, batch, isNew, kept, name }: SentBatch & { readonly name: string },
  rows: number,
): string {
  const title = titleOf({ batch, name });
  if (!isNew) {
    const more = again === 0 ? "" : `, with ${again} jobs tried again that did not succeed`;
    return `${title} is there already, with the same ${rows} rows: it goes on${more}. (--fresh starts over.)`;
  }
  if (kept > 0) {
    return `${title}: ${rows} rows, of which ${kept} have succeeded before and are not run again. (--fresh runs all.)`;
  }
  return `${title}: ${rows} rows.`;
}
