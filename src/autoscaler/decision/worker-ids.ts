/** Which worker is in which instance: a worker's name is its instance's id, or ends with `-ID`. */
import type { Member } from "./types.js";

/** Of `ids`, the one that a worker's name ends with; the longest, if several do. */
export function idOfWorker(name: string, ids: ReadonlySet<string>): string | undefined {
  if (ids.has(name)) return name;
  for (let at = name.indexOf("-"); at >= 0; at = name.indexOf("-", at + 1)) {
    const rest = name.slice(at + 1);
    if (ids.has(rest)) return rest;
  }
  return undefined;
}

/** What there is in an instance, by the names of workers: of several, all of them together. */
export interface Occupant {
  /** Of the only one that is connected; undefined: none is, or it is not known which is meant. */
  readonly name: string | undefined;
  /** Any of them is. */
  readonly connected: boolean;
  /** Any that is connected is given jobs; if none is, any would be. */
  readonly active: boolean;
  /** Of those that are connected. */
  readonly capacity: number;
  /** Jobs of all. */
  readonly running: number;
}

/** The workers by the ids of the instances that their names say they are in. */
export function byInstance(
  members: Iterable<Member>,
  ids: ReadonlySet<string>,
): Map<string, Occupant> {
  const found = new Map<string, Member[]>();
  for (const member of members) {
    const id = idOfWorker(member.name, ids);
    if (id === undefined) continue;
    const others = found.get(id);
    if (others) others.push(member);
    else found.set(id, [member]);
  }
  return new Map(Array.from(found, ([id, all]) => [id, occupantOf(all)]));
}

/**
 * Names can end alike, as ids may be short numbers: one that is remembered must not hide one that
 * is connected.
 */
function occupantOf(all: readonly Member[]): Occupant {
  const present = all.filter(({ connected }) => connected);
  const [first, ...more] = present;
  return {
    name: more.length === 0 ? first?.name : undefined,
    connected: first !== undefined,
    active: (first ? present : all).some(({ active }) => active),
    capacity: present.reduce((sum, { capacity }) => sum + capacity, 0),
    running: all.reduce((sum, { running }) => sum + running, 0),
  };
}
