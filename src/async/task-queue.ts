/**
 * Where user code is started from: one queue, first come first served, worked off in a microtask.
 * Deliveries to objects here never run inside of the caller, and keep the order in which they were
 * made whoever made them – a connection or a neighbour.
 *
 * It leaves the event loop its share: objects that call each other without end must not stop the
 * process.
 */
import { doForASlice } from "./slices.js";

export interface Task {
  run(): void;
}

let queue: Task[] = [];
/** The next task in `queue`. */
let next = 0;
let isScheduled = false;

export function enqueueTask(task: Task): void {
  queue.push(task);
  if (isScheduled) return;
  isScheduled = true;
  queueMicrotask(runTasks);
}

/** Calls a listener or hook of the user's from a task of its own. */
export function enqueueCallback(callback: () => void): void {
  enqueueTask({ run: callback });
}

function runTasks(): void {
  doForASlice(runNext);
  if (next < queue.length) {
    setImmediate(runTasks);
    // There can be a million, which are not to be copied each time.
    if (next < queue.length / 2) return;
    queue = queue.slice(next);
    next = 0;
  } else {
    queue = [];
    next = 0;
    isScheduled = false;
  }
}

/**
 * Runs a task; false if there is none. Tasks that are added meanwhile go to the end of the same
 * array.
 */
function runNext(): boolean {
  if (next >= queue.length) return false;
  const task = queue[next]!;
  queue[next++] = DONE;
  try {
    task.run();
  } catch (error) {
    // A bug in a user's callback. It must not stop the others, nor stay unseen: it becomes an
    // uncaught exception.
    setImmediate(() => {
      throw error;
    });
  }
  return true;
}

/** In the place of a task that has run, whose memory is free. */
const DONE: Task = { run: () => {} };
