/** What is on record of a job. */
import { writeSize } from "../../../text/units.js";
import type { Job } from "../api/types.js";
import { Copy, Fact, Link, Moment, None, Took } from "../ui/basics.js";

export function JobFacts({ job }: { job: Job }) {
  const last = job.attempts.at(-1);
  const files = Math.max(0, ...job.attempts.map(({ outputSize }) => outputSize));
  return (
    <dl class="facts">
      <Fact name="Client">{job.client}</Fact>
      <Fact name="Pool">
        <Link to={{ view: "pool", pool: job.pool }}>{job.pool}</Link>
      </Fact>
      <Fact name="Worker">
        {last ? (
          <Link to={{ view: "worker", worker: last.worker, pool: job.pool }}>{last.worker}</Link>
        ) : (
          <None />
        )}
      </Fact>
      <Fact name="Submitted">
        <Moment at={job.submitted} clock />
      </Fact>
      <Fact name="Waited">
        <Took from={job.submitted} to={job.started ?? job.ended} />
      </Fact>
      {job.started !== null && (
        <Fact name={job.ended === null ? "Runs for" : "Took"}>
          <Took from={job.started} to={job.ended} />
        </Fact>
      )}
      {job.hint !== null && <Fact name="Cache hint">{job.hint}</Fact>}
      {job.key !== null && <Fact name="Key">{job.key}</Fact>}
      {job.batch !== null && (
        <Fact name="Batch">
          <Link to={{ view: "batch", batch: Number(job.batch) }}>{job.batch}</Link>
        </Fact>
      )}
      {job.cause !== null && job.cause !== job.state && job.cause !== "succeeded" && (
        <Fact name="Cause">{job.cause}</Fact>
      )}
      {files > 0 && (
        <Fact name="Files">
          <a href="#files">{writeSize(files)}</a>
        </Fact>
      )}
      {job.output !== null && (
        <Fact name="Result">
          <code class="digest" title={job.output}>
            {job.output.length > 20 ? `${job.output.slice(0, 16)}…` : job.output}
          </code>{" "}
          <Copy text={job.output} label="Copy" />
        </Fact>
      )}
    </dl>
  );
}
