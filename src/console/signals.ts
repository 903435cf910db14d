/**
 * Ending on SIGINT and SIGTERM in good order: the first one asks, the second one does not wait. And
 * telling, on SIGUSR2, what goes on.
 */
import { visible } from "../text/index.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * The reason of an `interruptible` body's abort signal. Thrown to the top, it makes the process die
 * of that signal.
 */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor(readonly signalName: NodeJS.Signals) {
    super(`Interrupted by ${signalName}`);
  }
}

/**
 * Runs `body` with a signal that is aborted, with an `Interrupted` as its reason, when the process
 * shall end. The body then releases what it holds, within seconds. If it returns, the process ends
 * as if it had not been asked (a service); if it throws the reason (`signal.throwIfAborted()`), the
 * process dies of the signal, which tells a shell to stop too. A second signal kills the process at
 * once.
 */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) dieOf(name);
    controller.abort(new Interrupted(name));
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    return await body(controller.signal);
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal);
  }
}

/**
 * Writes what `describe` gives, lines of text, to standard error at each SIGUSR2, until it is
 * disposed of. Without it, that signal ends the process.
 */
export function describeOnSignal(describe: () => string): Disposable {
  const onSignal = (): void => {
    // Peers are quoted in it.
    process.stderr.write(`${describe().split("\n").map(visible).join("\n")}\n`);
  };
  process.on("SIGUSR2", onSignal);
  return { [Symbol.dispose]: () => process.off("SIGUSR2", onSignal) };
}

/**
 * Ends the process the way an unhandled signal does, so that its parent sees which signal it was.
 */
export function dieOf(name: NodeJS.Signals): void {
  process.removeAllListeners(name);
  process.kill(process.pid, name);
}
