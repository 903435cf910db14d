/**
 * Waiting, and sharing the event loop's time.
 */
export { aborted, unlessAborted } from "./abort.js";
export { alarm } from "./alarm.js";
export { Backoff, type BackoffRange } from "./backoff.js";
export { Condition } from "./condition.js";
export { type Deferred, deferred } from "./deferred.js";
export { type DeferredTask, DeferredWork } from "./deferred-work.js";
export { Mutex, NamedMutex } from "./mutex.js";
export { Permits } from "./permits.js";
export { PiecewiseList } from "./piecewise-list.js";
export { readAhead } from "./read-ahead.js";
export { sleep, stopwatch } from "./sleep.js";
export { inOneGo, inSlices, Slices, TimeSlice } from "./slices.js";
export { enqueueCallback, enqueueTask, type Task } from "./task-queue.js";
export { timeout } from "./timeout.js";
