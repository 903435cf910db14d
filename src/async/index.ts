/**
 * Waiting, and sharing the event loop's time.
 */
export { unlessAborted } from "./abort.js";
export { Backoff } from "./backoff.js";
export { Condition } from "./condition.js";
export { type Chore, Chores } from "./deferred-work.js";
export { Mutex, NamedMutex } from "./mutex.js";
export { PiecewiseArray } from "./piecewise-list.js";
export { sleep, stopwatch } from "./sleep.js";
export { inOneGo, Slices } from "./slices.js";
export { enqueueCallback, enqueueTurn, inSlices, type Turn } from "./task-queue.js";
export { afterMs } from "./timeout.js";
