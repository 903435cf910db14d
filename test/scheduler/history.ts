/**
 * Random histories of a pool, as traces whose expected text comes from the slow model.
 */

import fc from "fast-check";
import { ModelPool } from "./model.js";

/**
 * A choice of operation, and numbers by which its operands are chosen from those that make sense
 * then.
 */
type Move = readonly [kind: number, a: number, b: number, c: number];

export interface History {
  /** How many more pops there are than usual: jobs wait for workers, or workers for jobs. */
  readonly idleness: number;
  readonly moves: readonly Move[];
}

const number = fc.noBias(fc.nat(9999));

export const history: fc.Arbitrary<History> = fc.record({
  idleness: fc.noBias(fc.nat(4)),
  moves: fc.array(fc.tuple(number, number, number, number), { maxLength: 120, size: "max" }),
});

const WORKERS = ["w1", "w2", "north-east-builder-with-a-long-name", "Z", "über"];
const CLIENTS = ["ann", "ben", "client-with-quite-a-long-name", "Cy"];
const HINTS = ["", "", "a", "b", "docs", "a-hint-that-is-rather-long-for-a-hint"];
const RATES = [1, 2, 4, 0.5, 3, 0.75, 100];
const ABILITIES = [[], ["docker"], ["specs"], ["docker", "specs"]];
const NEEDS = ["", "docker", "specs", "docker", "specs,docker", "docker,specs", ""];
const SECONDS = [0, 1, 0.5, 2.25, 7, 130, 1000.5];
const REASONS = ["worker", "admin-pause", "shutdown"];

/** How often each operation is chosen. */
const KINDS: readonly (readonly [share: number, operation: string])[] = [
  [20, "register"],
  [80, "connect"],
  [90, "activate"],
  [50, "set-active"],
  [20, "with-worker"],
  [10, "shutdown"],
  [40, "release"],
  [15, "forget"],
  [30, "learn"],
  [10, "known-workers"],
  [10, "remove-client"],
  [40, "set-rate"],
  [200, "submit"],
  [50, "cancel"],
  [20, "state"],
  [20, "job-finished"],
  [25, "advance"],
  [50, "settle"],
  [8, "flush"],
  [20, "dump"],
  [10, "show"],
  [3, "reopen"],
];
const POPS = 80;

/** The trace of a history. A move for which nothing makes sense is left out. */
export function traceOf({ idleness, moves }: History): string {
  const model = new ModelPool();
  const lines = ["pool random"];
  let names = 0;
  const note = (operation: string, ...words: string[]) => {
    lines.push([operation, ...words].join(" "));
    lines.push(...model.run(operation, words).map((line) => `> ${line}`));
  };
  const kinds = [...KINDS, [POPS * (1 + idleness), "pop"] as const];
  for (const [kind, a, b, c] of moves) {
    const operation = weighted(kinds, kind);
    const connected = model.workers.map(({ name }) => name);
    const worker = pick(connected, a);
    const client = pick([...model.clients.keys()], a);
    switch (operation) {
      case "register":
        note(operation, pick(WORKERS, a)!, String(b % 4));
        break;
      case "connect": {
        const name = pick(WORKERS, a)!;
        note("register", name, String(b % 4));
        note("set-active", name, "true", "worker");
        break;
      }
      case "activate":
        if (worker) note("set-active", worker, "true", pick(REASONS, b < 7000 ? 0 : b)!);
        break;
      case "set-active":
        if (worker) note(operation, worker, String(b % 2 === 0), pick(REASONS, c)!);
        break;
      case "with-worker":
        note(operation, pick(WORKERS, a)!, String(b % 2 === 0), pick(REASONS, c)!);
        break;
      case "shutdown":
      case "release":
      case "flush":
        if (worker) note(operation, worker);
        break;
      case "learn":
        if (worker) note(operation, worker, ...pick(ABILITIES, b)!);
        break;
      case "forget":
        note(operation, pick(WORKERS, a)!);
        break;
      case "remove-client":
        if (client) {
          note(operation, client);
          // Tickets of a removed client are no longer used.
          for (const [ticket, job] of model.tickets) {
            if (job.client === client) model.tickets.delete(ticket);
          }
        }
        break;
      case "set-rate":
        if (client) note(operation, client, String(pick(RATES, b)));
        break;
      case "submit": {
        const by = pick(CLIENTS, a)!;
        if (!model.clients.has(by)) note("client", by);
        const job = `job${++names}`;
        const hint = pick(HINTS, b)!;
        const words = [by, job, ...(hint ? [`hint=${hint}`] : []), ...(c % 4 ? [] : ["urgent"])];
        // Not only those that are connected.
        if (c % 3 === 0)
          words.push(`avoid=${WORKERS.slice(b % 3, (b % 3) + 1 + (a % 3)).join(",")}`);
        const needs = pick(NEEDS, b + c)!;
        if (needs) words.push(`needs=${needs}`);
        note(operation, ...words, `as=${job}`);
        break;
      }
      case "cancel": {
        const ticket = pick([...model.tickets.keys()], a);
        if (ticket) note(operation, model.tickets.get(ticket)!.client, ticket);
        break;
      }
      case "pop":
        if (worker) note(operation, worker, `as=p${++names}`);
        break;
      case "state": {
        const variable = pick([...model.variables.keys()], a);
        if (variable) note(operation, variable);
        break;
      }
      case "job-finished": {
        const busy = model.workers.filter(({ running }) => running > 0);
        if (busy.length > 0) note(operation, pick(busy, a)!.name);
        break;
      }
      case "advance":
        note(operation, String(pick(SECONDS, a)));
        break;
      default:
        note(operation);
    }
  }
  note("dump");
  note("settle");
  note("dump");
  note("known-workers");
  for (const variable of model.variables.keys()) note("state", variable);
  return lines.join("\n");
}

function weighted<T>(choices: readonly (readonly [share: number, choice: T])[], number: number): T {
  const total = choices.reduce((sum, [share]) => sum + share, 0);
  let rest = number % total;
  return choices.find(([share]) => {
    rest -= share;
    return rest < 0;
  })![1];
}

function pick<T>(from: readonly T[], number: number): T | undefined {
  return from[number % from.length];
}
