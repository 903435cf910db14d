/**
 * Where user code is started from: one queue, first come first served, worked off in a microtask. Deliveries to objects
 * here never run inside of the caller, and keep the order in which they were made whoever made them – a connection or a
 * neighbour.
 *
 * It leaves the event loop its share: objects that call each other without end must not stop the process.
 */
export interface Turn {
  run(): void;
}

/** How long turns may go on before the event loop gets its share, in ms. */
const SLICE_MS = 5;

/** How many run between looks at the clock. */
const BATCH = 256;

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
  const end = performance.now() + SLICE_MS;
  do {
    runBatch();
  } while (next < queue.length && performance.now() < end);
  if (next < queue.length) {
    setImmediate(runTurns);
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

/** Turns that are added meanwhile go to the end of the same array. */
function runBatch(): void {
  for (let left = BATCH; left > 0 && next < queue.length; left--) {
    const turn = queue[next]!;
    queue[next++] = DONE;
    try {
      turn.run();
    } catch (error) {
      // A bug in a user's callback. It must not stop the others, nor stay unseen: it becomes an uncaught exception.
      setImmediate(() => {
        throw error;
      });
    }
  }
}

/** In the place of a turn that has run, whose memory is free. */
const DONE: Turn = { run: () => {} };
