/** What runs in a pool at the moment, jobs of connections included. */
import { apiUrl } from "../api/client.js";
import type { LiveJob } from "../api/types.js";
import { count } from "../format.js";
import { useReload, useResource } from "../resource.js";
import { Empty, Link, Loaded, Moment, None, Section } from "../ui/basics.js";

const SHOWN = 50;

export function RunningTable({ pool, path }: { pool: string; path: string }) {
  const list = useResource<{ readonly jobs: readonly LiveJob[]; readonly total: number }>(
    apiUrl(`${path}/live`, { state: "running", limit: SHOWN }),
  );
  useReload(list, 5000);
  return (
    <Section
      title="Running"
      aside={<Link to={{ view: "jobs", query: { pool } }}>All jobs of this pool</Link>}
    >
      <Loaded from={list}>
        {({ jobs, total }) =>
          jobs.length === 0 ? (
            <Empty title="Nothing runs" />
          ) : (
            <>
              <LiveTable jobs={jobs} pool={pool} />
              {total > jobs.length && <p class="muted">and {count(total - jobs.length)} more</p>}
            </>
          )
        }
      </Loaded>
    </Section>
  );
}

function LiveTable({ jobs, pool }: { jobs: readonly LiveJob[]; pool: string }) {
  return (
    <div class="table-wrap">
      <table class="table">
        <caption class="hidden">Jobs that run in {pool}</caption>
        <thead>
          <tr>
            <th scope="col" class="num">
              Job
            </th>
            <th scope="col">Name</th>
            <th scope="col">Client</th>
            <th scope="col">Worker</th>
            <th scope="col">Started</th>
            <th scope="col">Last output</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job, index) => (
            <tr key={job.id ?? `at ${index}`}>
              <td class="num" data-label="Job">
                {job.id === null ? (
                  <None />
                ) : (
                  <Link
                    to={{ view: "job", job: job.id, attempt: null, lines: null }}
                    class="strong"
                  >
                    {job.id}
                  </Link>
                )}
              </td>
              <td data-label="Name" class="wide">
                <span class="cut">{job.name ?? job.hint ?? "–"}</span>
              </td>
              <td data-label="Client">{job.client}</td>
              <td data-label="Worker">
                {job.worker === null ? (
                  <None />
                ) : (
                  <Link to={{ view: "worker", worker: job.worker, pool }}>{job.worker}</Link>
                )}
                {job.outOfTouch && <span class="under tone-warn">out of touch</span>}
              </td>
              <td data-label="Started">
                <Moment at={job.started} />
              </td>
              <td data-label="Last output">
                <Moment at={job.lastOutput} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
