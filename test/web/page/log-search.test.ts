/** The search of a log: what it says when the server cannot look. */
import { expect, test } from "vitest";
import { ApiError } from "../../../src/web/page/api/client.js";
import { LogSearch } from "../../../src/web/page/log/search.js";

/** Answers in turn: lines and where to look on, or a failure. */
type Answer = readonly [matches: readonly number[], next: number | null] | ApiError;

function searching(...answers: Answer[]) {
  const asked: number[] = [];
  const search = new LogSearch(async (_find, from) => {
    asked.push(from);
    const answer = answers.shift()!;
    if (answer instanceof ApiError) throw answer;
    return { matches: answer[0], next: answer[1], total: 1000 };
  });
  return { asked, search };
}

const DOWN = new ApiError(503, "scheduler_down", "The scheduler is away: try again in a moment.");

test("a search that failed has not found that there is nothing", async () => {
  const { asked, search } = searching([[], 100], DOWN, [[120], null]);
  expect(await search.start("error", 0)).toBeNull();
  expect(asked).toEqual([0, 100]);
  expect(search.failure.value).toBe(DOWN.message);
  expect(search.busy.value).toBe(false);
  // It is made anew, and then there is no failure any more.
  expect(await search.start("error", 0)).toBe(120);
  expect(search.failure.value).toBeNull();
});

test("one that fails further on keeps what it has, and goes on where it failed", async () => {
  const { asked, search } = searching([[3, 7], 100], DOWN, [[150], null]);
  expect(await search.start("error", 0)).toBe(3);
  expect(await search.step(1)).toBe(7);
  expect(await search.step(1)).toBeNull();
  expect([search.failure.value, search.at.value]).toEqual([DOWN.message, 1]);
  expect(await search.step(-1)).toBe(3);
  expect(await search.step(1)).toBe(7);
  expect(await search.step(1)).toBe(150);
  expect(search.failure.value).toBeNull();
  expect(asked).toEqual([0, 100, 100]);
  // And from the last to the first.
  expect(await search.step(1)).toBe(3);
});

test("one that was given up says nothing of its failure", async () => {
  let fail!: (error: Error) => void;
  const search = new LogSearch(() => new Promise((_, reject) => (fail = reject)));
  const started = search.start("error", 0);
  search.stop();
  fail(DOWN);
  expect(await started).toBeNull();
  expect(search.failure.value).toBeNull();
});
