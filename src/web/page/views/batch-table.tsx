/** Batches, a row each. */
import type { Batch } from "../api/types.js";
import { count, percent, rough } from "../format.js";
import { Bar, Link, Moment, None, State } from "../ui/basics.js";

/** How the rows of a batch stand, for its bar. */
export function partsOf(batch: Batch) {
  const { cancelled, failed, running, succeeded } = batch;
  return [
    { value: failed, tone: "bad", name: "failed" },
    { value: succeeded, tone: "good", name: "succeeded" },
    { value: running, tone: "accent", name: "running" },
    { value: cancelled, tone: "quiet", name: "cancelled" },
  ];
}

export function ended({ cancelled, failed, succeeded }: Batch): number {
  return cancelled + failed + succeeded;
}

export function BatchTable({
  batches,
  showsClient,
}: {
  batches: readonly Batch[];
  showsClient: boolean;
}) {
  return (
    <div class="table-wrap">
      <table class="table batches">
        <caption class="hidden">Batches, newest first</caption>
        <thead>
          <tr>
            <th scope="col" class="num">
              Batch
            </th>
            <th scope="col">State</th>
            <th scope="col">Name</th>
            {showsClient && <th scope="col">Client</th>}
            <th scope="col">Pool</th>
            <th scope="col">Progress</th>
            <th scope="col" class="num">
              Failed
            </th>
            <th scope="col">Submitted</th>
          </tr>
        </thead>
        <tbody>
          {batches.map((batch) => (
            <BatchRow key={batch.id} batch={batch} showsClient={showsClient} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function BatchRow({ batch, showsClient }: { batch: Batch; showsClient: boolean }) {
  return (
    <tr>
      <td class="num" data-label="Batch">
        <Link to={{ view: "batch", batch: batch.id }} class="strong">
          {batch.id}
        </Link>
      </td>
      <td data-label="State">
        <State state={batch.state} />
      </td>
      <td data-label="Name" class="wide">
        {batch.name === null ? <None /> : <span class="cut">{batch.name}</span>}
      </td>
      {showsClient && <td data-label="Client">{batch.client ?? "–"}</td>}
      <td data-label="Pool">
        <Link to={{ view: "pool", pool: batch.pool }}>{batch.pool}</Link>
      </td>
      <td data-label="Progress">
        <div class="metric">
          <span class="metric-value">
            {count(ended(batch))} of {count(batch.rows)} ({percent(ended(batch), batch.rows)})
            {batch.eta !== null && batch.state === "running" && (
              <span class="muted">, {rough(batch.eta)} left</span>
            )}
          </span>
          <Bar label="Rows" whole={batch.rows} parts={partsOf(batch)} />
        </div>
      </td>
      <td class="num" data-label="Failed">
        {batch.failed === 0 ? <None /> : <span class="tone-bad">{count(batch.failed)}</span>}
      </td>
      <td data-label="Submitted" class="nowrap">
        <Moment at={batch.submitted} />
      </td>
    </tr>
  );
}
