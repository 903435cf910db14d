/** A line of a log: text nodes in spans, and nothing that a log could choose but their colours. */
import { rgbOf, type Style } from "../../log/index.js";
import { type MarkedRun, marked } from "./marks.js";
import type { LogLine } from "./store.js";

export function Line({
  line,
  number,
  find,
  isChosen,
  isMatch,
  onChoose,
}: {
  line: LogLine | undefined;
  /** From 0. */
  number: number;
  find: string;
  isChosen: boolean;
  isMatch: boolean;
  onChoose: (number: number, extend: boolean) => void;
}) {
  const names = ["log-line", isChosen && "chosen", isMatch && "match"].filter(Boolean).join(" ");
  return (
    <div class={names}>
      <a
        class="log-number"
        href={`#L${number + 1}`}
        aria-label={`Line ${number + 1}`}
        tabIndex={-1}
        onClick={(event) => {
          event.preventDefault();
          onChoose(number, event.shiftKey);
        }}
      >
        {number + 1}
      </a>
      <span class="log-text">
        {line === undefined ? (
          <span class="log-missing">…</span>
        ) : (
          marked(line.runs, find).map((run, index) => <Piece key={index} run={run} />)
        )}
        {line?.isCut && <span class="log-cut">… this line is longer: see the raw log</span>}
      </span>
    </div>
  );
}

function Piece({ run }: { run: MarkedRun }) {
  const { className, style } = looksOf(run.style);
  const text = run.marked ? <mark>{run.text}</mark> : run.text;
  if (run.href !== undefined) {
    return (
      <a
        class={`log-link ${className}`}
        style={style}
        href={run.href}
        title={run.href}
        target="_blank"
        rel="noopener noreferrer nofollow"
        tabIndex={-1}
      >
        {text}
      </a>
    );
  }
  if (className === "" && Object.keys(style).length === 0) return <>{text}</>;
  return (
    <span class={className} style={style}>
      {text}
    </span>
  );
}

/** Classes for the colours of the theme, and values for others. */
function looksOf(style: Style): { className: string; style: Record<string, string> } {
  const names: string[] = [];
  for (const flag of ["bold", "dim", "italic", "underline", "strike"] as const) {
    if (style[flag]) names.push(`log-${flag}`);
  }
  // An inverse of the usual colours has none to swap.
  const [fg, bg] = style.inverse ? [style.bg, style.fg] : [style.fg, style.bg];
  if (style.inverse && fg < 0) names.push("log-on-text");
  if (style.inverse && bg < 0) names.push("log-text-ground");
  const values: Record<string, string> = {};
  if (fg >= 0) colour(fg, "fg", names, values, bg < 0 && !style.inverse);
  if (bg >= 0) colour(bg, "bg", names, values, false);
  return { className: names.join(" "), style: values };
}

function colour(
  value: number,
  kind: "fg" | "bg",
  names: string[],
  values: Record<string, string>,
  lift: boolean,
): void {
  const rgb = rgbOf(value);
  if (rgb === null) names.push(`log-${kind}-${value}`);
  else values[kind === "fg" ? "color" : "backgroundColor"] = `rgb(${lift ? lifted(rgb) : rgb})`;
}

/** On the dark ground of a log, dark colours are made light enough to read. */
function lifted(rgb: readonly [number, number, number]): readonly number[] {
  const [red, green, blue] = rgb;
  const light = (0.3 * red + 0.59 * green + 0.11 * blue) / 255;
  if (light >= 0.5) return rgb;
  const share = (0.5 - light) / (1 - light);
  return rgb.map((part) => Math.round(part + (255 - part) * share));
}
