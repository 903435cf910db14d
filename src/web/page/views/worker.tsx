/** A worker: what it does, what it ran and how that ended, what it measures. */
import { apiUrl } from "../api/client.js";
import type { WorkerPage } from "../api/types.js";
import { count, percent, rough } from "../format.js";
import { useReload, useResource } from "../resource.js";
import { mine } from "../state.js";
import { Bar, Empty, Fact, Link, Loaded, Section, State } from "../ui/basics.js";
import { JobTable } from "./job-table.js";
import { Metrics } from "./metrics.js";
import { Operations } from "./operations.js";
import { WorkerActions } from "./worker-actions.js";

export function WorkerView({ worker, pool }: { worker: string; pool: string | null }) {
  const page = useResource<WorkerPage>(apiUrl(`workers/${encodeURIComponent(worker)}`, { pool }));
  useReload(page, 5000);
  return (
    <>
      <p class="crumbs">
        <Link to={{ view: "overview" }}>Pools</Link> /
        {pool !== null && (
          <>
            {" "}
            <Link to={{ view: "pool", pool }}>{pool}</Link> /
          </>
        )}
      </p>
      <h1>{worker}</h1>
      <Loaded from={page}>
        {(value) => (
          <>
            {value.pools.map((place) => (
              <Place key={place.pool} place={place} worker={value} />
            ))}
            {value.pools.map((place) => (
              <Operations key={place.pool} pool={place.pool} worker={value.name} />
            ))}
            <Section
              title="What it ran"
              aside={
                <Link to={{ view: "jobs", query: { worker: value.name } }}>All of its jobs</Link>
              }
            >
              {value.jobs.length === 0 ? (
                <Empty title="No job on record was here" />
              ) : (
                <JobTable jobs={value.jobs} caption={`The newest jobs of ${value.name}`} />
              )}
            </Section>
            {value.metrics !== null && (
              <Section title="What it measures">
                <Metrics metrics={value.metrics} />
              </Section>
            )}
          </>
        )}
      </Loaded>
    </>
  );
}

function Place({ place, worker }: { place: WorkerPage["pools"][number]; worker: WorkerPage }) {
  const { failed, lost, seen, succeeded } = worker.attempts;
  return (
    <>
      <div class="head-line">
        <State state={place.state} />
        <span>
          in <Link to={{ view: "pool", pool: place.pool }}>{place.pool}</Link>
        </span>
        {mine()?.can.workers === true && (
          <WorkerActions pool={place.pool} worker={worker.name} state={place.state} />
        )}
      </div>
      <dl class="facts cards">
        <Fact name="Running">
          <span class="big">{count(place.running)}</span> of {count(place.capacity)}
          <Bar
            label="Running"
            whole={place.capacity}
            parts={[{ value: place.running, tone: "accent", name: "running" }]}
          />
        </Fact>
        <Fact name="Queued for it alone">
          <span class="big">{count(place.queued)}</span>
          {place.queued > 0 && <> {rough(place.work)} of work</>}
        </Fact>
        <Fact name={`Its last ${count(seen)} attempts`}>
          <span class="big">{percent(succeeded, seen)}</span> succeeded
          <span class="under">
            {count(failed)} failed,{" "}
            <span class={lost > 0 ? "tone-bad" : ""}>{count(lost)} lost</span>
          </span>
        </Fact>
      </dl>
    </>
  );
}
