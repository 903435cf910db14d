/** Paths of small charts, as SVG writes them. Points that are null leave gaps. */

export type Point = number | null;

export interface Size {
  readonly width: number;
  readonly height: number;
  /** The value at the top edge. */
  readonly top: number;
}

export function peak(points: readonly Point[]): number {
  let most = 0;
  for (const point of points) if (point !== null && point > most) most = point;
  return most;
}

/** A line through the points, or the area below it. */
export function linePath(points: readonly Point[], size: Size, filled: boolean): string {
  const step = size.width / Math.max(1, points.length - 1);
  let path = "";
  let start: number | null = null;
  const close = (end: number) => {
    if (filled && start !== null) {
      path += `L${short(end * step)} ${size.height}L${short(start * step)} ${size.height}Z`;
    }
    start = null;
  };
  for (const [index, point] of points.entries()) {
    if (point === null) {
      close(index - 1);
      continue;
    }
    path += `${start === null ? "M" : "L"}${short(index * step)} ${short(y(point, size))}`;
    start ??= index;
  }
  close(points.length - 1);
  return path;
}

/** A bar for each point that is more than 0; the smallest can still be seen. */
export function barPath(points: readonly Point[], size: Size): string {
  const step = size.width / Math.max(1, points.length);
  const gap = Math.min(1, step / 4);
  let path = "";
  for (const [index, point] of points.entries()) {
    if (point === null || point <= 0) continue;
    const top = Math.min(size.height - 1.5, y(point, size));
    path += `M${short(index * step)} ${size.height}V${short(top)}h${short(step - gap)}V${size.height}Z`;
  }
  return path;
}

/** Sums of so many groups of points, for bars that are wide enough; a group of gaps is a gap. */
export function grouped(points: readonly Point[], groups: number): Point[] {
  const size = Math.max(1, Math.ceil(points.length / groups));
  const sums: Point[] = [];
  for (let at = 0; at < points.length; at += size) {
    const some = points.slice(at, at + size).filter((point) => point !== null);
    sums.push(some.length === 0 ? null : some.reduce((sum, point) => sum + point, 0));
  }
  return sums;
}

function y(value: number, { height, top }: Size): number {
  return height - (Math.min(value, top) / top) * (height - 2) - 0.5;
}

function short(value: number): number {
  return Math.round(value * 100) / 100;
}
