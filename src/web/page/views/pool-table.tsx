/** The pools, a row each, with their last hour. */
import type { Pool } from "../api/types.js";
import { count, counted, rough } from "../format.js";
import { sparkOf } from "../history.js";
import { Link, None } from "../ui/basics.js";
import { FinishedChart, QueueChart, RunningChart } from "./hour-charts.js";

export function PoolTable({ pools }: { pools: readonly Pool[] }) {
  return (
    <div class="table-wrap">
      <table class="table pools">
        <caption class="hidden">The pools and their last hour</caption>
        <thead>
          <tr>
            <th scope="col">Pool</th>
            <th scope="col">Running</th>
            <th scope="col">Waiting</th>
            <th scope="col">Finished, last hour</th>
            <th scope="col">Workers</th>
          </tr>
        </thead>
        <tbody>
          {pools.map((pool) => (
            <PoolRow key={pool.name} pool={pool} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function PoolRow({ pool }: { pool: Pool }) {
  const hour = sparkOf(pool);
  const finished = pool.rate?.finished ?? (hour && sum(hour.finished));
  return (
    <tr>
      <th scope="row" data-label="Pool">
        <Link to={{ view: "pool", pool: pool.name }} class="strong">
          {pool.name}
        </Link>
        <span class="under">{pool.able.map(({ ability }) => ability).join(", ")}</span>
      </th>
      <td data-label="Running">
        <div class="metric">
          <span class="metric-value">
            <b>{count(pool.running)}</b> of {count(pool.capacity)}
          </span>
          {hour && <RunningChart hour={hour} capacity={pool.capacity} />}
        </div>
      </td>
      <td data-label="Waiting">
        <div class="metric">
          <span class="metric-value">
            <b>{count(pool.queued)}</b>
            {pool.waitSeconds !== null && pool.queued > 0 && (
              <span class="muted"> about {rough(pool.waitSeconds)}</span>
            )}
          </span>
          {hour && <QueueChart hour={hour} />}
        </div>
      </td>
      <td data-label="Finished, last hour">
        <div class="metric">
          <span class="metric-value">
            {finished === null ? <None /> : <b>{count(finished)}</b>}
          </span>
          {hour && <FinishedChart hour={hour} />}
        </div>
      </td>
      <td data-label="Workers">
        {counted(pool.workers, "worker")}
        {pool.known !== null && pool.known > pool.workers && (
          <span class="under tone-bad">{count(pool.known - pool.workers)} not connected</span>
        )}
        {pool.paused !== null && pool.paused > 0 && (
          <span class="under tone-warn">{count(pool.paused)} paused</span>
        )}
        {pool.wanted !== null && pool.wanted > pool.workers && (
          <span class="under">{count(pool.wanted)} wanted</span>
        )}
      </td>
    </tr>
  );
}

function sum(points: readonly (number | null)[]): number {
  return points.reduce<number>((total, point) => total + (point ?? 0), 0);
}
