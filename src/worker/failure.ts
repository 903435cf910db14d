/**
 * How a job ends other than well. Anything else that is thrown is an unexpected failure of the worker.
 */

/** The job failed for a reason that its client shall read: the log ends with the message. */
export class JobFailed extends Error {
  override readonly name = "JobFailed";
}

/** The client, or the worker's operator, does not want the job any more. The reason of a job's signal. */
export class JobCancelled extends Error {
  override readonly name = "JobCancelled";

  constructor() {
    super("Job cancelled");
  }
}
