/** What an administrator can do with a worker, each after a question. */
import { send } from "../api/client.js";
import type { WorkerState } from "../api/types.js";
import { Ask } from "../ui/dialog.js";

export function WorkerActions({
  pool,
  worker,
  state,
}: {
  pool: string;
  worker: string;
  state: WorkerState;
}) {
  const path = `pools/${encodeURIComponent(pool)}/workers/${encodeURIComponent(worker)}`;
  const act = (what: string) => () => send("POST", `${path}/${what}`);
  const isPaused = state === "paused" || state === "disconnected-paused";
  const isConnected = !state.startsWith("disconnected");
  return (
    <div class="actions">
      {isPaused ? (
        <Ask
          label="Unpause"
          title={`Unpause ${worker}?`}
          confirm="Unpause it"
          act={act("unpause")}
          done={`${worker} is given jobs again.`}
        >
          <p>It is given jobs again as soon as it asks for them.</p>
        </Ask>
      ) : (
        <Ask
          label="Pause"
          title={`Pause ${worker}?`}
          confirm="Pause it"
          act={act("pause")}
          done={`${worker} is paused.`}
        >
          <p>It is given no more jobs until it is unpaused. What it runs goes on.</p>
        </Ask>
      )}
      {isConnected && (
        <>
          <Ask
            label="Drain"
            title={`Drain ${worker}?`}
            confirm="Drain it"
            act={act("drain")}
            done={`${worker} is being drained.`}
          >
            <p>
              It is paused, and this page says when all that it runs has ended. It stays paused
              then.
            </p>
          </Ask>
          <Ask
            label="Update"
            title={`Update ${worker}?`}
            confirm="Update it"
            danger
            act={act("update")}
            done={`${worker} is being updated.`}
          >
            <p>
              It finishes what it runs, makes sure that its new version can be had, and starts it.
              Until it is back, the pool has its capacity less.
            </p>
          </Ask>
        </>
      )}
    </div>
  );
}
