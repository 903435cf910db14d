// A terminal's screen as an SVG: from what the terminal was sent, as far as our programs make use
// of one.

const FONT = 14;
const WIDTH = FONT * 0.6;
const HEIGHT = 20;
const MARGIN = 16;

/** Colours by the last digit of their codes, and how text looks without one. */
const COLORS = ["#666", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#eee"];
const PLAIN = "#d7dae0";
const BACKGROUND = "#1e2127";

/**
 * @typedef {{ color: string, bold: boolean, dim: boolean }} Style
 * @typedef {{ text: string, style: Style }} Cell
 */

/**
 * The whole picture.
 * @param {string} output
 * @param {number} columns
 */
export function drawTerminal(output, columns) {
  const lines = screenOf(output);
  const width = Math.ceil(columns * WIDTH + 2 * MARGIN);
  const height = lines.length * HEIGHT + 2 * MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    "<title>A session at a terminal</title>",
    `<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>`,
    `<g font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${FONT}" xml:space="preserve">`,
    ...lines.flatMap((line, index) => drawLine(line, MARGIN + FONT + index * HEIGHT)),
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

/**
 * What is on the screen in the end, line by line.
 * @param {string} output
 */
function screenOf(output) {
  /** @type {Cell[][]} */
  const lines = [[]];
  /** @type {Style} */
  let style = { color: PLAIN, bold: false, dim: false };
  let column = 0;
  for (const [text, codes, final] of output.matchAll(/\u001b\[([0-9;?]*)([A-Za-z])|[\s\S]/gu)) {
    const line = /** @type {Cell[]} */ (lines.at(-1));
    if (final === "m") style = (codes ?? "").split(";").map(Number).reduce(styled, style);
    else if (final === "K" || final === "J")
      line.length = column; // Nothing stands below.
    else if (text === "\n") {
      lines.push([]);
      column = 0;
    } else if (text === "\r") column = 0;
    else if (final === undefined) line[column++] = { text, style };
  }
  while (lines.at(-1)?.length === 0) lines.pop();
  return lines;
}

/**
 * @param {Style} style
 * @param {number} code
 * @returns {Style}
 */
function styled(style, code) {
  if (code === 0) return { color: PLAIN, bold: false, dim: false };
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, dim: true };
  const isColor = (code >= 30 && code < 38) || (code >= 90 && code < 98);
  return isColor ? { ...style, color: COLORS[code % 10] ?? PLAIN } : style;
}

/**
 * The texts of a line, one for each stretch of the same style.
 * @param {Cell[]} cells
 * @param {number} y
 */
function drawLine(cells, y) {
  /** @type {{ at: number, text: string, style: Style }[]} */
  const stretches = [];
  cells.forEach(({ text, style }, at) => {
    const last = stretches.at(-1);
    if (last && last.style === style && last.at + last.text.length === at) last.text += text;
    else stretches.push({ at, text, style });
  });
  return stretches
    .filter(({ text }) => text.trim() !== "")
    .map(({ at, style: { bold, color, dim }, text }) => {
      const x = (MARGIN + at * WIDTH).toFixed(1);
      const length = (text.length * WIDTH).toFixed(1);
      const look = `fill="${color}"${bold ? ' font-weight="bold"' : ""}${dim ? ' opacity="0.75"' : ""}`;
      return `<text x="${x}" y="${y}" textLength="${length}" ${look}>${escaped(text)}</text>`;
    });
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
