/** What can be done with a job: call it off, try it again, show it to somebody. */
import { send } from "../api/client.js";
import type { Job } from "../api/types.js";
import { mine } from "../state.js";
import { Ask } from "../ui/dialog.js";
import { Share } from "./share.js";

export function JobActions({ job, isOver }: { job: Job; isOver: boolean }) {
  const can = mine()?.can;
  const path = `jobs/${job.id}`;
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
      {can?.retry && isOver && job.state !== "succeeded" && job.kind === "durable" && (
        <Ask
          label="Try again"
          title={`Try job ${job.id} again?`}
          confirm="Try it again"
          act={() => send("POST", `${path}/retry`)}
          done={`Job ${job.id} is queued again.`}
        >
          <p>It gets one more attempt, as the same job.</p>
        </Ask>
      )}
    </div>
  );
}
