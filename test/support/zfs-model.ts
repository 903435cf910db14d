/*
 * A ZFS pool as far as the store uses one: datasets and snapshots by its rules, their content in
 * ordinary directories. It takes the commands that ZFS would, refuses what ZFS would refuse, and
 * writes down all that change something.
 *
 * The rules (zfsconcepts(7), zfs-clone(8), zfs-promote(8), zfs-destroy(8)): a dataset with
 * snapshots is not destroyed without `-r`, a snapshot with clones not without `-R`, or only marked
 * to go with its last clone (`-d`); a promoted clone takes over its origin and all older snapshots
 * from the dataset it was cloned from, which becomes its clone.
 */

import { cpSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ProgramError } from "../../src/system/process.js";

interface Snapshot {
  name: string;
  readonly content: string;
  deferred: boolean;
}

interface Dataset {
  /** Oldest first. */
  snapshots: Snapshot[];
  origin: Snapshot | undefined;
  mounted: boolean;
}

export class ZfsModel {
  /** The commands that changed something, without `zfs`. */
  readonly log: string[] = [];
  readonly #datasets = new Map<string, Dataset>();
  #kept = 0;

  /** Datasets are mounted below `dir`; `pool` exists. */
  constructor(
    private readonly dir: string,
    pool: string,
  ) {
    mkdirSync(this.#path(pool), { recursive: true });
    this.#datasets.set(pool, { snapshots: [], origin: undefined, mounted: true });
  }

  /** All datasets and snapshots, sorted. */
  names(): string[] {
    const all = [...this.#datasets].flatMap(([name, { snapshots }]) => [
      name,
      ...snapshots.map((snapshot) => `${name}@${snapshot.name}`),
    ]);
    return all.sort();
  }

  readonly run = async (argv: readonly string[]): Promise<string> => {
    const [program, command = "", ...rest] = argv;
    if (program === "zpool") return "25\n";
    const options = rest.filter((word) => word.startsWith("-") && word !== "--");
    const [first = "", second = ""] = rest.filter((word) => !word.startsWith("-"));
    switch (command) {
      case "list":
        return this.#list(rest);
      case "get":
        return this.#at(rest.at(-1)!).mounted ? "yes\n" : "no\n";
    }
    this.log.push(argv.slice(1).join(" "));
    switch (command) {
      case "create":
        this.#add(first, undefined);
        mkdirSync(this.#path(first));
        break;
      case "snapshot":
        this.#snapshot(first);
        break;
      case "clone":
        this.#clone(first, second);
        break;
      case "promote":
        this.#promote(first);
        break;
      case "rename":
        this.#rename(first, second);
        break;
      case "mount":
        this.#at(first).mounted = true;
        break;
      case "destroy":
        this.#destroy(first, options);
        break;
      default:
        throw refused(`unknown command ${command}`);
    }
    return "";
  };

  #list(rest: readonly string[]): string {
    const target = rest.at(-1)!;
    if (!this.names().includes(target)) throw refused(`'${target}': dataset does not exist`);
    const columns = rest[rest.indexOf("-o") + 1];
    const below = (name: string) => name === target || name.startsWith(`${target}/`);
    if (columns === "name") {
      return this.names()
        .filter((name) => name.includes("@") && below(name))
        .map((name) => `${name}\n`)
        .join("");
    }
    if (columns === "name,origin" || columns === "name,used") {
      return [...this.#datasets]
        .filter(([name]) => below(name))
        .map(([name, { origin }]) => {
          const other = columns === "name,used" ? "4096" : origin ? this.#nameOf(origin) : "-";
          return `${name}\t${other}\n`;
        })
        .join("");
    }
    return `${target}\t0\t0\t0\t/${target}\n`;
  }

  #snapshot(full: string): void {
    const [name = "", snapshot = ""] = full.split("@");
    const dataset = this.#at(name);
    if (dataset.snapshots.some((other) => other.name === snapshot)) throw refused("exists");
    const content = join(this.dir, `.snapshot-${this.#kept++}`);
    const visible = join(this.#path(name), ".zfs/snapshot", snapshot);
    const filter = (path: string) => !path.startsWith(join(this.#path(name), ".zfs"));
    cpSync(this.#path(name), content, { recursive: true, verbatimSymlinks: true, filter });
    mkdirSync(join(visible, ".."), { recursive: true });
    cpSync(content, visible, { recursive: true, verbatimSymlinks: true });
    dataset.snapshots.push({ name: snapshot, content, deferred: false });
  }

  #clone(source: string, name: string): void {
    const [dataset = "", snapshot = ""] = source.split("@");
    const origin = this.#at(dataset).snapshots.find((other) => other.name === snapshot);
    if (!origin) throw refused(`'${source}': snapshot does not exist`);
    this.#add(name, origin);
    cpSync(origin.content, this.#path(name), { recursive: true, verbatimSymlinks: true });
  }

  #promote(name: string): void {
    const dataset = this.#at(name);
    const { origin } = dataset;
    if (!origin) throw refused("not a cloned filesystem");
    const owner = [...this.#datasets.values()].find((other) => other.snapshots.includes(origin))!;
    const taken = owner.snapshots.splice(0, owner.snapshots.indexOf(origin) + 1);
    dataset.snapshots.unshift(...taken);
    dataset.origin = owner.origin;
    owner.origin = origin;
  }

  #rename(from: string, to: string): void {
    if (this.names().includes(to)) throw refused(`'${to}': dataset already exists`);
    const [dataset = "", snapshot] = from.split("@");
    if (snapshot !== undefined) {
      const found = this.#at(dataset).snapshots.find((other) => other.name === snapshot);
      if (!found) throw refused(`'${from}': snapshot does not exist`);
      found.name = to.split("@")[1]!;
      rmSync(join(this.#path(dataset), ".zfs"), { recursive: true, force: true });
      return;
    }
    this.#datasets.set(to, this.#at(from));
    this.#datasets.delete(from);
    renameSync(this.#path(from), this.#path(to));
  }

  #destroy(full: string, options: readonly string[]): void {
    const [name = "", snapshot] = full.split("@");
    const dataset = this.#at(name);
    if (snapshot !== undefined) {
      const found = dataset.snapshots.find((other) => other.name === snapshot);
      if (!found) throw refused("could not find any snapshots to destroy");
      if (this.#clones(found).length === 0) this.#forget(dataset, found);
      else if (options.includes("-d")) found.deferred = true;
      else throw refused("snapshot has dependent clones");
      return;
    }
    const withClones = options.includes("-R");
    const children = [...this.#datasets.keys()].filter((other) => other.startsWith(`${name}/`));
    if (children.length > 0 && !withClones && !options.includes("-r")) {
      throw refused("filesystem has children");
    }
    for (const child of children) if (this.#datasets.has(child)) this.#destroy(child, options);
    if (dataset.snapshots.length > 0 && !withClones && !options.includes("-r")) {
      throw refused("filesystem has snapshots");
    }
    for (const own of [...dataset.snapshots]) {
      const clones = this.#clones(own);
      if (clones.length > 0 && !withClones) throw refused("filesystem has dependent clones");
      for (const clone of clones) this.#destroy(clone, options);
      this.#forget(dataset, own);
    }
    if (!this.#datasets.delete(name)) return; // it was a clone of its own snapshot's clone
    rmSync(this.#path(name), { recursive: true, force: true });
    const { origin } = dataset;
    if (origin?.deferred && this.#clones(origin).length === 0) {
      const owner = [...this.#datasets.values()].find((other) => other.snapshots.includes(origin));
      if (owner) this.#forget(owner, origin);
    }
  }

  #forget(dataset: Dataset, snapshot: Snapshot): void {
    dataset.snapshots = dataset.snapshots.filter((other) => other !== snapshot);
    rmSync(snapshot.content, { recursive: true, force: true });
  }

  #clones(snapshot: Snapshot): string[] {
    return [...this.#datasets]
      .filter(([, { origin }]) => origin === snapshot)
      .map(([name]) => name);
  }

  #nameOf(snapshot: Snapshot): string {
    const [owner] = [...this.#datasets].find(([, { snapshots }]) => snapshots.includes(snapshot))!;
    return `${owner}@${snapshot.name}`;
  }

  #add(name: string, origin: Snapshot | undefined): void {
    if (this.#datasets.has(name)) throw refused(`'${name}': dataset already exists`);
    if (!this.#datasets.has(name.slice(0, name.lastIndexOf("/")))) {
      throw refused(`'${name}': parent does not exist`);
    }
    this.#datasets.set(name, { snapshots: [], origin, mounted: true });
  }

  #at(name: string): Dataset {
    const dataset = this.#datasets.get(name.split("@")[0]!);
    if (!dataset) throw refused(`'${name}': does not exist`);
    return dataset;
  }

  #path(name: string): string {
    return join(this.dir, name);
  }
}

function refused(reason: string): ProgramError {
  return new ProgramError('"zfs" failed with exit status 1', 1, reason);
}
