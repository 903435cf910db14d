/** The keyboard: which keys do what, and what does it. */
import { useEffect } from "preact/hooks";
import type { Route } from "../routing.js";
import { go, helpIsOpen } from "../state.js";
import { Dialog } from "../ui/dialog.js";

const GO: Readonly<Record<string, Route>> = {
  o: { view: "overview" },
  j: { view: "jobs", query: {} },
  b: { view: "batches", cursor: null },
  u: { view: "usage", weeks: 8 },
};

const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["g o, g j, g b, g u", "go to the overview, jobs, batches, usage"],
  ["/", "search: jobs in their list, lines in a log"],
  ["j, k", "the next and the previous link of a table"],
  ["?", "this help"],
];

const LOG_KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["n, N", "the next and the previous match"],
  ["e", "the first error"],
  ["f", "follow the end, or stop following"],
  ["Home, End, arrows, Page Up, Page Down", "scroll, when the log has the focus"],
];

/** Keys that work on every view, unless something is being written. */
export function useKeys(): void {
  useEffect(() => {
    /** When a `g` was pressed, in ms since the page was loaded. */
    let leader = Number.NEGATIVE_INFINITY;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event)) return;
      const isSecond = event.timeStamp - leader < 1500;
      leader = Number.NEGATIVE_INFINITY;
      if (isSecond && GO[event.key] !== undefined) go(GO[event.key]!);
      else if (event.key === "g") leader = event.timeStamp;
      else if (event.key === "?") helpIsOpen.value = true;
      else if (event.key === "/") document.querySelector<HTMLElement>("[data-search]")?.focus();
      else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

export function isWriting(event: Event): boolean {
  const { target } = event;
  return (
    target instanceof HTMLElement &&
    (target.closest("input:not([type=checkbox]), textarea, select, dialog") !== null ||
      target.isContentEditable)
  );
}

function step(by: number): void {
  const links = [...document.querySelectorAll<HTMLElement>("main table tbody tr a:first-of-type")];
  if (links.length === 0) return;
  const at = links.indexOf(document.activeElement as HTMLElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by;
  links[Math.max(0, Math.min(links.length - 1, next))]?.focus();
}

export function Help() {
  if (!helpIsOpen.value) return null;
  const close = () => {
    helpIsOpen.value = false;
  };
  return (
    <Dialog title="Keyboard" onClose={close}>
      <div class="dialog-body">
        <KeyList keys={KEYS} />
        <h3>In a log</h3>
        <KeyList keys={LOG_KEYS} />
      </div>
      <div class="dialog-actions">
        <button type="button" class="primary" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

function KeyList({ keys }: { keys: readonly (readonly [string, string])[] }) {
  return (
    <dl class="keys">
      {keys.map(([key, what]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}
