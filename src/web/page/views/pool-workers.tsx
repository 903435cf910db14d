/** The workers of a pool. */
import type { PoolWorker } from "../api/types.js";
import { count, counted, rough } from "../format.js";
import { mine } from "../state.js";
import { Bar, Empty, Link, None, Section, State } from "../ui/basics.js";
import { WorkerActions } from "./worker-actions.js";

export function Workers({ pool, workers }: { pool: string; workers: readonly PoolWorker[] }) {
  const acts = mine()?.can.workers === true;
  return (
    <Section title="Workers" aside={counted(workers.length, "known worker")}>
      {workers.length === 0 ? (
        <Empty title="No worker has ever been here">
          <p>Start one with the pool's capability file:</p>
          <pre class="command">
            {`ocluster-worker --connect=pool-${pool}.cap --name=HOST --state-dir=DIR`}
          </pre>
        </Empty>
      ) : (
        <div class="table-wrap">
          <table class="table workers">
            <caption class="hidden">The workers of {pool}</caption>
            <thead>
              <tr>
                <th scope="col">Worker</th>
                <th scope="col">State</th>
                <th scope="col">Running</th>
                <th scope="col" class="num">
                  Its own queue
                </th>
                {acts && <th scope="col">Actions</th>}
              </tr>
            </thead>
            <tbody>
              {workers.map((worker) => (
                <tr key={worker.name}>
                  <th scope="row" data-label="Worker">
                    <Link to={{ view: "worker", worker: worker.name, pool }} class="strong">
                      {worker.name}
                    </Link>
                  </th>
                  <td data-label="State">
                    <State state={worker.state} />
                  </td>
                  <td data-label="Running">
                    {worker.connected ? (
                      <div class="metric">
                        <span class="metric-value">
                          <b>{count(worker.running)}</b> of {count(worker.capacity)}
                        </span>
                        <Bar
                          label="Running"
                          whole={worker.capacity}
                          parts={[{ value: worker.running, tone: "accent", name: "running" }]}
                        />
                      </div>
                    ) : (
                      <None />
                    )}
                  </td>
                  <td class="num" data-label="Its own queue">
                    {worker.queued === 0 ? <None /> : count(worker.queued)}
                    {worker.queued > 0 && <span class="under">{rough(worker.work)} of work</span>}
                  </td>
                  {acts && (
                    <td data-label="Actions">
                      <WorkerActions pool={pool} worker={worker.name} state={worker.state} />
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}
