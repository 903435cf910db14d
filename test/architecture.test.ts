/**
 * The house is as CONTRIBUTING.md says: who may use whom, and by which door. The checker itself is
 * shown a fault of each kind.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { problems, readRooms } from "./support/architecture.js";

const ROOT = join(import.meta.dirname, "..");

test("every import of src/ is allowed by the table of CONTRIBUTING.md", () => {
  const rooms = readRooms(readFileSync(join(ROOT, "CONTRIBUTING.md"), "utf8"));
  const paths = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" });
  const sources = paths.filter((path) => /(?<!\.d)\.tsx?$/.test(path));
  const files = new Map(
    sources.map((path) => [path, readFileSync(join(ROOT, "src", path), "utf8")]),
  );
  expect(rooms.length).toBeGreaterThan(10);
  expect(rooms.filter(({ doors }) => doors.length === 0)).toEqual([]);
  expect(problems(rooms, files)).toEqual([]);
});

const TABLE = `
| room | holds | may use | doors |
|---|---|---|---|
| \`src/text/\` | words | – | – |
| \`src/engine/pure/\` | decisions | text alone | – |
| \`src/engine/\` | the rest | text, engine/pure | \`light.ts\` |
| \`src/bin/\` | programs | all | – |
| \`test/\` | mirrors \`src/\` | | |
`;

const SOUND = {
  "text/index.ts": 'export { quote } from "./quote.js";',
  "text/quote.ts": 'import { EOL } from "node:os"; export const quote = EOL;',
  "engine/pure/choice.ts":
    'import { quote } from "../../text/index.js"; export const choice = quote;',
  "engine/light.ts": "export const LIMIT = 1;",
  "engine/index.ts":
    'import { choice } from "./pure/choice.js"; import type { Run } from "./run.js"; export const engine = (run: Run) => [run, choice];',
  "engine/run.ts": 'import { engine } from "./index.js"; export type Run = typeof engine;',
  "bin/program.ts":
    'import { LIMIT } from "../engine/light.js"; const { engine } = await import("../engine/index.js"); engine(LIMIT);',
};

function problemsWith(path: string, text: string, table = TABLE): string[] {
  return problems(readRooms(table), new Map(Object.entries({ ...SOUND, [path]: text })));
}

test("a house that is in order has no problems", () => {
  expect(problemsWith("text/more.ts", "")).toEqual([]);
});

test.each([
  ["import { engine } from '../engine/index.js';"],
  ["import '../engine/index.js';"],
  ["import type { Run } from '../engine/index.js';"],
  ["export * from '../engine/index.js';"],
  ["export const later = () => import('../engine/index.js');"],
  ["export type Later = typeof import('../engine/index.js');"],
])("an arrow that the table does not have is found: %s", (text) => {
  expect(problemsWith("text/more.ts", text)).toEqual([
    "text/more.ts: text may not use engine (engine/index.ts)",
  ]);
});

test.each([
  ["import { engine } from '../run.js';", "engine/pure may not use engine (engine/run.ts)"],
  ["import { join } from 'node:path';", "engine/pure may import nothing but rooms, not node:path"],
  [
    "import type { Counter } from 'prom-client';",
    "engine/pure may import nothing but rooms, not prom-client",
  ],
])("what is pure stays so: %s", (text, problem) => {
  expect(problemsWith("engine/pure/more.ts", text)).toEqual([`engine/pure/more.ts: ${problem}`]);
});

test.each([
  [
    "engine/more.ts",
    "import { quote } from '../text/quote.js';",
    "text/quote.ts is no door of text",
  ],
  [
    "bin/more.ts",
    "export type Run = import('../engine/run.js').Run;",
    "engine/run.ts is no door of engine",
  ],
  [
    "bin/more.ts",
    "import { choice } from '../engine/pure/choice.js';",
    "engine/pure/choice.ts is no door of engine/pure",
  ],
])("others are used by their doors only: %s: %s", (path, text, problem) => {
  expect(problemsWith(path, text)).toEqual([
    `${path}: ${problem}; let an index.ts export what is needed`,
  ]);
});

test("a circle of files is found, unless its files know each other's types only", () => {
  const text = 'import { engine } from "./index.js"; export type Run = typeof engine;';
  expect(problemsWith("engine/run.ts", `${text} export const RUN = 1;`)).toEqual([]);
  expect(
    problemsWith("engine/light.ts", 'import { more } from "./more.js"; export const LIMIT = more;'),
  ).toEqual(["engine/light.ts: there is no engine/more.ts in src/"]);
  expect(
    problemsWith("text/quote.ts", 'import { quote } from "./index.js"; export { quote };'),
  ).toEqual(["A circle of files: text/index.ts -> text/quote.ts -> text/index.ts"]);
});

test("the table is held to account, too", () => {
  const circle = TABLE.replace("| words | – |", "| words | engine |");
  expect(problemsWith("text/more.ts", "", circle)).toEqual([
    "A circle of rooms: text -> engine -> text",
    "A circle of rooms: text -> engine -> engine/pure -> text",
  ]);
  const stranger = TABLE.replace("| words | – |", "| words | cellar |");
  expect(problemsWith("text/more.ts", "", stranger)).toEqual([
    "text may use cellar, which is no room of the table",
  ]);
  expect(problemsWith("cellar/wine.ts", "")).toEqual([]);
  expect(problemsWith("cellar/wine.ts", "import '../text/index.js';")).toEqual([
    "cellar/wine.ts is in no room of the table",
  ]);
});
