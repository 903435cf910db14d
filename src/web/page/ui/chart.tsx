/**
 * Small charts: a line over time, or bars. Each is one path of SVG, says in words what it shows,
 * and shows the value under the pointer.
 */
import { useSignal } from "@preact/signals";
import { barPath, linePath, type Point, peak } from "./chart-path.js";

const WIDTH = 160;
const HEIGHT = 32;

export function Spark({
  points,
  kind = "line",
  label,
  max,
  tell,
}: {
  points: readonly Point[];
  kind?: "line" | "bars";
  /** What it shows, and of which time. */
  label: string;
  /** At least what the top of the chart stands for. */
  max?: number;
  /** A point in words. */
  tell: (value: number, index: number) => string;
}) {
  const at = useSignal<number | null>(null);
  const top = Math.max(1, max ?? 0, peak(points));
  const last = points.findLast((point) => point !== null) ?? null;
  const move = (event: PointerEvent) => {
    const { left, width } = (event.currentTarget as Element).getBoundingClientRect();
    const index = Math.floor(((event.clientX - left) / width) * points.length);
    at.value = Math.max(0, Math.min(points.length - 1, index));
  };
  const shown = at.value === null ? null : (points[at.value] ?? null);
  const size = { width: WIDTH, height: HEIGHT, top };
  return (
    <span class="spark">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${label}; the highest is ${round(peak(points))}, the last ${round(last ?? 0)}`}
        onPointerMove={move}
        onPointerLeave={() => {
          at.value = null;
        }}
      >
        <path class="spark-base" d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} />
        {kind === "line" ? (
          <>
            <path class="spark-area" d={linePath(points, size, true)} />
            <path class="spark-line" d={linePath(points, size, false)} />
          </>
        ) : (
          <path class="spark-bars" d={barPath(points, size)} />
        )}
      </svg>
      {at.value !== null && (
        <span class="spark-tip">{shown === null ? "not watched" : tell(shown, at.value)}</span>
      )}
    </span>
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
