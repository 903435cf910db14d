/**
 * How a job ends other than well. Anything else that is thrown is an unexpected failure of the
 * worker.
 */

/** The job failed for a reason that its client shall read: the log ends with the message. */
export class JobFailed extends Error {
  override readonly name = "JobFailed";
}

/** The job has run for longer than it may. */
export class JobTimedOut extends JobFailed {}

/**
 * The job's description cannot be a job, or not one of this worker's: no URL, no push target, no
 * store. Its client sees what the reference makes of that: an exception in the log, and "Internal
 * error" as the result.
 */
export class InvalidJob extends Error {
  override readonly name = "InvalidJob";
}

/**
 * The client, or the worker's operator, does not want the job any more. The reason of a job's
 * signal.
 */
export class JobCancelled extends Error {
  override readonly name = "JobCancelled";

  constructor() {
    super("Job cancelled");
  }
}

/**
 * The worker gives the job back, mostly as it ends before the job has. The reason of a durable
 * job's signal.
 */
export class JobEvicted extends Error {
  override readonly name = "JobEvicted";

  constructor(why?: string, options?: ErrorOptions) {
    super(why === undefined ? "Job given back" : `Job given back: ${why}`, options);
  }
}
