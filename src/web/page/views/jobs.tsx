/** Jobs on record, narrowed down by what the URL says. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { apiUrl, get } from "../api/client.js";
import type { JobPage, Pools } from "../api/types.js";
import { count } from "../format.js";
import { useResource } from "../resource.js";
import { type JobQuery, writeQuery } from "../routing.js";
import { go, mine } from "../state.js";
import { Empty, Link, Loaded } from "../ui/basics.js";
import { Icon } from "../ui/icons.js";
import { JobTable } from "./job-table.js";

const PAGE = 50;

export function JobsView({ query }: { query: JobQuery }) {
  const { cursor, ...filter } = query;
  const words = writeQuery(filter);
  const isFirst = cursor === undefined;
  const page = useResource<JobPage>(apiUrl("jobs", { ...query, limit: PAGE }), {
    ...(isFirst && { topic: `jobs:${words}${words && "&"}limit=${PAGE}` }),
  });
  const isNarrow = words !== "";
  return (
    <>
      <h1>Jobs</h1>
      <Filters filter={filter} />
      <Loaded from={page}>
        {(value) => (
          <>
            {value.jobs.length === 0 && value.cursor === null ? (
              <NoJobs isNarrow={isNarrow} />
            ) : (
              <JobTable
                jobs={value.jobs}
                caption="Jobs, newest first"
                showsClient={mine()?.role !== "client"}
              />
            )}
            <Pager filter={filter} isFirst={isFirst} page={value} />
          </>
        )}
      </Loaded>
    </>
  );
}

function NoJobs({ isNarrow }: { isNarrow: boolean }) {
  return isNarrow ? (
    <Empty title="No job on record fits">
      <p>
        <Link to={{ view: "jobs", query: {} }}>Show all jobs</Link>, or leave a word of the filter
        out.
      </p>
    </Empty>
  ) : (
    <Empty title="There are no jobs yet">
      <p>Submit one, such as</p>
      <pre class="command">ocluster-client submit hello.spec --detach</pre>
    </Empty>
  );
}

/**
 * A text is looked for in so many records at a time; a page with few jobs, or none, and more
 * records behind it goes on by a button.
 */
function Pager({ filter, isFirst, page }: { filter: JobQuery; isFirst: boolean; page: JobPage }) {
  return (
    <nav class="pager" aria-label="Pages">
      {!isFirst && <Link to={{ view: "jobs", query: filter }}>Newest</Link>}
      {page.cursor !== null && (
        <Link to={{ view: "jobs", query: { ...filter, cursor: page.cursor } }}>
          {page.jobs.length === 0 ? "Look further back" : "Older"}
        </Link>
      )}
      {typeof page.scanned === "number" && page.cursor !== null && (
        <span class="muted">{count(page.scanned)} records searched</span>
      )}
    </nav>
  );
}

const STATES = ["waiting", "queued", "running", "succeeded", "failed", "cancelled"] as const;

/** In the order in which they stand; each is a word of the URL. */
const TEXTS = [
  ["client", "Client"],
  ["worker", "Worker"],
  ["hint", "Cache hint"],
  ["batch", "Batch"],
] as const;

const SPANS = [
  ["", "any time"],
  ["1h", "the last hour"],
  ["1d", "the last day"],
  ["7d", "the last week"],
  ["30d", "the last 30 days"],
] as const;

function Filters({ filter }: { filter: JobQuery }) {
  const chosen = new Set(filter.state?.split(","));
  /** On a phone, where there is no room for all of them. */
  const isOpen = useSignal(false);
  const change = (part: { readonly [K in keyof JobQuery]?: string | undefined }) => {
    const next = Object.entries({ ...filter, ...part }).filter(([, value]) => value);
    go({ view: "jobs", query: Object.fromEntries(next) }, true);
  };
  const toggle = (state: string) => {
    if (!chosen.delete(state)) chosen.add(state);
    change({ state: STATES.filter((each) => chosen.has(each)).join(",") });
  };
  const shown = TEXTS.filter(([key]) => key !== "client" || mine()?.role !== "client");
  return (
    <search aria-label="Jobs">
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <fieldset class="chips" aria-label="State">
          {STATES.map((state) => (
            <button
              key={state}
              type="button"
              class="chip"
              aria-pressed={chosen.has(state)}
              onClick={() => toggle(state)}
            >
              {state}
            </button>
          ))}
        </fieldset>
        <label class="search">
          <Icon name="search" />
          <span class="hidden">Name, key, hint, reason or number</span>
          <Later
            isMain
            placeholder="Name, key, hint, reason, number  ( / )"
            value={filter.text ?? ""}
            change={(text) => change({ text })}
          />
        </label>
        <button
          type="button"
          class="quiet filters-toggle"
          aria-expanded={isOpen.value}
          onClick={() => {
            isOpen.value = !isOpen.value;
          }}
        >
          {isOpen.value ? "Fewer filters" : "More filters"}
        </button>
        <div class={`filters-more ${isOpen.value ? "open" : ""}`}>
          <label class="field">
            <span>Pool</span>
            <PoolChoice value={filter.pool ?? ""} change={(pool) => change({ pool })} />
          </label>
          {shown.map(([key, name]) => (
            <label key={key} class="field">
              <span>{name}</span>
              <Later value={filter[key] ?? ""} change={(value) => change({ [key]: value })} />
            </label>
          ))}
          <label class="field">
            <span>Submitted</span>
            <select
              value={filter.since ?? ""}
              onChange={(event) => change({ since: event.currentTarget.value })}
            >
              {SPANS.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
              {!SPANS.some(([value]) => value === (filter.since ?? "")) && (
                <option value={filter.since}>since {filter.since}</option>
              )}
            </select>
          </label>
        </div>
        {writeQuery(filter) !== "" && (
          <button type="button" class="quiet" onClick={() => go({ view: "jobs", query: {} })}>
            Clear
          </button>
        )}
      </form>
    </search>
  );
}

function PoolChoice({ value, change }: { value: string; change: (pool: string) => void }) {
  const names = useSignal<readonly string[]>([]);
  useEffect(() => {
    const controller = new AbortController();
    get<Pools>(apiUrl("pools"), controller.signal).then(
      ({ pools }) => {
        names.value = pools.map(({ name }) => name);
      },
      () => undefined,
    );
    return () => controller.abort();
  }, []);
  const all = value === "" || names.value.includes(value) ? names.value : [value, ...names.value];
  return (
    <select value={value} onChange={(event) => change(event.currentTarget.value)}>
      <option value="">all</option>
      {all.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

const LATER_MS = 350;

/** An input whose value is taken when nothing more is written, or at once with Enter. */
function Later({
  value,
  placeholder = "",
  isMain = false,
  change,
}: {
  value: string;
  placeholder?: string;
  /** The keyboard's way leads to it. */
  isMain?: boolean;
  change: (value: string) => void;
}) {
  const timer = useSignal(0);
  useEffect(() => () => window.clearTimeout(timer.peek()), []);
  const take = (text: string) => {
    window.clearTimeout(timer.value);
    if (text.trim() !== value) change(text.trim());
  };
  return (
    <input
      type="search"
      value={value}
      placeholder={placeholder}
      spellcheck={false}
      autocomplete="off"
      {...(isMain && { "data-search": "" })}
      onInput={(event) => {
        const text = event.currentTarget.value;
        window.clearTimeout(timer.value);
        timer.value = window.setTimeout(() => take(text), LATER_MS);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter") take(event.currentTarget.value);
      }}
    />
  );
}
