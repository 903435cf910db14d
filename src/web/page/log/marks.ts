/** Where a text that is searched for stands in a line. */
import type { Run } from "../../log/index.js";

export interface MarkedRun extends Run {
  readonly marked: boolean;
}

/** Places of one line that are marked. */
const MAX_MARKS = 100;

/** The runs, cut at the places where `find` stands, whatever its case; across runs, too. */
export function marked(runs: readonly Run[], find: string): MarkedRun[] {
  const places = find === "" ? [] : placesOf(runs.map(({ text }) => text).join(""), find);
  if (places.length === 0) return runs.map((run) => ({ ...run, marked: false }));
  const cuts = places.flatMap((place) => [place, place + find.length]);
  const result: MarkedRun[] = [];
  let start = 0;
  for (const run of runs) {
    const end = start + run.text.length;
    let at = start;
    while (at < end) {
      const next = Math.min(end, cuts.find((cut) => cut > at) ?? end);
      const isMarked = places.some((place) => at >= place && at < place + find.length);
      result.push({ ...run, text: run.text.slice(at - start, next - start), marked: isMarked });
      at = next;
    }
    start = end;
  }
  return result;
}

function placesOf(text: string, find: string): number[] {
  const [hay, needle] = [text.toLowerCase(), find.toLowerCase()];
  // Where a letter's other case has another length, places would be wrong.
  if (hay.length !== text.length || needle.length !== find.length) return [];
  const places: number[] = [];
  let at = hay.indexOf(needle);
  while (at >= 0 && places.length < MAX_MARKS) {
    places.push(at);
    at = hay.indexOf(needle, at + needle.length);
  }
  return places;
}
