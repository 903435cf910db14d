/**
 * What a scheduler keeps of pools that it does not have any more, and what is to become of it: what
 * our schedulers' `Admin`s offer beyond the shared contract. Others answer "unimplemented".
 */
import { type Capability, type MethodEntry, method } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";
import { FormerPools$Client, type FormerPool as WireFormerPool } from "./generated/extensions.js";

const [LIST, MOVE, FORGET] = FormerPools$Client.methods;

export interface FormerPool {
  readonly name: string;
  /** That were known, with their pauses. */
  readonly workers: number;
  /** Of clients. */
  readonly rates: number;
  /** That workers hold. */
  readonly hints: number;
  /** Durable ones that have not ended. */
  readonly jobs: number;
}

/** What the methods throw goes to the administrator. */
export interface FormerPoolsService {
  formerPools(): Promise<readonly FormerPool[]>;
  /** Resolves with what was moved, when that is on disk. */
  movePool(from: string, to: string): Promise<FormerPool>;
  forgetPool(name: string): Promise<FormerPool>;
}

/** The methods of an `Admin` that make it a `FormerPools`, too. */
export function formerPoolsMethods(service: FormerPoolsService): MethodEntry[] {
  return [
    method(LIST, async (call) => {
      const pools = await service.formerPools();
      const list = call.results()._initPools(pools.length);
      for (const [index, pool] of pools.entries()) Object.assign(list.get(index), pool);
    }),
    method(MOVE, async (call) => {
      const { from, to } = call.params;
      const moved = await service.movePool(from, to);
      Object.assign(call.results()._initMoved(), moved);
    }),
    method(FORGET, async (call) => {
      const forgotten = await service.forgetPool(call.params.name);
      Object.assign(call.results()._initForgotten(), forgotten);
    }),
  ];
}

/** Sorted by name. */
export function list(admin: Capability, options?: CallOptions): Promise<FormerPool[]> {
  return resultOf(admin.call(LIST, undefined, options), ({ pools }) => pools.map(read));
}

/** See `FormerPoolsService.movePool`. */
export function move(
  admin: Capability,
  from: string,
  to: string,
  options?: CallOptions,
): Promise<FormerPool> {
  const call = admin.call(
    MOVE,
    (params) => {
      params.from = from;
      params.to = to;
    },
    options,
  );
  return resultOf(call, ({ moved }) => read(moved));
}

/** See `FormerPoolsService.forgetPool`. */
export function forget(
  admin: Capability,
  name: string,
  options?: CallOptions,
): Promise<FormerPool> {
  const call = admin.call(
    FORGET,
    (params) => {
      params.name = name;
    },
    options,
  );
  return resultOf(call, ({ forgotten }) => read(forgotten));
}

function read({ hints, jobs, name, rates, workers }: WireFormerPool): FormerPool {
  return { name, workers, rates, hints, jobs };
}
