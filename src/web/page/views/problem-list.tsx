/** What is wrong, where, in words. */
import { counted } from "../format.js";
import type { PoolProblem } from "../problems.js";
import { Link } from "../ui/basics.js";
import { Icon } from "../ui/icons.js";

/** `isOfPool`: all of one pool, which need not be named. */
export function ProblemList({
  problems,
  isOfPool = false,
}: {
  problems: readonly PoolProblem[];
  isOfPool?: boolean;
}) {
  if (problems.length === 0) return null;
  return (
    <section class="problems" aria-label={counted(problems.length, "problem")}>
      <ul>
        {problems.map(({ kind, pool, text, tone, worker }) => (
          <li key={`${pool} ${kind} ${worker}`} class={`problem tone-${tone}`}>
            <Icon name="warning" label={tone === "bad" ? "Serious:" : "Note:"} />
            <span class="problem-place">
              {!isOfPool && <Link to={{ view: "pool", pool }}>{pool}</Link>}
              {worker !== null && (
                <>
                  {!isOfPool && " / "}
                  <Link to={{ view: "worker", worker, pool }}>{worker}</Link>
                </>
              )}
            </span>
            <span class="problem-text">{text}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
