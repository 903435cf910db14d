/**
 * `pools`: which pools there are and what they can do; and which one is meant when none is named.
 */
import { AbleQueue, PoolDirectory } from "../api/index.js";
import { type Column, Table, UsageError } from "../console/index.js";
import { type Capability, RpcError } from "../rpc/index.js";
import { visible, visibleJson, writeSize } from "../text/index.js";
import { JobFailure } from "./failure.js";
import { type RecordsOptions, withRecords } from "./jobs/records-session.js";

export interface PoolsOptions extends RecordsOptions {
  readonly json: boolean;
  /** Print their names alone, one a line. */
  readonly names: boolean;
}

const COLUMNS: readonly Column[] = [
  { head: "POOL" },
  { head: "WORKERS", align: "right", keep: true },
  { head: "RUNNING", align: "right", keep: true },
  { head: "CAPACITY", align: "right", keep: true },
  { head: "QUEUED", align: "right", keep: true },
  { head: "BUILDS" },
  { head: "UP TO", expendable: true },
  { head: "ALSO", expendable: true },
];

export async function listPools({ json, names, ...options }: PoolsOptions): Promise<void> {
  const pools = await withRecords(options, poolsOf);
  const lines = json
    ? pools.map((pool) => visibleJson(pool))
    : names
      ? pools.map(({ name }) => visible(name))
      : table(pools);
  for (const line of lines) process.stdout.write(`${line}\n`);
}

/**
 * The pool that is meant when none is named: the only one. Rejects with a `UsageError` that lists
 * them if there are more.
 */
export async function onlyPool(submission: Capability): Promise<string> {
  let pools: readonly PoolDirectory.PoolSummary[];
  try {
    pools = await PoolDirectory.pools(submission);
  } catch (error) {
    if (error instanceof RpcError && error.kind === "unimplemented") {
      throw new UsageError("required option --pool is missing");
    }
    throw error;
  }
  const [only] = pools;
  if (only && pools.length === 1) return only.name;
  const names = pools.map(({ name }) => visible(name)).join(", ");
  throw new UsageError(`required option --pool is missing: it is one of ${names}`);
}

async function poolsOf(submission: Capability): Promise<readonly PoolDirectory.PoolSummary[]> {
  try {
    return await PoolDirectory.pools(submission);
  } catch (error) {
    if (!(error instanceof RpcError && error.kind === "unimplemented")) throw error;
    throw new JobFailure(
      "refused",
      "This scheduler does not tell which pools there are (or the capability file is not a client's). Its operator knows: " +
        "`ocluster-admin show`.",
      { cause: error },
    );
  }
}

function table(pools: readonly PoolDirectory.PoolSummary[]): string[] {
  const rows = pools.map((pool) => [
    visible(pool.name),
    ...[pool.workers, pool.running, pool.capacity, pool.queued].map(String),
    kindsOf(pool),
    machineOf(pool),
    furtherOf(pool),
  ]);
  const layout = new Table(COLUMNS, process.stdout.isTTY ? process.stdout.columns : Infinity);
  return layout.lines(rows);
}

const KINDS: readonly string[] = [AbleQueue.ABILITY.docker, AbleQueue.ABILITY.obuilder];

/** `Dockerfiles, specs (2 of 3)` */
function kindsOf({ able, workers }: PoolDirectory.PoolSummary): string {
  const kinds = able.filter(({ ability }) => KINDS.includes(ability));
  return kinds.map((one) => abilityOf(one, workers).replace(/^build /, "")).join(", ");
}

/** `build from local directories, hand over files` */
function furtherOf({ able, workers }: PoolDirectory.PoolSummary): string {
  const others = able.filter(({ ability }) => !KINDS.includes(ability));
  return others.map((one) => abilityOf(one, workers)).join(", ");
}

/** With how many workers have it, if those are not all. */
function abilityOf(one: PoolDirectory.PoolSummary["able"][number], of: number): string {
  const what = visible(AbleQueue.describeAbility(one.ability));
  return one.workers < of ? `${what} (${one.workers} of ${of})` : what;
}

/** `8 CPUs, 16 GiB, amd64` */
function machineOf({ architectures, cpus, memory }: PoolDirectory.PoolSummary): string {
  return [
    ...(cpus > 0 ? [`${cpus} CPU${cpus === 1 ? "" : "s"}`] : []),
    ...(memory > 0 ? [writeSize(memory)] : []),
    ...architectures.map(visible),
  ].join(", ");
}
