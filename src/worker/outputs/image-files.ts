/**
 * The files of an image that are asked for, as its engine gives them: of a container of it that
 * never runs, as tar archives. So it does not matter where and how the engine keeps its images.
 */
import type Docker from "dockerode";
import type { OutputStream } from "../../api/index.js";
import { Slices } from "../../async/index.js";
import { type ReadEntry, readTar } from "../../system/index.js";
import { fromBytes, type PathPattern, type PatternPart } from "../../text/index.js";
import { engineFailure } from "../docker/engine.js";
import type { OutputWriter } from "./output-writer.js";
import {
  MAX_DEPTH,
  MAX_ENTRIES,
  missing,
  readPatterns,
  tooDeep,
  tooMany,
  type Wanted,
} from "./root-files.js";

/** Links that are followed on one way. */
const MAX_LINKS = 40;

/**
 * Writes the contents of all that is asked for, and returns the list. Throws a `JobFailed`, and the
 * signal's reason.
 */
export async function writeImageFiles(
  docker: Docker,
  image: string,
  { optional, paths }: Wanted,
  writer: OutputWriter,
  signal: AbortSignal,
): Promise<OutputStream.OutputList> {
  // It needs a command, which is never run.
  const container = await docker
    .createContainer({ Image: image, Entrypoint: [], Cmd: ["none"], NetworkDisabled: true })
    .catch((error) => {
      throw engineFailure(error);
    });
  try {
    const reader = new ImageReader(container, writer, new Slices(signal));
    const asked: OutputStream.Asked[] = [];
    for (const [index, pattern] of readPatterns(paths).entries()) {
      const found = await reader.read(pattern);
      if (found.length === 0 && !optional) throw missing(paths[index]!);
      asked.push({ asked: paths[index]!, isPattern: pattern.parts.length > 0, found });
    }
    return { asked, entries: [...reader.entries.values()] };
  } finally {
    await container.remove({ force: true, v: true }).catch(() => {});
  }
}

class ImageReader {
  readonly entries = new Map<string, OutputStream.OutputEntry>();

  constructor(
    private readonly container: Docker.Container,
    private readonly writer: OutputWriter,
    private readonly slices: Slices,
  ) {}

  /** Reads what a path or pattern stands for, with all that is in it. */
  async read({ fixed, parts }: PathPattern): Promise<(readonly [path: string, name: string])[]> {
    let way = [...fixed];
    for (let links = 0; ; links++) {
      const found = new Map<string, string>();
      const target = await this.#readAt(way, parts, found);
      if (target === undefined) {
        if (parts.length > 0) return [...found];
        return Array.from(found, ([path]) => [path, fixed.at(-1) ?? ""]);
      }
      if (links === MAX_LINKS) return [];
      way = followed(way, target);
    }
  }

  /** Reads what is at a path. If that is a link, returns where it leads. */
  async #readAt(
    way: readonly string[],
    parts: readonly PatternPart[],
    found: Map<string, string>,
  ): Promise<string | undefined> {
    const archive = await this.#archive(way);
    if (archive === undefined) return undefined;
    const [wayText, isRoot] = [way.join("/"), way.length === 0];
    for await (const entry of readTar(archive as AsyncIterable<Uint8Array>)) {
      const names = partsOf(fromBytes(entry.name));
      // The archive calls the directory by its name.
      const below = isRoot ? names : names.slice(1);
      if (below.length === 0 && entry.type === "symlink") return fromBytes(entry.target);
      await this.slices.turn();
      if (way.length + below.length > MAX_DEPTH) throw tooDeep();
      const matched = matchedPart(parts, below);
      if (matched === undefined) continue;
      const path = [...way, ...below].join("/");
      const top = [...way, ...below.slice(0, matched)].join("/");
      const taken = await this.#take(path, entry, (name) => {
        const inner = partsOf(name).slice(isRoot ? 0 : 1);
        return [wayText, ...inner].filter((part) => part !== "").join("/");
      });
      if (taken) found.set(top, below.slice(0, matched).join("/"));
    }
    return undefined;
  }

  /** Notes an entry, and writes its data. False for devices and the like. */
  async #take(path: string, entry: ReadEntry, pathOf: (name: string) => string): Promise<boolean> {
    if (entry.type === "other") return false;
    if (this.entries.has(path)) return true;
    if (this.entries.size >= MAX_ENTRIES) throw tooMany();
    const common = { path, mode: entry.mode & 0o777, mtime: entry.mtime };
    if (entry.type === "dir") {
      this.entries.set(path, { type: "dir", ...common });
    } else if (entry.type === "symlink") {
      this.entries.set(path, { type: "link", ...common, target: fromBytes(entry.target) });
    } else if (entry.type === "link") {
      const same = pathOf(fromBytes(entry.target));
      const first = this.entries.get(same);
      if (first?.type === "file") this.entries.set(path, { ...first, path, same });
      // Of what was asked for, its data is at another name that was not.
      else return await this.#takeOther(path, partsOf(same));
    } else {
      const data = this.writer.begin();
      for await (const part of entry.data()) {
        await data.add(part);
        await this.slices.turn();
      }
      this.entries.set(path, { type: "file", ...common, ...data.end() });
    }
    return true;
  }

  /** Takes a file by another name of it. */
  async #takeOther(path: string, other: readonly string[]): Promise<boolean> {
    const archive = await this.#archive(other);
    if (archive === undefined) return false;
    for await (const entry of readTar(archive as AsyncIterable<Uint8Array>)) {
      if (entry.type === "file") return await this.#take(path, entry, () => "");
    }
    return false;
  }

  /** Undefined if there is nothing at that path. */
  async #archive(way: readonly string[]): Promise<NodeJS.ReadableStream | undefined> {
    try {
      return await this.container.getArchive({ path: `/${way.join("/")}` });
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 404) return undefined;
      throw engineFailure(error);
    }
  }
}

/** Where a link at the end of a way leads, in the root. */
function followed(way: readonly string[], target: string): string[] {
  const next = target.startsWith("/") ? [] : way.slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "..") next.pop();
    else if (part !== "" && part !== ".") next.push(part);
  }
  return next;
}

function partsOf(name: string): string[] {
  return name.split("/").filter((part) => part !== "" && part !== ".");
}

/**
 * How many parts of a path a pattern stands for, at its beginning; undefined if for none. Takes no
 * longer than the product of their lengths: path and pattern are strangers'.
 */
export function matchedPart(
  parts: readonly PatternPart[],
  names: readonly string[],
): number | undefined {
  // Where the rest of the pattern was tried on the rest of the path, in vain.
  const failed = new Set<number>();
  const match = (part: number, name: number): number | undefined => {
    if (part === parts.length) return name;
    if (name === names.length) return undefined;
    const id = part * names.length + name;
    if (failed.has(id)) return undefined;
    const end = matchHere(part, name);
    if (end === undefined) failed.add(id);
    return end;
  };
  const matchHere = (part: number, name: number): number | undefined => {
    const pattern = parts[part]!;
    if (!pattern.deep) {
      return pattern.matches(names[name]!) ? match(part + 1, name + 1) : undefined;
    }
    const isHidden = names[name]!.startsWith(".");
    if (part + 1 === parts.length) return isHidden ? undefined : name + 1;
    return match(part + 1, name) ?? (isHidden ? undefined : match(part, name + 1));
  };
  return match(0, 0);
}
