/** A log with what one can do with it: search, go to errors and lines, follow, download. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { writeSize } from "../../../text/units.js";
import { firstError } from "../../log/index.js";
import { apiUrl, get } from "../api/client.js";
import type { LogMatches, LogPage, LogState, LogStep } from "../api/types.js";
import { count, counted } from "../format.js";
import type { LineRange } from "../routing.js";
import { isWriting } from "../shell/help.js";
import { live, say } from "../state.js";
import { Icon } from "../ui/icons.js";
import { LogSearch } from "./search.js";
import { LogStore } from "./store.js";
import { LogViewer } from "./viewer.js";
import { topToShow } from "./window.js";

const MATCHES = 1000;

export interface LogPanelProps {
  readonly job: number;
  readonly attempt: number;
  /** Of the attempt. */
  readonly isOver: boolean;
  readonly failed: boolean;
  readonly steps: readonly LogStep[];
  readonly lines: LineRange | null;
  readonly onLines: (lines: LineRange | null) => void;
}

export function LogPanel({ job, attempt, isOver, failed, steps, lines, onLines }: LogPanelProps) {
  const path = `jobs/${job}/log`;
  const { search, store } = useMemo(
    () => ({
      store: new LogStore((from, count, signal) =>
        get<LogPage>(apiUrl(path, { attempt, from, lines: count }), signal),
      ),
      search: new LogSearch((find, from, signal) =>
        get<LogMatches>(apiUrl(path, { attempt, find, from, limit: MATCHES }), signal),
      ),
    }),
    [job, attempt],
  );
  const panel = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(400);
  const following = useSignal(!isOver && lines === null);
  useEffect(() => {
    store.want(0, 0);
    const stop = live.listen(`log:${job}:${attempt}`, (event) => {
      const state = event as LogState;
      if (state.attempt === attempt) store.grown(state);
    });
    return () => {
      stop();
      search.stop();
      store.close();
    };
  }, [store]);

  const show = (line: number) => {
    following.value = false;
    const extent = { total: Math.max(store.total.peek(), line + 1), height: height.peek() };
    top.value = topToShow(line, top.peek(), extent);
    panel.current?.scrollIntoView({ block: "nearest" });
  };
  // The lines of a link, once it is known how many there are.
  const isKnown = store.total.value > 0;
  useEffect(() => {
    if (lines !== null && isKnown) show(lines.first - 1);
  }, [lines?.first, isKnown]);
  const choose = (number: number, extend: boolean) => {
    const line = number + 1;
    if (!extend || lines === null) onLines({ first: line, last: line });
    else onLines({ first: Math.min(line, lines.first), last: Math.max(line, lines.first) });
  };
  const toError = async () => {
    try {
      const line = await findError(path, attempt, failed ? steps : []);
      if (line === null) say("No line looks like an error.");
      else choose(line, false);
    } catch (error) {
      say(`Errors could not be looked for: ${(error as Error).message}`, true);
    }
  };
  const startSearch = async (find: string) => {
    const line = await search.start(find, Math.floor(top.peek()));
    if (line !== null) show(line);
  };
  const step = async (by: 1 | -1) => {
    const line = await search.step(by);
    if (line !== null) show(line);
  };
  const follow = () => {
    following.value = !following.peek();
  };
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event)) return;
      if (event.key === "n") void step(1);
      else if (event.key === "N") void step(-1);
      else if (event.key === "e") void toError();
      else if (event.key === "f") follow();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  });

  const total = store.total.value;
  return (
    <div class="log" ref={panel}>
      <div class="log-bar" role="toolbar" aria-label="Log">
        <SearchBox search={search} start={startSearch} step={step} />
        <button type="button" onClick={() => void toError()}>
          First error
        </button>
        {!store.complete.value && (
          <button type="button" aria-pressed={following.value} onClick={follow}>
            <Icon name="down" /> Follow
          </button>
        )}
        <span class="log-size">
          {counted(total, "line")}, {writeSize(store.size.value)}
        </span>
        <a class="button" href={apiUrl(`${path}/raw`, { attempt })} download={`job-${job}.log`}>
          <Icon name="download" /> Raw
        </a>
      </div>
      {store.error.value !== null && (
        <p class="note tone-bad" role="alert">
          {store.error.value.message}
        </p>
      )}
      {total === 0 ? (
        <p class="log-none">
          {isOver ? "This attempt wrote no log." : "Nothing has been written yet."}
        </p>
      ) : (
        <LogViewer
          {...{ store, search, top, height, following }}
          chosen={lines}
          onChoose={choose}
        />
      )}
    </div>
  );
}

function SearchBox({
  search,
  start,
  step,
}: {
  search: LogSearch;
  start: (find: string) => Promise<void>;
  step: (by: 1 | -1) => Promise<void>;
}) {
  const find = search.find.value;
  const { length } = search.matches.value;
  const more = search.next.value === null ? "" : "+";
  const place = `${count(search.at.value + 1)} of ${count(length)}${more}`;
  const failure = search.failure.value;
  let said = length === 0 ? "No line" : place;
  if (find === "") said = "";
  else if (search.busy.value) said = "Searching…";
  else if (failure !== null) {
    said = `${length === 0 ? "" : `${place}. `}The search failed: ${failure} Enter tries again.`;
  }
  return (
    <>
      <label class="search">
        <Icon name="search" />
        <span class="hidden">Search the log</span>
        <input
          type="search"
          placeholder="Search the log  ( / )"
          spellcheck={false}
          autocomplete="off"
          data-search=""
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            const text = event.currentTarget.value;
            const isKnown = text === find && (failure === null || length > 0);
            if (isKnown && text !== "") void step(event.shiftKey ? -1 : 1);
            else void start(text);
          }}
          onInput={(event) => {
            if (event.currentTarget.value === "") search.stop();
          }}
        />
      </label>
      <span class="log-found" role="status">
        {said}
      </span>
      {length > 0 && (
        <>
          <button type="button" aria-label="Previous match" title="N" onClick={() => void step(-1)}>
            <Icon name="up" />
          </button>
          <button type="button" aria-label="Next match" title="n" onClick={() => void step(1)}>
            <Icon name="down" />
          </button>
        </>
      )}
    </>
  );
}

/**
 * Looks in the step that failed first, which is the one that was begun last. Throws an `ApiError`.
 */
async function findError(
  path: string,
  attempt: number,
  steps: readonly LogStep[],
): Promise<number | null> {
  const step = steps.findLast(({ ended, failed }) => failed || !ended);
  // Its heading may have such words in it, as commands do.
  const failedFrom = step === undefined ? null : step.line + 1;
  const look = async (from: number) => {
    const found = await get<LogMatches>(apiUrl(path, { attempt, errors: 1, from, limit: 50 }));
    return firstError(found.matches, failedFrom);
  };
  return (await look(failedFrom ?? 0)) ?? (failedFrom === null ? null : await look(0));
}
