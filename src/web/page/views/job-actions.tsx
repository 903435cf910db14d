/** What can be done with a job: call it off, try it again, show it to somebody. */
import { send } from "../api/client.js";
import type { Job } from "../api/types.js";
import { mine } from "../state.js";
import { Ask } from "../ui/dialog.js";
import { Share } from "./share.js";

export function JobActions({ job, isOver }: { job: Job; isOver: boolean }) {
  const can = mine()?.can;
  const path = `jobs/${job.id}`;
  const retry = retryOf(job);
  return (
    <div class="actions">
      {can?.share && <Share what={{ job: job.id }} name={`job ${job.id}`} />}
      {can?.cancel && !isOver && (
        <Ask
          label="Cancel"
          title={`Cancel job ${job.id}?`}
          confirm="Cancel it"
          danger
          act={() => send("POST", `${path}/cancel`, { reason: "cancelled on the web page" })}
          done={`Job ${job.id} is cancelled.`}
        >
          <p>
            {job.state === "running"
              ? "Its worker stops it. Steps that have ended stay in the cache."
              : "It leaves the queue."}
          </p>
        </Ask>
      )}
      {can?.retry && retry !== null && (
        <Ask
          label="Try again"
          title={`Try job ${job.id} again?`}
          confirm="Try it again"
          act={() => send("POST", retry.path, retry.body)}
          done={`Job ${job.id} is queued again.`}
        >
          <p>It gets one more attempt, as the same job.</p>
        </Ask>
      )}
    </div>
  );
}

/** What tries a job again; null: it cannot be. A row is its batch's, which knows it by its key. */
function retryOf({ batch, id, key, retriable }: Job): { path: string; body: object } | null {
  if (!retriable) return null;
  if (batch === null) return { path: `jobs/${id}/retry`, body: {} };
  return key === null ? null : { path: `batches/${batch}/retry`, body: { keys: [key] } };
}
