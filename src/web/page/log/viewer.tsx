/** A window of a log's lines, whatever their number. */
import { type Signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { LineRange } from "../routing.js";
import { Line } from "./line.js";
import type { LogSearch } from "./search.js";
import type { LogStore } from "./store.js";
import {
  contentHeight,
  type Extent,
  isScaled,
  lastTop,
  ROW,
  rowsAt,
  scrollOf,
  topOf,
} from "./window.js";

/** Rows beyond both edges that are fetched as well. */
const AHEAD = 100;

export interface ViewerProps {
  readonly store: LogStore;
  readonly search: LogSearch;
  /** The row at the top, with a fraction. */
  readonly top: Signal<number>;
  /** Of what can be seen, in pixels. */
  readonly height: Signal<number>;
  readonly following: Signal<boolean>;
  readonly chosen: LineRange | null;
  readonly onChoose: (number: number, extend: boolean) => void;
}

export function LogViewer({
  store,
  search,
  top,
  height,
  following,
  chosen,
  onChoose,
}: ViewerProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const widest = useSignal(0);
  /** Where the scroll bar was put by what is at the top, or had what is at the top follow it. */
  const placed = useRef(0);
  const extent = useComputed<Extent>(() => ({ total: store.total.value, height: height.value }));

  useLayoutEffect(() => {
    const element = scroller.current!;
    const observer = new ResizeObserver(() => {
      height.value = element.clientHeight;
    });
    observer.observe(element);
    height.value = element.clientHeight;
    return () => observer.disconnect();
  }, []);

  // The end moves on, and who follows it with it.
  useSignalEffect(() => {
    const { value } = extent;
    if (following.value) top.value = lastTop(value);
    else if (top.peek() > lastTop(value)) top.value = lastTop(value);
  });
  useSignalEffect(() => {
    const { first, last } = rowsAt(top.value, extent.value);
    store.want(first - AHEAD, Math.min(last + AHEAD, extent.value.total - 1));
  });
  useSignalEffect(() => {
    const element = scroller.current!;
    const to = scrollOf(top.value, extent.value);
    if (Math.abs(element.scrollTop - to) >= 1) element.scrollTop = to;
    // As the browser has rounded it.
    placed.current = element.scrollTop;
  });
  // The widest row so far, so that the scroll bar at the bottom does not jump.
  useEffect(() => {
    const element = scroller.current!;
    widest.value = Math.max(widest.peek(), element.firstElementChild!.scrollWidth);
  }, [store.version.value]);

  const move = (to: number) => {
    top.value = Math.max(0, Math.min(lastTop(extent.peek()), to));
    following.value = !store.complete.peek() && top.peek() >= lastTop(extent.peek()) - 0.5;
  };
  const scrolled = () => {
    const to = scroller.current!.scrollTop;
    // Told of what was set above; what is at the top may have moved on since.
    if (Math.abs(to - placed.current) < 1) return;
    placed.current = to;
    move(topOf(to, extent.peek()));
  };
  const press = (event: KeyboardEvent) => {
    const page = Math.floor(height.peek() / ROW) - 2;
    const by = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, " ": page }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (by !== undefined) move(top.peek() + (event.shiftKey && event.key === " " ? -by : by));
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(lastTop(extent.peek()));
    else return;
    event.preventDefault();
  };

  void store.version.value;
  const { first, last } = rowsAt(top.value, extent.value);
  const find = search.find.value;
  const match = search.matches.value[search.at.value];
  const rows = [];
  for (let number = first; number <= last; number++) {
    rows.push(
      <Line
        key={number}
        number={number}
        line={store.line(number)}
        find={find}
        isMatch={number === match}
        isChosen={chosen !== null && number + 1 >= chosen.first && number + 1 <= chosen.last}
        onChoose={onChoose}
      />,
    );
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: what scrolls is a region of its section
    <div
      ref={scroller}
      class="log-scroller"
      // A short log takes no more room than it needs, with some for a scroll bar.
      style={{ maxHeight: `${Math.max(6, extent.value.total + 1) * ROW}px` }}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must have the keyboard
      tabIndex={0}
      role="region"
      aria-label={`Log, ${extent.value.total} lines`}
      onScroll={scrolled}
      onKeyDown={press}
      onWheel={(event) => {
        if (!isScaled(extent.peek()) || event.deltaY === 0) return;
        event.preventDefault();
        move(top.peek() + (event.deltaMode === 1 ? event.deltaY : event.deltaY / ROW));
      }}
    >
      <div
        class="log-space"
        style={{
          height: `${contentHeight(extent.value)}px`,
          minWidth: `max(100%, ${widest.value}px)`,
        }}
      >
        <div class="log-layer" style={{ height: `${height.value}px` }}>
          <div style={{ transform: `translateY(${-(top.value - first) * ROW}px)` }}>{rows}</div>
        </div>
      </div>
    </div>
  );
}
