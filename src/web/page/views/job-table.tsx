/** Jobs, a row each. */
import type { Job } from "../api/types.js";
import { Link, Moment, None, State, Took } from "../ui/basics.js";

/** What a job is called: its name, with that of its row in a batch, or else its cache hint. */
export function jobTitle({ batch, hint, key, name }: Job): string | null {
  if (batch !== null && key !== null) return name === null ? key : `${name} ${key}`;
  return name ?? key ?? hint;
}

export function JobTable({
  jobs,
  caption,
  columns = "all",
  showsClient = true,
  ofBatch = false,
}: {
  jobs: readonly Job[];
  caption: string;
  /** `failed`: why, instead of how long. */
  columns?: "all" | "failed";
  showsClient?: boolean;
  /** All of one batch, of which client and pool are known. */
  ofBatch?: boolean;
}) {
  return (
    <div class="table-wrap">
      <table class="table jobs">
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col" class="num">
              Job
            </th>
            <th scope="col">State</th>
            <th scope="col">Name</th>
            {!ofBatch && <th scope="col">Pool</th>}
            {showsClient && !ofBatch && <th scope="col">Client</th>}
            <th scope="col">Worker</th>
            <th scope="col">{columns === "failed" ? "Ended" : "Submitted"}</th>
            <th scope="col" class={columns === "failed" ? "" : "num"}>
              {columns === "failed" ? "Why" : "Took"}
            </th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <JobRow key={job.id} {...{ job, columns, showsClient, ofBatch }} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function JobRow({
  job,
  columns,
  showsClient,
  ofBatch,
}: {
  job: Job;
  columns: "all" | "failed";
  showsClient: boolean;
  ofBatch: boolean;
}) {
  const last = job.attempts.at(-1);
  const title = ofBatch ? (job.key ?? job.name) : jobTitle(job);
  return (
    <tr>
      <td class="num" data-label="Job">
        <Link to={{ view: "job", job: job.id, attempt: null, lines: null }} class="strong">
          {job.id}
        </Link>
      </td>
      <td data-label="State">
        <State state={job.state} />
        {job.attempts.length > 1 && <span class="under">{job.attempts.length} attempts</span>}
      </td>
      <td data-label="Name" class="wide">
        {title === null ? (
          <None />
        ) : (
          <span class="cut" title={title}>
            {title}
          </span>
        )}
        {job.batch !== null && !ofBatch && (
          <Link to={{ view: "batch", batch: Number(job.batch) }} class="under">
            batch {job.batch}
          </Link>
        )}
      </td>
      {!ofBatch && (
        <td data-label="Pool">
          <Link to={{ view: "pool", pool: job.pool }}>{job.pool}</Link>
        </td>
      )}
      {showsClient && !ofBatch && <td data-label="Client">{job.client}</td>}
      <td data-label="Worker">
        {last ? (
          <Link to={{ view: "worker", worker: last.worker, pool: job.pool }}>{last.worker}</Link>
        ) : (
          <None />
        )}
      </td>
      <td data-label={columns === "failed" ? "Ended" : "Submitted"} class="nowrap">
        <Moment at={columns === "failed" ? job.ended : job.submitted} />
      </td>
      {columns === "failed" ? (
        <td data-label="Why" class="wide">
          <span class="cut" title={job.reason ?? ""}>
            {job.reason ?? job.cause ?? "–"}
          </span>
        </td>
      ) : (
        <td class="num nowrap" data-label="Took">
          <Took from={job.started} to={job.ended} />
        </td>
      )}
    </tr>
  );
}
