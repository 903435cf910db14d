/** The agenda against a list that is sorted when someone asks. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { Agenda } from "../../../src/scheduler/jobs/agenda.js";

const id = fc.nat({ max: 40 });
const moment = fc.nat({ max: 30 });

const move = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("set" as const), id, moment }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("delete" as const), id }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("take" as const), moment }) },
);

test("jobs come when they are to, the earliest first", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 200, size: "max" }), (moves) => {
      const agenda = new Agenda();
      const list = new Map<number, number>();
      const first = () => [...list].sort(([a, at], [b, bt]) => at - bt || a - b)[0];
      for (const each of moves) {
        if (each.type === "set") {
          agenda.set(each.id, each.moment);
          list.set(each.id, each.moment);
        } else if (each.type === "delete") {
          agenda.delete(each.id);
          list.delete(each.id);
        } else {
          const [id, at] = first() ?? [];
          const isDue = at !== undefined && at <= each.moment;
          expect(agenda.take(each.moment)).toBe(isDue ? id : undefined);
          if (isDue) list.delete(id!);
        }
        expect(agenda.size).toBe(list.size);
        expect(agenda.next).toBe(first()?.[1] ?? Number.POSITIVE_INFINITY);
      }
    }),
    { numRuns: 200 },
  );
});
