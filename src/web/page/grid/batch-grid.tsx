/**
 * The rows of a batch on a canvas. It is one thing for the keyboard: arrows go from cell to cell,
 * each is told in words, and Enter looks into it.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { counted } from "../format.js";
import { theme } from "../state.js";
import { type Cell, type CellState, cellAt, type Shape, shapeOf, tellCell } from "./cells.js";

/** Of a cell and the gap after it, in pixels. */
function sizeFor(rows: number): number {
  if (rows <= 300) return 20;
  return rows <= 2000 ? 14 : 10;
}

const MAX_LINES = 36;

export function BatchGrid({
  rows,
  states,
  onRows,
}: {
  rows: number;
  states: string;
  /** Rows of a cell, counted from 0; `to` is not included. */
  onRows: (from: number, to: number) => void;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  const at = useSignal<number | null>(null);
  const dark = useSignal(matchMedia("(prefers-color-scheme: dark)").matches);
  const size = sizeFor(rows);
  const shape = shapeOf(rows, Math.floor((width.value + 2) / size), MAX_LINES);

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      width.value = Math.floor(entry!.contentRect.width);
    });
    observer.observe(frame.current!);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => {
      dark.value = scheme.matches;
    };
    scheme.addEventListener("change", changed);
    return () => {
      observer.disconnect();
      scheme.removeEventListener("change", changed);
    };
  }, []);
  useEffect(() => {
    if (width.value > 0) draw(canvas.current!, { rows, states, shape, size, at: at.value });
  }, [rows, states, width.value, at.value, theme.value, dark.value]);

  const cellUnder = (event: MouseEvent): number | null => {
    const { left, top } = canvas.current!.getBoundingClientRect();
    const column = Math.floor((event.clientX - left) / size);
    const line = Math.floor((event.clientY - top) / size);
    const index = line * shape.columns + column;
    return column < shape.columns && index >= 0 && index < shape.cells ? index : null;
  };
  const choose = (index: number) => {
    const from = index * shape.rowsPerCell;
    onRows(from, Math.min(rows, from + shape.rowsPerCell));
  };
  const press = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: shape.columns, ArrowUp: -shape.columns }[
      event.key
    ];
    if (by !== undefined) {
      at.value = Math.max(0, Math.min(shape.cells - 1, (at.value ?? -by) + by));
    } else if (event.key === "Home") at.value = 0;
    else if (event.key === "End") at.value = shape.cells - 1;
    else if (event.key === "Enter" && at.value !== null) choose(at.value);
    else return;
    event.preventDefault();
  };
  const told = at.value === null || at.value >= shape.cells ? null : at.value;
  return (
    <div class="grid" ref={frame}>
      {/* biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: it has its own keys */}
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-label={`Rows by state, ${counted(shape.rowsPerCell, "row")} in a cell; arrows go from cell to cell, Enter shows its rows`}
        aria-describedby="grid-told"
        onKeyDown={press}
        onPointerMove={(event) => {
          at.value = cellUnder(event);
        }}
        onPointerLeave={() => {
          at.value = null;
        }}
        onClick={(event) => {
          const index = cellUnder(event);
          if (index !== null) choose(index);
        }}
      />
      <p id="grid-told" class="grid-told" role="status">
        {told === null
          ? shape.rowsPerCell === 1
            ? "A cell is a row."
            : `A cell is ${counted(shape.rowsPerCell, "row")}, and shows the worst of them.`
          : tellCell(states, rows, told, shape)}
      </p>
      <ul class="legend" aria-hidden="true">
        {(["failed", "running", "succeeded", "cancelled", "open"] as const).map((state) => (
          <li key={state} class={`legend-${state}`}>
            {state === "open" ? "not begun" : state}
          </li>
        ))}
      </ul>
    </div>
  );
}

interface Picture {
  readonly rows: number;
  readonly states: string;
  readonly shape: Shape;
  readonly size: number;
  readonly at: number | null;
}

function draw(canvas: HTMLCanvasElement, { at, rows, shape, size, states }: Picture): void {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [shape.columns * size, shape.lines * size];
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.scale(scale, scale);
  const colours = coloursOf(canvas);
  for (let index = 0; index < shape.cells; index++) {
    const x = (index % shape.columns) * size;
    const y = Math.floor(index / shape.columns) * size;
    drawCell(context, cellAt(states, rows, index, shape), { x, y, edge: size - 2 }, colours);
    if (index !== at) continue;
    context.strokeStyle = colours.text;
    context.lineWidth = 2;
    context.strokeRect(x - 0.5, y - 0.5, size - 1, size - 1);
  }
}

interface Square {
  readonly x: number;
  readonly y: number;
  readonly edge: number;
}

type Colours = Readonly<Record<CellState | "text" | "mark", string>>;

/** A colour of the theme can be a choice of two, which only a property of colours decides. */
function coloursOf(element: HTMLElement): Colours {
  const resolve = (name: string) => {
    element.style.color = `var(--grid-${name})`;
    return getComputedStyle(element).color;
  };
  return {
    failed: resolve("failed"),
    running: resolve("running"),
    open: resolve("open"),
    cancelled: resolve("cancelled"),
    succeeded: resolve("succeeded"),
    text: resolve("text"),
    mark: resolve("mark"),
  };
}

/** Each state has a shape of its own besides its colour. */
function drawCell(
  context: CanvasRenderingContext2D,
  { share, state }: Cell,
  { edge, x, y }: Square,
  colours: Colours,
): void {
  context.fillStyle = colours[state];
  context.strokeStyle = colours[state];
  context.lineWidth = 1;
  if (state === "open") {
    context.strokeRect(x + 0.5, y + 0.5, edge - 1, edge - 1);
  } else if (state === "running") {
    context.strokeRect(x + 0.5, y + 0.5, edge - 1, edge - 1);
    const filled = Math.min(edge - 3, Math.max(3, Math.round(edge * share)));
    context.fillRect(x, y + edge - filled, edge, filled);
  } else if (state === "cancelled") {
    context.beginPath();
    context.moveTo(x + 1, y + edge - 1);
    context.lineTo(x + edge - 1, y + 1);
    context.stroke();
    context.strokeRect(x + 0.5, y + 0.5, edge - 1, edge - 1);
  } else {
    context.fillRect(x, y, edge, edge);
    if (state === "failed") cross(context, { x, y, edge }, colours.mark);
  }
}

function cross(context: CanvasRenderingContext2D, { edge, x, y }: Square, colour: string): void {
  const inset = Math.max(2, Math.floor(edge / 4));
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x + inset, y + inset);
  context.lineTo(x + edge - inset, y + edge - inset);
  context.moveTo(x + edge - inset, y + inset);
  context.lineTo(x + inset, y + edge - inset);
  context.stroke();
}
