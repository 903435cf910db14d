/**
 * The rooms of the house as CONTRIBUTING.md tells of them, and whether the imports of `src/` keep
 * to that.
 *
 * A row of the table names a room, what it may use and by which files besides its `index.ts` others
 * may enter. A row such as `src/scheduler/pool/` is about a part of a room that has arrows of its
 * own.
 */
import { posix } from "node:path";
import ts from "typescript";

export interface Room {
  /** Within `src/`, such as `scheduler/pool`. */
  readonly path: string;
  /** Paths of rooms; undefined: all. */
  readonly uses: readonly string[] | undefined;
  /** Imports neither packages nor modules of Node. */
  readonly isPure: boolean;
  /** Paths of files within `src/` by which others may enter. */
  readonly doors: readonly string[];
}

/** The table's rooms, as they stand there: the columns are room, contents, uses, doors. */
export function readRooms(markdown: string): Room[] {
  const rows = markdown.matchAll(/^\| `src\/([\w/-]+)\/` \|[^|]*\|([^|]*)\|([^|]*)\|$/gm);
  return [...rows].map(([, path = "", uses = "", doors = ""]) => {
    const words = uses.trim();
    return {
      path,
      uses:
        words === "all"
          ? undefined
          : (words.match(/\w[\w/-]*/g) ?? []).filter((word) => word !== ALONE),
      isPure: words.endsWith(ALONE),
      doors: ["index.ts", ...(doors.match(/[\w/.-]+\.ts/g) ?? [])].map((door) => `${path}/${door}`),
    };
  });
}

/** `text alone`: nothing from outside of the house either. */
const ALONE = "alone";

/**
 * An import of a file: of another by its path in `src/`, or of a module that is not in the house by
 * its name.
 */
export interface Import {
  readonly from: string;
  readonly to: string;
  readonly isInside: boolean;
  /**
   * Has the other evaluated when this one is: neither types only, nor imported when it is needed.
   */
  readonly isValue: boolean;
}

/** All imports of the files, which are given by their paths in `src/`. */
export function importsOf(files: ReadonlyMap<string, string>): Import[] {
  return [...files].flatMap(([from, text]) => {
    const found: Import[] = [];
    const add = (specifier: ts.Node | undefined, isValue: boolean) => {
      if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
      const isInside = specifier.text.startsWith(".");
      const base = posix.join(posix.dirname(from), specifier.text);
      // A program's file is named as it is when it has been compiled; others (styles) are no code.
      const isCode = base.endsWith(".js");
      if (isInside && !isCode && /\.(?:css|svg)$/.test(base)) return;
      const path = base.replace(/\.js$/, files.has(base.replace(/\.js$/, ".tsx")) ? ".tsx" : ".ts");
      found.push({ from, to: isInside ? path : specifier.text, isInside, isValue });
    };
    const visit = (node: ts.Node): void => {
      if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, !importsTypes(node.importClause));
      else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, !exportsTypes(node));
      else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
        add(node.argument.literal, false);
      else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
        add(node.arguments[0], false);
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(from, text, ts.ScriptTarget.Latest));
    return found;
  });
}

function importsTypes(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const { name, namedBindings } = clause;
  return (
    name === undefined &&
    namedBindings !== undefined &&
    ts.isNamedImports(namedBindings) &&
    namedBindings.elements.every((each) => each.isTypeOnly)
  );
}

function exportsTypes({ exportClause, isTypeOnly }: ts.ExportDeclaration): boolean {
  if (isTypeOnly) return true;
  return (
    exportClause !== undefined &&
    ts.isNamedExports(exportClause) &&
    exportClause.elements.every((each) => each.isTypeOnly)
  );
}

/** What is wrong with a tree of files, one line each; nothing if all is well. */
export function problems(rooms: readonly Room[], files: ReadonlyMap<string, string>): string[] {
  const imports = importsOf(files);
  const values = imports.filter(({ isInside, isValue }) => isInside && isValue);
  return [
    ...rooms.flatMap(({ path, uses = [] }) =>
      uses
        .filter((name) => !rooms.some((room) => room.path === name))
        .map((name) => `${path} may use ${name}, which is no room of the table`),
    ),
    ...circles(rooms.flatMap(({ path, uses = [] }) => uses.map((to) => ({ from: path, to })))).map(
      (circle) => `A circle of rooms: ${circle.join(" -> ")}`,
    ),
    ...imports.flatMap((each) => problemOf(rooms, files, each) ?? []),
    ...circles(values).map((circle) => `A circle of files: ${circle.join(" -> ")}`),
  ];
}

function problemOf(
  rooms: readonly Room[],
  files: ReadonlyMap<string, string>,
  { from, isInside, to }: Import,
): string | undefined {
  const room = roomOf(rooms, from);
  if (room === undefined) return `${from} is in no room of the table`;
  if (!isInside)
    return room.isPure
      ? `${from}: ${room.path} may import nothing but rooms, not ${to}`
      : undefined;
  if (!files.has(to)) return `${from}: there is no ${to} in src/`;
  const goal = roomOf(rooms, to);
  if (goal === undefined) return `${to} is in no room of the table`;
  if (goal !== room && room.uses !== undefined && !room.uses.includes(goal.path)) {
    return `${from}: ${room.path} may not use ${goal.path} (${to})`;
  }
  // Parts of a room are no strangers to each other.
  if (houseOf(from) === houseOf(to)) return undefined;
  const doors = rooms
    .filter(({ path }) => houseOf(path) === houseOf(to))
    .flatMap((each) => each.doors);
  return doors.includes(to)
    ? undefined
    : `${from}: ${to} is no door of ${goal.path}; let an index.ts export what is needed`;
}

/** The innermost room that a file is in. */
function roomOf(rooms: readonly Room[], file: string): Room | undefined {
  return rooms
    .filter(({ path }) => file.startsWith(`${path}/`))
    .sort((a, b) => b.path.length - a.path.length)[0];
}

/** The directory of `src/` that a path is in. */
function houseOf(path: string): string {
  return path.split("/", 1)[0]!;
}

/** At least one way round each circle, from where it was met first back to there. */
function circles(arrows: readonly { readonly from: string; readonly to: string }[]): string[][] {
  const goals = new Map<string, string[]>();
  for (const { from, to } of arrows) goals.set(from, [...(goals.get(from) ?? []), to]);
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (at: string, way: readonly string[]): void => {
    const begin = way.indexOf(at);
    if (begin >= 0) found.push([...way.slice(begin), at]);
    if (begin >= 0 || done.has(at)) return;
    for (const next of new Set(goals.get(at))) visit(next, [...way, at]);
    done.add(at);
  };
  for (const start of goals.keys()) visit(start, []);
  return found;
}
