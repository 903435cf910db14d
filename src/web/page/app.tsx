/** What is around all views, and which view there is. */
import { useEffect, useRef } from "preact/hooks";
import { ApiError } from "./api/client.js";
import { type Route, writeRoute } from "./routing.js";
import { Help, useKeys } from "./shell/help.js";
import { NoSession } from "./shell/no-session.js";
import { Notices } from "./shell/notices.js";
import { TopBar } from "./shell/top-bar.js";
import { Trouble } from "./shell/trouble.js";
import { mine, route, session } from "./state.js";
import { Empty, Link } from "./ui/basics.js";
import { BatchView } from "./views/batch.js";
import { BatchesView } from "./views/batches.js";
import { JobView } from "./views/job.js";
import { JobsView } from "./views/jobs.js";
import { OverviewView } from "./views/overview.js";
import { PoolView } from "./views/pool.js";
import { UsageView } from "./views/usage.js";
import { WorkerView } from "./views/worker.js";

export function App() {
  useKeys();
  const who = session.value;
  if (who === null) return <p class="loading">Loading…</p>;
  if (who instanceof ApiError) return <NoSession error={who} />;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <TopBar />
      <Trouble />
      <Main />
      <Notices />
      <Help />
    </>
  );
}

function Main() {
  const at = allowed(route.value);
  const main = useRef<HTMLElement>(null);
  const place = placeOf(at);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${titleOf(at)} · ocluster`;
    // Who cannot see that the view has changed is taken to it.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [place]);
  return (
    <main id="main" ref={main} tabIndex={-1} key={place}>
      <View at={at} />
    </main>
  );
}

function View({ at }: { at: Route }) {
  switch (at.view) {
    case "overview":
      return <OverviewView />;
    case "pool":
      return <PoolView pool={at.pool} />;
    case "worker":
      return <WorkerView worker={at.worker} pool={at.pool} />;
    case "jobs":
      return <JobsView query={at.query} />;
    case "job":
      return <JobView job={at.job} attempt={at.attempt} lines={at.lines} />;
    case "batches":
      return <BatchesView cursor={at.cursor} />;
    case "batch":
      return <BatchView batch={at.batch} />;
    case "usage":
      return <UsageView weeks={at.weeks} />;
    case "unknown":
      return (
        <Empty title="There is nothing here">
          <p>
            No view has the address <code>{at.path}</code>.{" "}
            <Link to={{ view: "overview" }}>Go to the overview</Link>
          </p>
        </Empty>
      );
  }
}

/** A link of one job or batch leads to that, wherever it was opened. */
function allowed(at: Route): Route {
  const scope = mine()?.scope;
  if (at.view !== "overview" || scope === undefined || scope.kind === "all") return at;
  return scope.kind === "job"
    ? { view: "job", job: scope.job, attempt: null, lines: null }
    : { view: "batch", batch: scope.batch };
}

/** What makes a view another one, and not the same with another setting. */
function placeOf(at: Route): string {
  return writeRoute(at).replace(/[?#].*/s, "");
}

function titleOf(at: Route): string {
  switch (at.view) {
    case "pool":
      return `Pool ${at.pool}`;
    case "worker":
      return `Worker ${at.worker}`;
    case "job":
      return `Job ${at.job}`;
    case "batch":
      return `Batch ${at.batch}`;
    case "unknown":
      return "Nothing here";
    default:
      return at.view.charAt(0).toUpperCase() + at.view.slice(1);
  }
}
