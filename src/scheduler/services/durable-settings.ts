/**
 * What an operator can set about durable jobs, and what holds if nothing is set.
 */
import { type BookSettings, DEFAULT_SETTINGS } from "../jobs/settings.js";
import type { ContextSettings } from "../state/context-store.js";
import type { ArtefactPlace } from "../state/open-outputs.js";

export type { ArtefactPlace };

export interface DurableSettings extends BookSettings {
  /** Bytes on disk that logs may have, all together. */
  readonly keepLogs: number;
  /** Whether attached jobs are on record, too. */
  readonly history: boolean;
  readonly outputs: OutputSettings;
  /** What holds for local directories that jobs are built from. */
  readonly contexts: ContextSettings;
}

/** What holds for files of jobs' results. */
export interface OutputSettings {
  /** Where they are kept; undefined: in the state directory. */
  readonly place: ArtefactPlace | undefined;
  /** Bytes that those of one job may have. */
  readonly limit: number;
  /** Seconds that they are kept, and bytes that all may have together: the oldest go first. */
  readonly keepAge: number;
  readonly keepSize: number;
}

export const DEFAULT_DURABLE_SETTINGS: DurableSettings = {
  ...DEFAULT_SETTINGS,
  keepLogs: 10 * 1024 ** 3,
  history: true,
  outputs: {
    place: undefined,
    limit: 10 * 1024 ** 3,
    keepAge: 7 * 86_400,
    keepSize: 100 * 1024 ** 3,
  },
  contexts: {
    size: 10 * 1024 ** 3,
    clientSize: 20 * 1024 ** 3,
    keepAge: 7 * 86_400,
    keepSize: 50 * 1024 ** 3,
  },
};
