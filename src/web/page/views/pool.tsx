/** A pool: its last hour, its workers, who waits in its queue, what runs. */
import { writeSize } from "../../../text/units.js";
import { apiUrl } from "../api/client.js";
import type { PoolDetail, PoolPage, Sample } from "../api/types.js";
import { count, counted, rough } from "../format.js";
import { extended, hourOf } from "../history.js";
import { problemsOf } from "../problems.js";
import { useResource } from "../resource.js";
import { Empty, Fact, Link, Loaded, Moment, None, Section } from "../ui/basics.js";
import { Icon } from "../ui/icons.js";
import { FinishedChart, QueueChart, RunningChart } from "./hour-charts.js";
import { Operations } from "./operations.js";
import { RunningTable } from "./pool-running.js";
import { Workers } from "./pool-workers.js";
import { ProblemList } from "./problem-list.js";

type PoolEvent = Omit<PoolPage, "history"> & { readonly point?: Sample | null };

/** An event has the newest sample, and the history that there is goes on with it. */
function merge(before: PoolPage | null, event: unknown): PoolPage | null {
  if (before === null) return null;
  const { point, ...pool } = event as PoolEvent;
  return { ...pool, history: point ? extended(before.history, point) : before.history };
}

export function PoolView({ pool }: { pool: string }) {
  const path = `pools/${encodeURIComponent(pool)}`;
  const page = useResource<PoolPage>(apiUrl(path), { topic: `pool:${pool}`, merge });
  return (
    <>
      <p class="crumbs">
        <Link to={{ view: "overview" }}>Pools</Link> /
      </p>
      <h1>{pool}</h1>
      <Loaded from={page}>
        {(value) => (
          <>
            <ProblemList problems={problemsOf([value])} isOfPool />
            <Facts pool={value} />
            <WhyItWaits pool={value} />
            {value.detail && (
              <>
                <Workers pool={pool} workers={value.detail.workers} />
                <Operations pool={pool} />
                <Queue detail={value.detail} pool={pool} />
                <RunningTable pool={pool} path={path} />
              </>
            )}
            {!value.detail && (
              <p class="after">
                <Link to={{ view: "jobs", query: { pool } }}>Your jobs in this pool</Link>
              </p>
            )}
          </>
        )}
      </Loaded>
    </>
  );
}

function Facts({ pool }: { pool: PoolPage }) {
  const hour = hourOf(pool.history);
  return (
    <dl class="facts cards">
      <Fact name="Running">
        <span class="big">{count(pool.running)}</span> of {count(pool.capacity)}
        <RunningChart hour={hour} capacity={pool.capacity} />
      </Fact>
      <Fact name="Waiting">
        <span class="big">{count(pool.queued)}</span>
        {pool.queued > 0 && pool.waitSeconds !== null && (
          <> a new job waits about {rough(pool.waitSeconds)}</>
        )}
        <QueueChart hour={hour} />
      </Fact>
      <Fact name="Finished, last hour">
        <span class="big">{pool.rate === null ? "" : count(pool.rate.finished)}</span>
        <FinishedChart hour={hour} />
      </Fact>
      <Fact name="Machines">
        <span class="big">{count(pool.workers)}</span> {pool.workers === 1 ? "worker" : "workers"}
        <span class="under">
          {pool.able.map(({ ability, workers }) => `${ability} (${workers})`).join(", ")}
        </span>
        <span class="under">
          {[
            pool.cpus > 0 && `up to ${count(pool.cpus)} CPUs`,
            pool.memory > 0 && writeSize(pool.memory),
            ...pool.architectures,
          ]
            .filter(Boolean)
            .join(", ")}
        </span>
      </Fact>
    </dl>
  );
}

function WhyItWaits({ pool }: { pool: PoolPage }) {
  const texts = new Set(pool.detail?.obstacles.map(({ text }) => text));
  if (pool.queued === 0 || texts.size === 0) return null;
  return (
    <div class="note tone-warn">
      <Icon name="waiting" />
      <div>
        <p class="strong">Why the next job waits</p>
        <ul>
          {[...texts].map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function Queue({ detail, pool }: { detail: PoolDetail; pool: string }) {
  const clients = detail.clients
    .filter(({ queued }) => queued > 0)
    .toSorted((a, b) => a.delay - b.delay);
  const idle = detail.clients.length - clients.length;
  return (
    <Section
      title="Queue, by client"
      aside={idle > 0 && <span class="muted">{counted(idle, "client")} with nothing queued</span>}
    >
      {clients.length === 0 ? (
        <Empty title="Nothing is queued" />
      ) : (
        <div class="table-wrap">
          <table class="table">
            <caption class="hidden">Clients with queued jobs, whose turn is next first</caption>
            <thead>
              <tr>
                <th scope="col">Client</th>
                <th scope="col" class="num">
                  Queued
                </th>
                <th scope="col" class="num">
                  Of them urgent
                </th>
                <th scope="col" class="num">
                  Rate
                </th>
                <th scope="col">Fair start of its next job</th>
              </tr>
            </thead>
            <tbody>
              {clients.map(({ delay, due, id, queued, rate, urgent }) => (
                <tr key={id}>
                  <th scope="row" data-label="Client">
                    <Link to={{ view: "jobs", query: { pool, client: id, state: "queued" } }}>
                      {id}
                    </Link>
                  </th>
                  <td class="num" data-label="Queued">
                    {count(queued)}
                  </td>
                  <td class="num" data-label="Of them urgent">
                    {urgent === 0 ? <None /> : count(urgent)}
                  </td>
                  <td class="num" data-label="Rate">
                    {rate}
                  </td>
                  <td data-label="Fair start of its next job">
                    {delay <= 0 ? "due now" : <Moment at={due} />}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}
