/** A job: what it is, why it waits or failed, its attempts, steps, log and files. */
import { useEffect } from "preact/hooks";
import { apiUrl } from "../api/client.js";
import type { Attempt, Explanation, Job, LogStep } from "../api/types.js";
import { seconds } from "../format.js";
import { LogPanel } from "../log/panel.js";
import { useReload, useResource } from "../resource.js";
import type { LineRange } from "../routing.js";
import { go, live, mine } from "../state.js";
import { Empty, Link, Loaded, State } from "../ui/basics.js";
import { Icon } from "../ui/icons.js";
import { JobActions } from "./job-actions.js";
import { JobFacts } from "./job-facts.js";
import { jobTitle } from "./job-table.js";
import { OutputFiles } from "./output-files.js";
import { Steps } from "./steps.js";

export interface JobViewProps {
  readonly job: number;
  readonly attempt: number | null;
  readonly lines: LineRange | null;
}

export function JobView({ job, attempt, lines }: JobViewProps) {
  const page = useResource<Job>(apiUrl(`jobs/${job}`), { topic: `job:${job}` });
  const isWhole = mine()?.scope.kind !== "job";
  return (
    <>
      {isWhole && (
        <p class="crumbs">
          <Link to={{ view: "jobs", query: {} }}>Jobs</Link> /
        </p>
      )}
      <Loaded from={page}>
        {(value) => <JobPage key={value.id} value={value} attempt={attempt} lines={lines} />}
      </Loaded>
    </>
  );
}

const ENDED = new Set(["succeeded", "failed", "cancelled"]);

function JobPage({
  value,
  attempt,
  lines,
}: {
  value: Job;
  attempt: number | null;
  lines: LineRange | null;
}) {
  const title = jobTitle(value);
  const isOver = ENDED.has(value.state);
  const shown =
    value.attempts.find((each) => each.attempt === attempt) ?? value.attempts.at(-1) ?? null;
  return (
    <>
      <div class="head-line">
        <h1>
          Job {value.id}
          {title !== null && <span class="title-name">{title}</span>}
        </h1>
        <State state={value.state} />
        <JobActions job={value} isOver={isOver} />
      </div>
      {isOver && value.state !== "succeeded" && value.reason !== null && (
        <div class={`note tone-${value.state === "failed" ? "bad" : "quiet"}`}>
          <Icon name={value.state === "failed" ? "failed" : "cancelled"} />
          <p>{value.reason}</p>
        </div>
      )}
      {!isOver && value.state !== "running" && <WhyItWaits job={value} />}
      <JobFacts job={value} />
      {value.attempts.length > 1 && shown !== null && <AttemptChoice job={value} shown={shown} />}
      {value.kind === "attached" ? (
        <Empty title="The log of this job is with its client">
          <p>
            It belongs to a connection, so that nothing but this record is kept of it. Jobs that are
            submitted with <code>--durable</code> or <code>--detach</code> keep their logs here.
          </p>
        </Empty>
      ) : shown === null ? (
        <Empty title="It has not begun">
          <p>The log is here when a worker has it.</p>
        </Empty>
      ) : (
        <AttemptLog key={shown.attempt} job={value} attempt={shown} lines={lines} />
      )}
      {value.attempts.some(({ outputSize }) => outputSize > 0) && <OutputFiles job={value.id} />}
    </>
  );
}

function WhyItWaits({ job }: { job: Job }) {
  const why = useResource<Explanation>(apiUrl(`jobs/${job.id}/explain`));
  useReload(why, 5000);
  const { obstacles = [], reason = null } = why.value.value ?? {};
  const place = why.value.value?.job ?? null;
  const texts = [
    ...(place?.ahead
      ? [`${place.ahead} of the ${place.length} jobs in its queue come first.`]
      : []),
    ...obstacles.map(({ text }) => text),
    ...(reason ? [reason] : []),
    ...(job.reason === null ? [] : [job.reason]),
  ];
  if (texts.length === 0) return null;
  return (
    <div class="note tone-warn">
      <Icon name="waiting" />
      <div>
        <p class="strong">Why it waits</p>
        <ul>
          {[...new Set(texts)].map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function AttemptChoice({ job, shown }: { job: Job; shown: Attempt }) {
  return (
    <fieldset class="chips" aria-label="Attempts">
      {job.attempts.map((each) => (
        <button
          key={each.attempt}
          type="button"
          class="chip"
          aria-pressed={each.attempt === shown.attempt}
          title={each.reason ?? ""}
          onClick={() => go({ view: "job", job: job.id, attempt: each.attempt, lines: null }, true)}
        >
          Attempt {each.attempt} on {each.worker} <State state={each.outcome ?? "running"} />
        </button>
      ))}
    </fieldset>
  );
}

/** How often the steps of a log that grows are asked for, in ms. */
const STEPS_MS = 2000;

function AttemptLog({
  job,
  attempt,
  lines,
}: {
  job: Job;
  attempt: Attempt;
  lines: LineRange | null;
}) {
  const isOver = attempt.ended !== null;
  const failed = isOver && attempt.outcome !== "succeeded";
  const page = useResource<{ readonly steps: readonly LogStep[] }>(
    apiUrl(`jobs/${job.id}/log/steps`, { attempt: attempt.attempt }),
  );
  useEffect(() => {
    let timer: number | undefined;
    const stop = live.listen(`log:${job.id}:${attempt.attempt}`, () => {
      timer ??= window.setTimeout(() => {
        timer = undefined;
        page.reload();
      }, STEPS_MS);
    });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
  }, [job.id, attempt.attempt]);
  const steps = page.value.value?.steps ?? [];
  const onLines = (range: LineRange | null) =>
    go({ view: "job", job: job.id, attempt: attempt.attempt, lines: range }, true);
  return (
    <div class={steps.length > 0 ? "build" : ""}>
      {steps.length > 0 && (
        <Steps
          steps={steps}
          time={{
            started: attempt.started === null ? null : seconds(attempt.started),
            ended: attempt.ended === null ? null : seconds(attempt.ended),
            failed,
          }}
          onStep={(line) => onLines({ first: line + 1, last: line + 1 })}
        />
      )}
      <LogPanel
        job={job.id}
        attempt={attempt.attempt}
        {...{ isOver, failed, steps, lines, onLines }}
      />
    </div>
  );
}
