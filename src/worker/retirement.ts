/**
 * When a worker that was started for a busy hour ends itself. Nobody else can know that it has
 * nothing to do: a job may be on its way to it.
 */
import { alarm } from "../async/index.js";
import type { Capacity } from "./capacity.js";

/** Resolves when no job has run for `ms`. Throws `signal`'s reason when it is aborted first. */
export async function idleFor(capacity: Capacity, ms: number, signal: AbortSignal): Promise<void> {
  for (;;) {
    await capacity.whenIdle(signal);
    const over = new AbortController();
    const stopClock = alarm(ms, () => over.abort());
    try {
      await capacity.whenBusy(AbortSignal.any([signal, over.signal]));
    } catch (error) {
      if (over.signal.aborted) return;
      throw error;
    } finally {
      stopClock();
    }
  }
}
