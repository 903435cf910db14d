/**
 * The durable jobs of a client that was removed: nobody waits for them any more.
 */

import type { DurableJobs } from "./durable-jobs.js";
import { statesShownAs } from "./record-view.js";

const REASON = "The client was removed.";

/** Jobs that are looked at in one go. */
const AT_ONCE = 500;

/**
 * Cancels what the client has waiting and queued, with `cancelRunning` also what runs; resolves
 * when that is on disk.
 */
export async function removeDurableJobs(
  { batches, book, records, whole }: DurableJobs,
  client: string,
  cancelRunning: boolean,
): Promise<void> {
  await whole;
  await batches.removeClient(client, cancelRunning);
  const states = statesShownAs([
    "waiting",
    "queued",
    ...(cancelRunning ? (["running"] as const) : []),
  ]);
  for (let before: number | undefined; ; ) {
    const page = await records.page({ client, states, limit: AT_ONCE, before });
    for (const { job } of page.jobs) {
      const state = book.job(job.id)?.state;
      const isIdle = state === "waiting" || state === "queued";
      if (state !== undefined && (isIdle || cancelRunning)) book.cancel(job.id, REASON);
    }
    if (page.before === null) break;
    before = page.before;
  }
  await records.synced();
}
