/**
 * How workers say what they are able to do: what our schedulers' `Queue`s offer beyond the shared
 * contract. Others answer "unimplemented", and give such a worker any job.
 */
import { type Capability, type MethodEntry, method, RpcError } from "../rpc/index.js";
import { quoted } from "../text/index.js";
import { type CallOptions, done, writeTexts } from "./calls.js";
import { AbleQueue$Client } from "./generated/extensions.js";

const [DECLARE] = AbleQueue$Client.methods;

/** The abilities that jobs may need, so far. */
export const ABILITY = {
  /** Builds Dockerfiles. */
  docker: "docker",
  /** Builds specs. */
  obuilder: "obuilder",
  /** Hands over files of its jobs' results. */
  outputs: "outputs",
  /** Builds from its clients' local directories. */
  contexts: "contexts",
} as const;

/** What workers are able to do that know only the shared contract, and so do not say it. */
export const CONTRACT: readonly string[] = [ABILITY.docker, ABILITY.obuilder];

const IN_WORDS: Readonly<Record<string, string>> = {
  [ABILITY.docker]: "build Dockerfiles",
  [ABILITY.obuilder]: "build specs",
  [ABILITY.outputs]: "hand over files",
  [ABILITY.contexts]: "build from local directories",
};

/** What somebody can do who has the ability. */
export function describeAbility(ability: string): string {
  return Object.hasOwn(IN_WORDS, ability) ? IN_WORDS[ability]! : `do ${quoted(ability)}`;
}

/** What a worker is able to do, and about its machine. */
export interface WorkerAbilities {
  /** Words; those that are not known matter no less. */
  readonly able: readonly string[];
  /** How many CPUs jobs can use; 0: not known. */
  readonly cpus: number;
  /** Bytes; 0: not known. */
  readonly memory: number;
  /** As Go calls it, such as "amd64"; empty: not known. */
  readonly architecture: string;
}

/** A worker is able to do a few things, each of which has a short name. */
const MAX_ABLE = 100;
const MAX_LENGTH = 100;

export interface AbleQueueService {
  /** The worker is able to do this from now on. */
  declare(abilities: WorkerAbilities): void;
}

/** The method of a `Queue` that makes it an `AbleQueue`, too. */
export function ableQueueMethods(service: AbleQueueService): MethodEntry[] {
  return [
    method(DECLARE, ({ params }) => {
      const { abilities } = params;
      const { architecture, cpus, memory } = abilities;
      if (abilities.able.length > MAX_ABLE) throw tooMuch();
      const able = abilities.able.toArray();
      if ([...able, architecture].some((word) => word.length > MAX_LENGTH)) throw tooMuch();
      service.declare({ able, cpus, memory: Number(memory), architecture });
    }),
  ];
}

/** Says what the worker is able to do. Rejects as "unimplemented" where nobody wants to know. */
export function declare(
  queue: Capability,
  { able, architecture, cpus, memory }: WorkerAbilities,
  options?: CallOptions,
): Promise<void> {
  const call = queue.call(
    DECLARE,
    (params) => {
      const wire = params._initAbilities();
      writeTexts(wire._initAble(able.length), able);
      wire.cpus = cpus;
      wire.memory = BigInt(Math.round(memory));
      wire.architecture = architecture;
    },
    options,
  );
  return done(call);
}

function tooMuch(): RpcError {
  return new RpcError(
    "failed",
    `A worker can declare ${MAX_ABLE} abilities, of ${MAX_LENGTH} characters each`,
  );
}
