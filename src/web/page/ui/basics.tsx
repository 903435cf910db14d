/** The small parts that all views are made of. */
import type { ComponentChildren } from "preact";
import { writeDuration } from "../../../text/units.js";
import type { ApiError } from "../api/client.js";
import { ago, exactMoment, percent, seconds, shortMoment } from "../format.js";
import type { Resource } from "../resource.js";
import { type Route, writeRoute } from "../routing.js";
import { go, now } from "../state.js";
import { Icon, type IconName } from "./icons.js";

/** A link to another view. With a modifier or another button it is the browser's. */
export function Link({
  to,
  children,
  ...rest
}: {
  to: Route;
  children: ComponentChildren;
  class?: string;
  title?: string;
  "aria-label"?: string;
  "aria-current"?: "page" | undefined;
}) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
      return;
    }
    event.preventDefault();
    go(to);
  };
  return (
    <a href={writeRoute(to)} onClick={follow} {...rest}>
      {children}
    </a>
  );
}

const STATES: Readonly<Record<string, readonly [tone: string, icon: IconName, text?: string]>> = {
  waiting: ["quiet", "waiting"],
  queued: ["quiet", "queued"],
  running: ["accent", "running"],
  succeeded: ["good", "succeeded"],
  failed: ["bad", "failed"],
  cancelled: ["quiet", "cancelled"],
  stopped: ["warn", "stopped"],
  timeout: ["bad", "failed"],
  "no space": ["bad", "failed"],
  lost: ["warn", "warning"],
  crashed: ["warn", "warning"],
  evicted: ["quiet", "stopped"],
  active: ["good", "succeeded"],
  paused: ["warn", "waiting"],
  "self-paused": ["warn", "waiting", "paused itself"],
  "shutting-down": ["warn", "stopped", "shutting down"],
  disconnected: ["bad", "failed"],
  "disconnected-paused": ["warn", "waiting", "disconnected, paused"],
  done: ["good", "succeeded"],
};

/** A state in a word with its sign. */
export function State({ state }: { state: string }) {
  const [tone, icon, text = state] = STATES[state] ?? ["quiet", "info"];
  return (
    <span class={`state tone-${tone}`}>
      <Icon name={icon} />
      {text}
    </span>
  );
}

/** A moment, by how long ago it was or by the clock; the exact one on hover. */
export function Moment({ at, clock = false }: { at: string | null; clock?: boolean }) {
  if (at === null) return <span class="none">–</span>;
  const moment = seconds(at);
  return (
    <time dateTime={at} title={exactMoment(moment)}>
      {clock ? shortMoment(moment, now.value) : ago(moment, now.value)}
    </time>
  );
}

/** How long something has taken, or takes until now. */
export function Took({ from, to }: { from: string | null; to: string | null }) {
  if (from === null) return <span class="none">–</span>;
  const end = to === null ? Math.max(now.value, seconds(from)) : seconds(to);
  return <span class="num">{writeDuration(end - seconds(from))}</span>;
}

export function None() {
  return <span class="none">–</span>;
}

/** A share of a whole as a bar, with what it says in words for who cannot see it. */
export function Bar({
  parts,
  whole,
  label,
}: {
  parts: readonly { readonly value: number; readonly tone: string; readonly name: string }[];
  whole: number;
  label: string;
}) {
  const words = parts
    .filter(({ value }) => value > 0)
    .map(({ value, name }) => `${value} ${name}`)
    .join(", ");
  return (
    <span class="bar" role="img" aria-label={`${label}: ${words || "none"} of ${whole}`}>
      {parts.map(({ value, tone, name }) => (
        <span
          key={name}
          class={`bar-part fill-${tone}`}
          style={{ width: whole > 0 ? `${Math.min(100, (value / whole) * 100)}%` : "0" }}
          title={`${name}: ${value} (${percent(value, whole)})`}
        />
      ))}
    </span>
  );
}

/** Nothing to show, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Failure({ error }: { error: ApiError }) {
  return (
    <div class="note tone-bad" role="alert">
      <Icon name="warning" />
      <p>{error.message}</p>
    </div>
  );
}

/** The value, once it is there; what was wrong, if nothing is there for that. */
export function Loaded<T>({
  from,
  children,
}: {
  from: Resource<T>;
  children: (value: T) => ComponentChildren;
}) {
  const value = from.value.value;
  const error = from.error.value;
  if (value === null) {
    return error === null ? <p class="loading">Loading…</p> : <Failure error={error} />;
  }
  return (
    <>
      {error !== null && <Failure error={error} />}
      {children(value)}
    </>
  );
}

/** A section with its heading. */
export function Section({
  title,
  aside,
  children,
  id,
}: {
  title: ComponentChildren;
  aside?: ComponentChildren;
  children: ComponentChildren;
  id?: string;
}) {
  return (
    <section class="section" {...(id !== undefined && { id })}>
      <header class="section-head">
        <h2>{title}</h2>
        {aside !== undefined && <div class="section-aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

/** A name and what it says, of a list of facts. */
export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Copy({ text, label }: { text: string; label: string }) {
  const copy = () => void navigator.clipboard?.writeText(text).catch(() => undefined);
  return (
    <button type="button" class="quiet" onClick={copy}>
      {label}
    </button>
  );
}
