/** What administrators have set going from a page, and how it goes. */
import { apiUrl } from "../api/client.js";
import type { Operation } from "../api/types.js";
import { useResource } from "../resource.js";
import { mine } from "../state.js";
import { Moment, Section, State } from "../ui/basics.js";

export function Operations({ pool, worker }: { pool: string; worker?: string }) {
  const may = mine()?.can.workers === true;
  const list = useResource<{ readonly operations: readonly Operation[] }>(
    may ? apiUrl("operations") : null,
    { topic: "operations" },
  );
  const shown = (list.value.value?.operations ?? []).filter(
    (each) => each.pool === pool && (worker === undefined || each.worker === worker),
  );
  if (shown.length === 0) return null;
  return (
    <Section title="Drains and updates">
      <ul class="operations" aria-live="polite">
        {shown.map(({ ended, error, id, kind, started, state, status, worker: name }) => (
          <li key={id}>
            <State state={state} />
            <span>
              <b>{kind}</b> {name}
            </span>
            <span class={error === null ? "muted" : "tone-bad"}>{error ?? status}</span>
            <Moment at={ended ?? started} />
          </li>
        ))}
      </ul>
    </Section>
  );
}
