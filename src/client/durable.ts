/**
 * Submits a durable job: one that belongs to the scheduler from then on. Either that is all
 * (`--detach`), or it is followed to its end (`--durable`), whatever becomes of the connection.
 */

import { DurableSubmission, type JobDescr, JobRecords, LocalContext } from "../api/index.js";
import { sleep, unlessAborted } from "../async/index.js";
import { interruptible, stderrTerminal } from "../console/index.js";
import type { Capability, RpcError } from "../rpc/index.js";
import { visible } from "../text/index.js";
import { JobFailure, kindOfCause, kindOfRefusal } from "./failure.js";
import { JobFollower, type JobView } from "./jobs/follow.js";
import { jobJson } from "./jobs/job-json.js";
import { describeFurther, describePhase } from "./jobs/job-text.js";
import { steadily, withRecords } from "./jobs/records-session.js";
import { ClientOutput, type OutputOptions } from "./output.js";
import { fetchAfter } from "./outputs/after-job.js";
import { checkTargets } from "./outputs/local-check.js";
import { checkKeepsOutputs } from "./outputs/output-source.js";
import type { OutputSpec } from "./outputs/output-spec.js";
import { onlyPool } from "./pools.js";
import { JobStatus } from "./status.js";

export interface DurableSubmitOptions extends OutputOptions {
  /** The path of the capability file. */
  readonly connect: string;
  /** Undefined: the only one that there is. */
  readonly pool: string | undefined;
  readonly urgent: boolean;
  readonly descr: JobDescr;
  readonly quiet: boolean;
  /** What is left out is as usual. */
  readonly durable: Partial<DurableSubmission.DurableOptions>;
  /** What to fetch of its result, which `durable` says to keep. */
  readonly outputs?: readonly OutputSpec[];
}

/** How long an interrupted client waits to hear of the job that it has just submitted. */
const GRACE_MS = 1000;

/**
 * Prints the job's number when the scheduler has it on disk; as JSON, its record. Rejects with
 * `CommandFailed`.
 */
export async function submitDetached(options: DurableSubmitOptions): Promise<void> {
  const { json, quiet } = options;
  await withRecords(options, async (submission) => {
    const { job, known } = await submit(submission, options);
    if (known && !quiet) stderrTerminal.line(`Job ${job} has this key already.`);
    const { descr, durable } = options;
    // What not all workers can do.
    const isChoosy = durable.outputs || LocalContext.manifestOf(descr.source) !== undefined;
    const record = json || isChoosy ? await JobRecords.get(submission, job) : null;
    process.stdout.write(`${json ? jobJson(record!) : job}\n`);
    if (record && !quiet) sayWhatIsKept(record, options);
  });
}

/**
 * Submits a job and follows it to its end. Throws a `CommandFailed` without text when it did not
 * succeed, as that has been said then; rejects with `Interrupted` when the process is told to end,
 * which leaves the job as it is.
 */
export async function submitDurable(options: DurableSubmitOptions): Promise<void> {
  const { outputs = [] } = options;
  checkTargets(outputs);
  const isTaken = outputs.some(({ local }) => local?.kind === "stdout");
  const output = new ClientOutput({ ...options, isTaken });
  try {
    const record = await interruptible((signal) => new Submitted(options, output).follow(signal));
    output.ended(record);
    if (outputs.length > 0) await fetchAfter(record, options, outputs);
    if (record.state !== "succeeded") throw new JobFailure(kindOfCause(record.cause), "");
  } finally {
    output.close();
  }
}

/** To who has asked for files and does not wait: where they are, and why they may not come. */
function sayWhatIsKept(
  record: JobRecords.JobRecord,
  { connect, outputs = [] }: DurableSubmitOptions,
) {
  if (outputs.some(({ local }) => local !== null)) {
    const command = `ocluster-client -c ${shellWord(connect)} fetch ${record.job} --to=DIR`;
    stderrTerminal.line(`Its files stay at the scheduler. To have them: ${command}`);
  }
  if (record.state === "queued" && record.reason !== "") {
    stderrTerminal.line(`Job ${record.job} is queued: ${visible(record.reason)}`);
  }
}

/** A job on its way: submitted once, and followed over any number of connections. */
class Submitted {
  private job: number | null = null;
  private follower: JobFollower | null = null;
  private saidToWait = "";
  private readonly status: JobStatus;
  private readonly view: JobView;

  constructor(
    private readonly options: DurableSubmitOptions,
    private readonly output: ClientOutput,
  ) {
    const status = new JobStatus(stderrTerminal, !options.quiet);
    this.status = status;
    this.view = {
      record: (record) => {
        this.sayWhyItWaits(record);
        status.phaseIs(describePhase(record));
      },
      log: async (data) => {
        let written: Promise<void> | undefined;
        status.log(data, () => {
          written = output.log(data);
        });
        await written;
      },
      again: (attempt) => this.say(describeFurther(attempt)),
    };
  }

  /** Resolves to the job's record when it has ended. */
  async follow(signal: AbortSignal): Promise<JobRecords.JobRecord> {
    try {
      return await steadily(this.options, (records) => this.run(records, signal), { signal });
    } catch (error) {
      if (signal.aborted) this.sayHowToComeBack();
      throw error;
    } finally {
      this.status.end();
    }
  }

  private async run(records: Capability, signal: AbortSignal): Promise<JobRecords.JobRecord> {
    this.follower ??= await this.submit(records, signal);
    return await this.follower.run(records, { signal });
  }

  private async submit(records: Capability, signal: AbortSignal): Promise<JobFollower> {
    const submitted = submit(records, this.options);
    const { job, known } = await unlessAborted(submitted, signal).catch(async (error) => {
      // It may have arrived: then there is a number to come back with.
      const answer = signal.aborted ? submitted : Promise.reject(error);
      return await Promise.race([answer, sleep(GRACE_MS).then(() => Promise.reject(error))]);
    });
    this.job = job;
    this.say(known ? `Job ${job} has this key already: following it.` : `Job ${job}.`);
    this.output.start();
    return new JobFollower(job, this.view);
  }

  /** Once: there may be nobody to see the phase. */
  private sayWhyItWaits({ attempts, job, reason, state }: JobRecords.JobRecord): void {
    if (state !== "queued" || attempts.length > 0 || reason === this.saidToWait) return;
    this.saidToWait = reason;
    if (reason !== "") this.say(`Job ${job} is queued: ${visible(reason)}`);
  }

  private say(line: string): void {
    if (!this.options.quiet) stderrTerminal.line(line);
  }

  private sayHowToComeBack(): void {
    const { connect } = this.options;
    this.say(
      this.job === null
        ? "Interrupted: it is not known whether the job was submitted. See `ocluster-client jobs`."
        : `Job ${this.job} goes on. To come back: ocluster-client -c ${shellWord(connect)} logs ${this.job} -f`,
    );
  }
}

/**
 * Submits the job. Rejects with an `RpcError` if it may be submitted once more, and with a
 * `CommandFailed` if not: it was refused, or nobody knows whether there is one, as the connection
 * was lost before there was an answer, and it has no key.
 */
async function submit(
  submission: Capability,
  { descr, durable, pool: named, urgent }: DurableSubmitOptions,
): Promise<DurableSubmission.DurableSubmitted> {
  const pool = named ?? (await onlyPool(submission));
  const options = { ...DurableSubmission.DEFAULT_DURABLE_OPTIONS, ...durable };
  // One that does not would take the job, and say nothing.
  if (options.outputs) await checkKeepsOutputs(submission);
  const job = { pool, urgent, descr, options };
  return await DurableSubmission.submit(submission, job).catch((error: RpcError) => {
    if (error.kind === "unimplemented") throw error;
    if (error.kind !== "disconnected") throw new JobRefused(error);
    if (options.key !== "") throw error;
    throw new JobRefused(
      error,
      `Lost the scheduler before it answered (${error}): it is not known whether the job was submitted.\n` +
        "See `ocluster-client jobs`. A job that has a --key can be submitted again without becoming two.",
    );
  });
}

/** There is no job, or none that is known of. */
class JobRefused extends JobFailure {
  constructor(reason: RpcError, message = String(reason)) {
    super(kindOfRefusal(reason), message, { cause: reason });
  }
}

/** As a shell takes it. */
function shellWord(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
