/**
 * What is asked of records: which jobs, and what clients had.
 */
import type {
  ClientUsage as WireClientUsage,
  JobFilter as WireJobFilter,
} from "./generated/extensions.js";
import { type JobState, readStates, writeStates } from "./job-state.js";

/** What is left out does not matter. */
export interface JobFilter {
  readonly states?: readonly JobState[] | undefined;
  readonly pool?: string | undefined;
  readonly client?: string | undefined;
  /** Of any attempt. */
  readonly worker?: string | undefined;
  readonly hint?: string | undefined;
  readonly name?: string | undefined;
  readonly key?: string | undefined;
  readonly batch?: string | undefined;
  /** Submitted then or later. */
  readonly since?: number | undefined;
  /** Submitted before. */
  readonly until?: number | undefined;
}

/** What one client had of the cluster in some time. */
export interface ClientUsage {
  readonly client: string;
  /** Submitted in that time; of these the next three have ended so. */
  readonly jobs: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Spent by workers on attempts that ended in that time. */
  readonly seconds: number;
  /** Of these, on attempts that were lost, given back, or crashed. */
  readonly lostSeconds: number;
}

export function writeFilter(wire: WireJobFilter, filter: JobFilter): void {
  const { states = [] } = filter;
  writeStates(wire._initStates(states.length), states);
  wire.pool = filter.pool ?? "";
  wire.client = filter.client ?? "";
  wire.worker = filter.worker ?? "";
  wire.hint = filter.hint ?? "";
  wire.name = filter.name ?? "";
  wire.key = filter.key ?? "";
  wire.batch = filter.batch ?? "";
  wire.since = filter.since ?? 0;
  wire.until = filter.until ?? 0;
}

export function readFilter(wire: WireJobFilter): JobFilter {
  const states = readStates(wire.states);
  return {
    states: states.length > 0 ? states : undefined,
    pool: wire.pool || undefined,
    client: wire.client || undefined,
    worker: wire.worker || undefined,
    hint: wire.hint || undefined,
    name: wire.name || undefined,
    key: wire.key || undefined,
    batch: wire.batch || undefined,
    since: wire.since || undefined,
    until: wire.until || undefined,
  };
}

export function writeUsage(wire: WireClientUsage, usage: ClientUsage): void {
  wire.client = usage.client;
  wire.jobs = BigInt(usage.jobs);
  wire.succeeded = BigInt(usage.succeeded);
  wire.failed = BigInt(usage.failed);
  wire.cancelled = BigInt(usage.cancelled);
  wire.seconds = usage.seconds;
  wire.lostSeconds = usage.lostSeconds;
}

export function readUsage(wire: WireClientUsage): ClientUsage {
  return {
    client: wire.client,
    jobs: Number(wire.jobs),
    succeeded: Number(wire.succeeded),
    failed: Number(wire.failed),
    cancelled: Number(wire.cancelled),
    seconds: wire.seconds,
    lostSeconds: wire.lostSeconds,
  };
}
