/** Charts of the last hour of a pool. */
import { count, rough } from "../format.js";
import { ageOf, type Hour } from "../history.js";
import { Spark } from "../ui/chart.js";
import { grouped } from "../ui/chart-path.js";

export function RunningChart({ hour, capacity }: { hour: Hour; capacity: number }) {
  const { running, step } = hour;
  return (
    <Spark
      points={running}
      max={capacity}
      label={`Running jobs in the last hour, of ${capacity} at most`}
      tell={(value, at) => `${count(value)} running ${when(ageOf(step, running.length, at))}`}
    />
  );
}

export function QueueChart({ hour: { queued, step } }: { hour: Hour }) {
  return (
    <Spark
      points={queued}
      label="Queued jobs in the last hour"
      tell={(value, at) => `${count(value)} waiting ${when(ageOf(step, queued.length, at))}`}
    />
  );
}

/** Bars of five minutes. */
const BARS = 12;

export function FinishedChart({ hour: { finished, step } }: { hour: Hour }) {
  return (
    <Spark
      kind="bars"
      points={grouped(finished, BARS)}
      label="Jobs that finished, by five minutes of the last hour"
      tell={(value, at) =>
        `${count(value)} finished ${when(ageOf(step, finished.length, at, BARS))}`
      }
    />
  );
}

function when(age: number): string {
  return age < 30 ? "now" : `${rough(age)} ago`;
}
