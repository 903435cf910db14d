/**
 * Where user code is started from: one queue, first come first served, worked off in a microtask. Deliveries to objects
 * here never run inside of the caller, and keep the order in which they were made whoever made them – a connection or a
 * neighbour.
 */
export interface Turn {
  run(): void;
}

/** After so many turns the event loop gets its share: objects that call each other without end must not stop the process. */
const TURNS_AT_ONCE = 1000;

let queue: Turn[] = [];
/** The next turn in `queue`. */
let next = 0;
let isScheduled = false;

export function enqueueTurn(turn: Turn): void {
  queue.push(turn);
  if (isScheduled) return;
  isScheduled = true;
  queueMicrotask(runTurns);
}

/** Calls a listener or hook of the user's from a turn of its own. */
export function enqueueCallback(callback: () => void): void {
  enqueueTurn({ run: callback });
}

function runTurns(): void {
  // Turns that are added meanwhile go to the end of the same array.
  for (let left = TURNS_AT_ONCE; left > 0 && next < queue.length; left--) {
    try {
      queue[next++]!.run();
    } catch (error) {
      // A bug in a user's callback. It must not stop the others, nor stay unseen: it becomes an uncaught exception.
      setImmediate(() => {
        throw error;
      });
    }
  }
  if (next < queue.length) {
    queue = queue.slice(next);
    next = 0;
    setImmediate(runTurns);
  } else {
    queue = [];
    next = 0;
    isScheduled = false;
  }
}
