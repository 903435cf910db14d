/** A batch: how far it is, which rows went how, what failed. */
import { useSignal } from "@preact/signals";
import { apiUrl, get, send } from "../api/client.js";
import type { Batch, Grid, JobPage } from "../api/types.js";
import { count, counted, percent, rough } from "../format.js";
import { BatchGrid } from "../grid/batch-grid.js";
import { useReloadAfter, useResource } from "../resource.js";
import { go, mine, say } from "../state.js";
import { Bar, Empty, Fact, Link, Loaded, Moment, Section, State, Took } from "../ui/basics.js";
import { Ask } from "../ui/dialog.js";
import { Icon } from "../ui/icons.js";
import { ended, partsOf } from "./batch-table.js";
import { JobTable } from "./job-table.js";
import { Share } from "./share.js";

export function BatchView({ batch }: { batch: number }) {
  const page = useResource<Batch>(apiUrl(`batches/${batch}`), { topic: `batch:${batch}` });
  const isWhole = mine()?.scope.kind === "all";
  return (
    <>
      {isWhole && (
        <p class="crumbs">
          <Link to={{ view: "batches", cursor: null }}>Batches</Link> /
        </p>
      )}
      <Loaded from={page}>
        {(value) => (
          <>
            <Head batch={value} />
            <Progress batch={value} />
            <Rows batch={value} />
            <Failures batch={value} />
          </>
        )}
      </Loaded>
    </>
  );
}

function Head({ batch }: { batch: Batch }) {
  const can = mine()?.can;
  const { id } = batch;
  const isOver = batch.state !== "running";
  return (
    <>
      <div class="head-line">
        <h1>
          Batch {id}
          {batch.name !== null && <span class="title-name">{batch.name}</span>}
        </h1>
        <State state={batch.state} />
        <div class="actions">
          {can?.share && <Share what={{ batch: id }} name={`batch ${id}`} />}
          {can?.cancel && !isOver && (
            <Ask
              label="Cancel"
              title={`Cancel batch ${id}?`}
              confirm="Cancel it"
              danger
              act={() =>
                send("POST", `batches/${id}/cancel`, { reason: "cancelled on the web page" })
              }
              done={`Batch ${id} is cancelled.`}
            >
              <p>
                {counted(batch.running, "row")} that run are stopped, and {count(batch.queued)} that
                have not begun never do.
              </p>
            </Ask>
          )}
          {can?.retry && batch.failed + batch.cancelled > 0 && (
            <Ask
              label="Try failures again"
              title={`Try again what failed in batch ${id}?`}
              confirm="Try them again"
              act={() => send("POST", `batches/${id}/retry`)}
              done={`The rows of batch ${id} that did not succeed are tried again.`}
            >
              <p>
                {counted(batch.failed + batch.cancelled, "row")} without success get one more
                attempt each.
              </p>
            </Ask>
          )}
        </div>
      </div>
      {batch.reason !== null && (
        <div class={`note tone-${batch.state === "failed" ? "bad" : "warn"}`}>
          <Icon name="warning" />
          <p>{batch.reason}</p>
        </div>
      )}
    </>
  );
}

function Progress({ batch }: { batch: Batch }) {
  const done = ended(batch);
  return (
    <>
      <div class="progress">
        <p>
          <span class="big">{percent(done, batch.rows)}</span> {count(done)} of{" "}
          {counted(batch.rows, "row")}
          {!batch.complete && <span class="muted"> so far: its client still adds rows</span>}
          {batch.eta !== null && batch.state === "running" && (
            <span class="muted"> · about {rough(batch.eta)} left</span>
          )}
        </p>
        <Bar label="Rows" whole={batch.rows} parts={partsOf(batch)} />
      </div>
      <dl class="facts">
        <Fact name="Failed">
          <span class={batch.failed > 0 ? "tone-bad strong" : ""}>{count(batch.failed)}</span>
        </Fact>
        <Fact name="Running">{count(batch.running)}</Fact>
        <Fact name="Not begun">{count(batch.queued)}</Fact>
        <Fact name="Succeeded">{count(batch.succeeded)}</Fact>
        <Fact name="Cancelled">{count(batch.cancelled)}</Fact>
        {batch.client !== null && <Fact name="Client">{batch.client}</Fact>}
        <Fact name="Pool">
          <Link to={{ view: "pool", pool: batch.pool }}>{batch.pool}</Link>
        </Fact>
        <Fact name="Submitted">
          <Moment at={batch.submitted} clock />
        </Fact>
        <Fact name={batch.ended === null ? "For" : "Took"}>
          <Took from={batch.submitted} to={batch.ended} />
        </Fact>
        {batch.columns.length > 0 && <Fact name="Columns">{batch.columns.join(", ")}</Fact>}
      </dl>
    </>
  );
}

/** The rows of one cell that are listed. */
const MAX_LISTED = 20;

interface FoundRow {
  readonly row: number;
  readonly job: number | null;
  readonly state: string;
}

function Rows({ batch }: { batch: Batch }) {
  const grid = useResource<Grid>(apiUrl(`batches/${batch.id}/grid`));
  const { cancelled, failed, running, succeeded } = batch;
  const counts = [cancelled, failed, running, succeeded].join();
  // The states of all rows come each time.
  useReloadAfter(grid, counts, batch.rows > 10_000 ? 5000 : 1000);
  const found = useSignal<readonly FoundRow[]>([]);
  const open = async (from: number, to: number) => {
    const rows = Array.from({ length: Math.min(MAX_LISTED, to - from) }, (_, at) => from + at);
    try {
      const list = await Promise.all(
        rows.map((row) => get<FoundRow>(apiUrl(`batches/${batch.id}/grid/${row}`))),
      );
      const [only] = list;
      if (list.length === 1 && only && only.job !== null) {
        go({ view: "job", job: only.job, attempt: null, lines: null });
      } else found.value = list;
    } catch (error) {
      say((error as Error).message, true);
    }
  };
  return (
    <Section title="Rows" aside={counted(batch.rows, "row")}>
      <Loaded from={grid}>
        {({ rows, states }) =>
          rows === 0 ? (
            <Empty title="No rows have come yet" />
          ) : (
            <BatchGrid rows={rows} states={states} onRows={(from, to) => void open(from, to)} />
          )
        }
      </Loaded>
      {found.value.length > 0 && (
        <ul class="row-list" aria-label="Rows of the cell">
          {found.value.map(({ job, row, state }) => (
            <li key={row}>
              <State state={state} /> row {count(row + 1)}
              {job !== null && (
                <>
                  {": "}
                  <Link to={{ view: "job", job, attempt: null, lines: null }}>job {job}</Link>
                </>
              )}
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

function Failures({ batch }: { batch: Batch }) {
  const path = apiUrl("jobs", { batch: batch.id, state: "failed", limit: 50 });
  const failures = useResource<JobPage>(batch.failed > 0 ? path : null);
  useReloadAfter(failures, batch.failed, 1000);
  const query = { batch: String(batch.id) };
  return (
    <Section
      title="Failed rows"
      aside={
        mine()?.scope.kind === "job" ? undefined : (
          <Link to={{ view: "jobs", query }}>All jobs of this batch</Link>
        )
      }
    >
      {batch.failed === 0 ? (
        <Empty title={batch.ended === null ? "None has failed so far" : "None has failed"} />
      ) : (
        <Loaded from={failures}>
          {({ cursor, jobs }) => (
            <>
              {jobs.length === 0 && <Empty title="Their records are not kept any more" />}
              {jobs.length > 0 && (
                <JobTable
                  jobs={jobs}
                  caption="Rows that failed, newest first"
                  columns="failed"
                  ofBatch
                />
              )}
              {cursor !== null && (
                <p class="after">
                  <Link to={{ view: "jobs", query: { ...query, state: "failed" } }}>
                    All {count(batch.failed)}
                  </Link>
                </p>
              )}
            </>
          )}
        </Loaded>
      )}
    </Section>
  );
}
