/**
 * How long this process reads before it does something else. The system hands over megabytes at a
 * time, from each of many connections, and a megabyte can be ten thousand messages: between them
 * timers and answers have to get their share.
 */
import { TimeSlice } from "../../async/index.js";

/**
 * What all connections together may take to handle what they read, in ms for each turn of the event
 * loop.
 */
const SHARE_MS = 10;

/** Of this turn, once somebody has read in it. */
let budget: TimeSlice | undefined;

/** Whether there is time left in this turn of the event loop to handle what was read. */
export function isTimeToRead(): boolean {
  if (budget) return !budget.over;
  budget = new TimeSlice(SHARE_MS);
  setImmediate(endTurn);
  return true;
}

function endTurn(): void {
  budget = undefined;
}
