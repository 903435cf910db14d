/** The steps of a build, with how long they took. */
import { writeDuration } from "../../../text/units.js";
import type { LogStep } from "../api/types.js";
import { counted } from "../format.js";
import { now } from "../state.js";
import { Icon, type IconName } from "../ui/icons.js";
import { type BuildTime, type TimedStep, timeline } from "./timeline.js";

const SIGNS: Readonly<Record<TimedStep["state"], readonly [IconName, tone: string, word: string]>> =
  {
    succeeded: ["succeeded", "good", "done"],
    cached: ["cache", "accent", "from the cache"],
    failed: ["failed", "bad", "failed"],
    running: ["running", "accent", "running"],
    setting: ["setting", "quiet", "takes no time"],
  };

export function Steps({
  steps,
  time,
  onStep,
}: {
  steps: readonly LogStep[];
  time: Omit<BuildTime, "now">;
  /** Line of its heading, from 0. */
  onStep: (line: number) => void;
}) {
  const { cached, steps: timed } = timeline(steps, {
    ...time,
    now: time.ended === null ? now.value : 0,
  });
  return (
    <section class="steps" aria-label="Steps">
      <h2>
        Steps{" "}
        <span class="muted">
          {counted(timed.length, "step")}
          {cached > 0 && `, ${cached} from the cache`}
        </span>
      </h2>
      <ol>
        {timed.map((step) => {
          const [icon, tone, word] = SIGNS[step.state];
          return (
            <li key={step.line}>
              <button
                type="button"
                class="step"
                onClick={() => onStep(step.line)}
                title={step.title}
              >
                <span class={`tone-${tone}`}>
                  <Icon name={icon} label={word} />
                </span>
                <span class="step-title">{step.title}</span>
                <span class="step-took">
                  {step.state === "cached"
                    ? "cached"
                    : step.took === null
                      ? ""
                      : writeDuration(step.took)}
                </span>
                <span class="step-track" aria-hidden="true">
                  {step.bar && (
                    <span
                      class={`step-bar fill-${tone}`}
                      style={{
                        left: `${step.bar.from * 100}%`,
                        width: `${Math.min(1 - step.bar.from, step.bar.size) * 100}%`,
                      }}
                    />
                  )}
                </span>
              </button>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
