/**
 * Where user code is started from: one queue, first come first served, worked off in a microtask. Deliveries to objects
 * here never run inside of the caller, and keep the order in which they were made whoever made them – a connection or a
 * neighbour.
 */
export interface Turn {
  run(): void;
}

let queue: Turn[] = [];
let scheduled = false;

export function enqueueTurn(turn: Turn): void {
  queue.push(turn);
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(runTurns);
}

/** Calls a listener or hook of the user's from a turn of its own. */
export function enqueueCallback(callback: () => void): void {
  enqueueTurn({ run: callback });
}

function runTurns(): void {
  // Turns that are added meanwhile go to the end of the same array.
  for (let i = 0; i < queue.length; i++) {
    try {
      queue[i]!.run();
    } catch (error) {
      // A bug in a user's callback. It must not stop the others, nor stay unseen: it becomes an uncaught exception.
      setImmediate(() => {
        throw error;
      });
    }
  }
  queue = [];
  scheduled = false;
}
