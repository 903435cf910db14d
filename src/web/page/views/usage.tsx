/** Who had how much of the cluster, by weeks. */
import { apiUrl } from "../api/client.js";
import type { ClientUsage, Usage } from "../api/types.js";
import { count, day, hours, percent, seconds } from "../format.js";
import { useResource } from "../resource.js";
import { go } from "../state.js";
import { Bar, Empty, Link, Loaded, None, Section } from "../ui/basics.js";
import { Spark } from "../ui/chart.js";

const WEEK_S = 7 * 86_400;
const CHOICES = [4, 8, 26, 52] as const;

export function UsageView({ weeks }: { weeks: number }) {
  const usage = useResource<Usage>(apiUrl("usage", { since: `${weeks * 7}d`, by: "week" }));
  return (
    <>
      <h1>Usage</h1>
      <fieldset class="chips" aria-label="How far back">
        {CHOICES.map((choice) => (
          <button
            key={choice}
            type="button"
            class="chip"
            aria-pressed={choice === weeks}
            onClick={() => go({ view: "usage", weeks: choice }, true)}
          >
            {choice} weeks
          </button>
        ))}
      </fieldset>
      <Loaded from={usage}>
        {(value) => (
          <>
            <Summary usage={value} />
            {[...value.periods]
              .sort((a, b) => seconds(b.since) - seconds(a.since))
              .filter(({ clients }) => clients.length > 0)
              .map(({ clients, since, until }) => (
                <Section key={since} title={weekTitle(since, until)}>
                  <UsageTable clients={clients} since={since} until={until} />
                </Section>
              ))}
          </>
        )}
      </Loaded>
    </>
  );
}

/** The end of a week is the next one's beginning. */
function weekTitle(since: string, until: string): string {
  const last = Math.max(seconds(since), seconds(until) - 1);
  return `${day(seconds(since))} to ${day(last)}`;
}

/** All weeks together, with the hours of each week as bars. */
function Summary({ usage: { periods, rates } }: { usage: Usage }) {
  const ordered = [...periods].sort((a, b) => seconds(a.since) - seconds(b.since));
  const names = new Set(ordered.flatMap(({ clients }) => clients.map(({ client }) => client)));
  const rows = [...names].map((client) => {
    const weeks = ordered.map(({ clients }) => clients.find((each) => each.client === client));
    const total = weeks.reduce((sum, week) => sum + (week?.seconds ?? 0), 0);
    return { client, total, weeks: weeks.map((week) => (week?.seconds ?? 0) / 3600) };
  });
  const all = rows.reduce((sum, { total }) => sum + total, 0);
  if (rows.length === 0) {
    return (
      <Empty title="No jobs in this time">
        <p>
          What each client had of the cluster is counted from the records of jobs, which the
          scheduler keeps for <code>--keep-jobs</code>.
        </p>
      </Empty>
    );
  }
  return (
    <Section title="All weeks">
      <div class="table-wrap">
        <table class="table">
          <caption class="hidden">Clients, who had most of the workers' time first</caption>
          <thead>
            <tr>
              <th scope="col">Client</th>
              <th scope="col">By week</th>
              <th scope="col" class="num">
                Time of workers
              </th>
              <th scope="col">Share of it</th>
              {rates !== null && <th scope="col">Rate, by pool</th>}
            </tr>
          </thead>
          <tbody>
            {rows
              .sort((a, b) => b.total - a.total)
              .map(({ client, total, weeks }) => (
                <tr key={client}>
                  <th scope="row" data-label="Client">
                    <Link to={{ view: "jobs", query: { client } }}>{client}</Link>
                  </th>
                  <td data-label="By week">
                    <Spark
                      kind="bars"
                      points={weeks}
                      label={`Hours of ${client} by week`}
                      tell={(value, index) =>
                        `${hours(value * 3600)}, week of ${day(seconds(ordered[index]!.since))}`
                      }
                    />
                  </td>
                  <td class="num" data-label="Time of workers">
                    {hours(total)}
                  </td>
                  <td data-label="Share of it">
                    <Share part={total} whole={all} />
                  </td>
                  {rates !== null && (
                    <td data-label="Rate, by pool">
                      {Object.entries(rates)
                        .flatMap(([pool, clients]) =>
                          clients[client] === undefined ? [] : [`${pool}: ${clients[client]}`],
                        )
                        .join(", ") || <None />}
                    </td>
                  )}
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

function Share({ part, whole }: { part: number; whole: number }) {
  return (
    <div class="metric">
      <span class="metric-value">{percent(part, whole)}</span>
      <Bar
        label="Share in per cent"
        whole={100}
        parts={[
          {
            value: whole > 0 ? Math.round((part / whole) * 100) : 0,
            tone: "accent",
            name: "of it",
          },
        ]}
      />
    </div>
  );
}

function UsageTable({
  clients,
  since,
  until,
}: {
  clients: readonly ClientUsage[];
  since: string;
  until: string;
}) {
  const all = clients.reduce((sum, { seconds }) => sum + seconds, 0);
  const span = seconds(until) - seconds(since);
  return (
    <div class="table-wrap">
      <table class="table">
        <caption class="hidden">Clients of this week</caption>
        <thead>
          <tr>
            <th scope="col">Client</th>
            <th scope="col" class="num">
              Jobs
            </th>
            <th scope="col" class="num">
              Succeeded
            </th>
            <th scope="col" class="num">
              Failed
            </th>
            <th scope="col" class="num">
              Cancelled
            </th>
            <th scope="col" class="num">
              Time
            </th>
            <th scope="col" class="num">
              Of it lost
            </th>
            <th scope="col" class="num">
              Jobs at a time, on average
            </th>
            <th scope="col">Share</th>
          </tr>
        </thead>
        <tbody>
          {[...clients]
            .sort((a, b) => b.seconds - a.seconds)
            .map((each) => (
              <tr key={each.client}>
                <th scope="row" data-label="Client">
                  <Link to={{ view: "jobs", query: { client: each.client, since, until } }}>
                    {each.client}
                  </Link>
                </th>
                <Amount name="Jobs" value={each.jobs} />
                <Amount name="Succeeded" value={each.succeeded} />
                <Amount name="Failed" value={each.failed} tone="tone-bad" />
                <Amount name="Cancelled" value={each.cancelled} />
                <td class="num" data-label="Time">
                  {hours(each.seconds)}
                </td>
                <td class="num" data-label="Of it lost">
                  {each.lostSeconds > 0 ? hours(each.lostSeconds) : <None />}
                </td>
                <td class="num" data-label="Jobs at a time, on average">
                  {(each.seconds / Math.max(1, Math.min(span, WEEK_S))).toFixed(2)}
                </td>
                <td data-label="Share">
                  <Share part={each.seconds} whole={all} />
                </td>
              </tr>
            ))}
        </tbody>
      </table>
    </div>
  );
}

function Amount({ name, value, tone = "" }: { name: string; value: number; tone?: string }) {
  return (
    <td class="num" data-label={name}>
      {value === 0 ? <None /> : <span class={tone}>{count(value)}</span>}
    </td>
  );
}
