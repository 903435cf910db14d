/**
 * What an operator can set about durable jobs, and what holds if nothing is set.
 */
import { type BookSettings, DEFAULT_SETTINGS } from "../jobs/settings.js";

export interface DurableSettings extends BookSettings {
  /** Bytes on disk that logs may have, all together. */
  readonly keepLogs: number;
  /** Whether attached jobs are on record, too. */
  readonly history: boolean;
}

export const DEFAULT_DURABLE_SETTINGS: DurableSettings = {
  ...DEFAULT_SETTINGS,
  keepLogs: 10 * 1024 ** 3,
  history: true,
};
