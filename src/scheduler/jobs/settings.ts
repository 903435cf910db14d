/**
 * What an operator can set about durable jobs.
 */

/** All in seconds where nothing else is said. */
export interface BookSettings {
  /** How long an attempt whose worker is out of touch is waited for. */
  readonly lease: number;
  /** How many attempts may be lost while they run, until the job is taken for the reason. */
  readonly poisonAfter: number;
  /** How long ended jobs stay on record. */
  readonly keepJobs: number;
  /** How long a job that has failed keeps its description, and can be retried by hand. */
  readonly keepFailed: number;
}

export const DEFAULT_SETTINGS: BookSettings = {
  lease: 600,
  poisonAfter: 3,
  keepJobs: 30 * 86_400,
  keepFailed: 7 * 86_400,
};
