/*
 * What is known of the files in a stage: `COPY FILE DIR` puts the file into a directory that
 * exists, and makes a file of that name otherwise. WORKDIR and COPY leave no doubt. Of commands,
 * only `mkdir` is understood, and that nothing is known any more of what `rm` or `mv` names.
 */

export type KnownKind = "dir" | "file";

interface Node {
  kind: KnownKind;
  readonly children: Map<string, Node>;
}

/** A longer path cannot be used, and more components are not worth remembering. */
const MAX_PATH = 4096;
const MAX_COMPONENTS = 64;

/** Further ones are not remembered, so nothing is known of them. */
const MAX_NODES = 10_000;

export class KnownPaths {
  #root: Node = { kind: "dir", children: new Map() };
  /** Where relative paths begin; undefined if that is too long. */
  #workdir: string | undefined = "/";
  /**
   * Components of the last WORKDIR, as long as it may not be there: the next command makes it, or a
   * COPY into it.
   */
  #unmade: readonly string[] | undefined;
  #size = 0;

  /** The working directory; `/` if that is too long to be used. */
  get workdir(): string {
    return this.#workdir ?? "/";
  }

  /**
   * The path from the top, without `.`, `..` and a slash at its end; undefined if it is too long.
   */
  absolute(path: string): string | undefined {
    const parts = this.#parts(path);
    return parts && `/${parts.join("/")}`;
  }

  /** How many paths are remembered, about. */
  get size(): number {
    return this.#size;
  }

  copy(): KnownPaths {
    const other = new KnownPaths();
    other.#root = copyOf(this.#root);
    other.#workdir = this.#workdir;
    other.#size = this.#size;
    other.#unmade = this.#unmade;
    return other;
  }

  /** WORKDIR: makes the directory if it is not there. */
  enter(path: string): void {
    const parts = this.#parts(path);
    const isThere = this.kindOf(path) === "dir";
    if (!isThere) this.#unmade = parts;
    else if (this.unmadeBefore(path) !== undefined) this.#unmade = undefined;
    this.#workdir = parts && `/${parts.join("/")}`;
    this.#know(parts, "dir");
  }

  /**
   * The working directory, if a spec that goes on to `path` has not made it, nor does so when it
   * makes that.
   */
  unmadeBefore(path: string): string | undefined {
    const parts = this.#parts(path);
    if (!this.#unmade || !parts || startsWith(parts, this.#unmade)) return undefined;
    return `/${this.#unmade.join("/")}`;
  }

  /** Whether the path is a directory that a spec has made so far, for sure. */
  isMade(path: string): boolean {
    const parts = this.#parts(path);
    const isUnmade = parts !== undefined && this.#unmade && startsWith(this.#unmade, parts);
    return this.kindOf(path) === "dir" && (parts?.length === 0 || !isUnmade);
  }

  /** The working directory, if nothing has made it. */
  get unmadeWorkdir(): string | undefined {
    return this.#unmade && `/${this.#unmade.join("/")}`;
  }

  /** The path is of that kind now, and what leads to it are directories. */
  add(path: string, kind: KnownKind): void {
    const parts = this.#parts(path);
    if (parts && this.#unmade && startsWith(parts, this.#unmade)) this.#unmade = undefined;
    this.#know(parts, kind);
  }

  #know(parts: readonly string[] | undefined, kind: KnownKind): void {
    if (parts === undefined || this.#size > MAX_NODES) return;
    let node = this.#root;
    for (const [i, part] of parts.entries()) {
      let child = node.children.get(part);
      if (!child) {
        child = { kind: "dir", children: new Map() };
        node.children.set(part, child);
        this.#size++;
      }
      child.kind = i === parts.length - 1 ? kind : "dir";
      node = child;
    }
  }

  kindOf(path: string): KnownKind | undefined {
    const parts = this.#parts(path);
    let node: Node | undefined = parts && this.#root;
    for (const part of parts ?? []) node = node?.children.get(part);
    return node?.kind;
  }

  /** A command was run in the working directory, of which no more needs to be known. */
  ran(): void {
    this.#unmade = undefined;
  }

  /** A command was run, by a shell. */
  command(text: string): void {
    this.#unmade = undefined;
    if (!/\b(?:mkdir|rm|rmdir|mv|ln)\b/.test(text)) return;
    // A chain of other kinds may go on behind a `mkdir` that failed.
    const isChain = !/[;|\n]/.test(text);
    let moved = false;
    for (const part of text.split("&&")) {
      moved ||= /^\s*(?:cd|pushd)\b/.test(part);
      if (/\b(?:rm|rmdir|mv|ln)\b/.test(part)) {
        if (moved) this.#forgetAll();
        else for (const [word] of part.matchAll(/[\w./@+-]+/g)) this.#forget(word);
      } else if (isChain) {
        for (const path of madeBy(part)) {
          if (path.startsWith("/") || !moved) this.add(path, "dir");
        }
      }
    }
  }

  #forgetAll(): void {
    this.#root = { kind: "dir", children: new Map() };
    this.#size = 0;
  }

  #forget(path: string): void {
    const parts = this.#parts(path);
    const last = parts?.pop();
    let node: Node | undefined = this.#root;
    for (const part of parts ?? []) node = node?.children.get(part);
    if (last !== undefined) node?.children.delete(last);
  }

  /**
   * The components of the absolute path; undefined if it is too long to be remembered, or not
   * known.
   */
  #parts(path: string): string[] | undefined {
    if (!path.startsWith("/") && this.#workdir === undefined) return undefined;
    const absolute = path.startsWith("/") ? path : `${this.#workdir}/${path}`;
    if (absolute.length > MAX_PATH) return undefined;
    const parts: string[] = [];
    for (const part of absolute.split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    return parts.length > MAX_COMPONENTS ? undefined : parts;
  }
}

/**
 * The directories that a command makes if it is a `mkdir` of plain words, which mean what they say.
 */
function madeBy(command: string): string[] {
  const [program, ...words] = command.trim().split(/\s+/);
  if (program !== "mkdir" || !words.every((word) => /^[\w./@+,:=-]+$/.test(word))) return [];
  const paths: string[] = [];
  for (let i = 0; i < words.length; i++) {
    if (words[i] === "-m") i++;
    else if (!words[i]!.startsWith("-")) paths.push(words[i]!);
  }
  return paths;
}

function startsWith(parts: readonly string[], beginning: readonly string[]): boolean {
  return beginning.every((part, i) => parts[i] === part);
}

function copyOf({ kind, children }: Node): Node {
  return { kind, children: new Map([...children].map(([name, node]) => [name, copyOf(node)])) };
}
