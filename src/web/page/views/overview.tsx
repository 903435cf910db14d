/** The cluster at a glance: what is wrong, what each pool does, what failed lately. */
import { apiUrl } from "../api/client.js";
import type { BatchPage, JobPage, Pool, Pools } from "../api/types.js";
import { problemsOf } from "../problems.js";
import { useReload, useResource } from "../resource.js";
import { mine } from "../state.js";
import { Empty, Link, Loaded, Section } from "../ui/basics.js";
import { Icon } from "../ui/icons.js";
import { BatchTable } from "./batch-table.js";
import { JobTable } from "./job-table.js";
import { PoolTable } from "./pool-table.js";
import { ProblemList } from "./problem-list.js";

const FAILURES = "state=failed&limit=8";

export function OverviewView() {
  const pools = useResource<Pools>(apiUrl("pools"), { topic: "pools" });
  const failures = useResource<JobPage>(`${apiUrl("jobs")}?${FAILURES}`, {
    topic: `jobs:${FAILURES}`,
  });
  const batches = useResource<BatchPage>(apiUrl("batches", { limit: 20 }));
  useReload(batches, 15_000);
  const going = (batches.value.value?.batches ?? []).filter(({ state }) => state === "running");
  return (
    <>
      <h1>Overview</h1>
      <Loaded from={pools}>
        {(value) => (
          <>
            <AllWell pools={value.pools} />
            <ProblemList problems={problemsOf(value.pools)} />
            <Section title="Pools">
              {value.pools.length === 0 ? (
                <Empty title="The scheduler has no pools">
                  <p>
                    Start it with <code>--pools=NAME</code>.
                  </p>
                </Empty>
              ) : (
                <PoolTable pools={value.pools} />
              )}
            </Section>
          </>
        )}
      </Loaded>
      {going.length > 0 && (
        <Section
          title="Batches under way"
          aside={<Link to={{ view: "batches", cursor: null }}>All batches</Link>}
        >
          <BatchTable batches={going} showsClient={mine()?.role !== "client"} />
        </Section>
      )}
      <Section
        title="Failed lately"
        aside={<Link to={{ view: "jobs", query: { state: "failed" } }}>All that failed</Link>}
      >
        <Loaded from={failures}>
          {({ jobs }) =>
            jobs.length === 0 ? (
              <Empty title="No job on record has failed" />
            ) : (
              <JobTable jobs={jobs} caption="Jobs that failed, newest first" columns="failed" />
            )
          }
        </Loaded>
      </Section>
    </>
  );
}

function AllWell({ pools }: { pools: readonly Pool[] }) {
  if (pools.some(({ problems }) => problems.length > 0)) return null;
  return (
    <p class="well tone-good">
      <Icon name="succeeded" /> No problems
    </p>
  );
}
