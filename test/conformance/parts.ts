/**
 * A store, a sandbox and a fetcher for recordings: plain directories, commands that do nothing,
 * images from a table.
 */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { promisify } from "node:util";
import type {
  FetchedImage,
  Fetcher,
  LayerDir,
  LayerId,
  Lease,
  RootView,
  Sandbox,
  SandboxIo,
  SandboxStep,
  Store,
  StoredLayer,
} from "../../src/obuilder/contracts.js";
import { BuildError } from "../../src/obuilder/errors.js";
import { fromBytes } from "../../src/text/bytes.js";
import { DEFAULT_SHELL, type Image, pairsOf, writeListing } from "../support/obuilder-cases.js";
import { type TarListing, tarEntries } from "../support/tar-entries.js";

const run = promisify(execFile);

/** Layers are copied as a whole. */
export class DirectoryStore implements Store {
  readonly root: string;
  readonly stateDir: string;
  /** Names of caches by the paths of their leases. */
  readonly cacheNames = new Map<string, string>();
  readonly #layers = new Map<LayerId, StoredLayer>();

  private constructor(root: string) {
    this.root = root;
    this.stateDir = join(root, "state");
  }

  static async create(root: string): Promise<DirectoryStore> {
    const store = new DirectoryStore(root);
    for (const dir of ["state", "made", "making", "caches"]) {
      await mkdir(join(root, dir), { recursive: true });
    }
    return store;
  }

  async build(
    id: LayerId,
    base: LayerId | undefined,
    fill: (layer: LayerDir) => Promise<void>,
  ): Promise<void> {
    const path = join(this.root, "making", id);
    await mkdir(path);
    const rootfs = join(path, "rootfs");
    if (base === undefined) await mkdir(rootfs);
    else await run("cp", ["-a", join(this.#made(base), "rootfs"), rootfs]);
    try {
      await fill({ id, path });
    } catch (error) {
      await rm(path, { recursive: true });
      throw error;
    }
    await rename(path, this.#made(id));
    this.#layers.set(id, { id, ...(base === undefined ? {} : { parent: base }) });
  }

  async result(id: LayerId): Promise<string | undefined> {
    return this.#layers.has(id) ? this.#made(id) : undefined;
  }

  async logFile(id: LayerId): Promise<string> {
    return join(this.#layers.has(id) ? this.#made(id) : join(this.root, "making", id), "log");
  }

  async rootfs(id: LayerId): Promise<Lease> {
    return { path: join(this.#made(id), "rootfs"), release: async () => {} };
  }

  async failedRoot({ path }: LayerDir): Promise<Lease> {
    return { path: join(path, "rootfs"), release: async () => {} };
  }

  async delete(id: LayerId): Promise<void> {
    this.#layers.delete(id);
    await rm(this.#made(id), { recursive: true, force: true });
  }

  async cache(name: string): Promise<Lease> {
    const path = join(this.root, "caches", this.cacheNames.size.toString());
    await mkdir(path);
    this.cacheNames.set(path, name);
    return { path, release: async () => {} };
  }

  async deleteCache(): Promise<void> {}
  async completeDeletes(): Promise<void> {}
  async close(): Promise<void> {}

  async list(): Promise<StoredLayer[]> {
    return [...this.#layers.values()];
  }

  async sizes(ids: readonly string[]): Promise<number[]> {
    return ids.map(() => 0);
  }

  async freePercent(): Promise<number> {
    return 100;
  }

  #made(id: LayerId): string {
    return join(this.root, "made", id);
  }
}

/** What a step was, in the form of the golden data. */
export interface SandboxRecord {
  readonly sandbox: object;
  /** The archive that a copy was given. */
  readonly tar?: readonly TarListing[];
}

export class RecordingSandbox implements Sandbox {
  readonly shell: readonly string[];
  readonly tar = ["tar", "-xf", "-"];
  readonly #store: DirectoryStore;
  readonly #records = new Map<LayerId, SandboxRecord>();

  constructor(shell: readonly string[] | undefined, store: DirectoryStore) {
    this.shell = shell ?? DEFAULT_SHELL;
    this.#store = store;
  }

  async run(step: SandboxStep, layer: LayerDir, { input }: SandboxIo): Promise<void> {
    const { argv, cwd, env, network } = step;
    const caches = step.caches.map(({ source, target }) => ({
      id: this.#store.cacheNames.get(source),
      target,
    }));
    const secrets = step.secrets.map(({ value, target }) => ({
      value: fromBytes(value),
      target,
    }));
    const user =
      "name" in step.user ? step.user : { uid: Number(step.user.uid), gid: Number(step.user.gid) };
    const sandbox = { argv, cwd, user, env, network, caches, secrets };
    if (!input) {
      this.#records.set(layer.id, { sandbox });
      return;
    }
    const archive = await written(await input(EMPTY_ROOT));
    this.#records.set(layer.id, { sandbox, tar: tarEntries(archive) });
    await unpack(archive, argv, join(layer.path, "rootfs"));
  }

  /** What was run for a layer; nothing for a base image. */
  recordOf(id: LayerId): SandboxRecord | undefined {
    return this.#records.get(id);
  }
}

/**
 * All that is written. The writer may use its buffer again as soon as it is told that it was taken.
 */
async function written(write: (out: Writable) => Promise<void>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  await write(out);
  return Buffer.concat(chunks);
}

async function unpack(archive: Buffer, argv: readonly string[], dir: string): Promise<void> {
  const child = spawn(argv[0]!, argv.slice(1), { cwd: dir, stdio: ["pipe", "ignore", "ignore"] });
  child.stdin.on("error", () => {}); // its status will tell
  child.stdin.end(archive);
  const [status] = await once(child, "close");
  if (status === 0) return;
  const command = argv.map((arg) => `"${arg}"`).join(" ");
  throw new BuildError(`${command} failed with exit status ${status}`);
}

/** The reference does not look at the root: its archives are those for an empty one. */
export const EMPTY_ROOT: RootView = { entry: () => undefined };

/** Images by name. */
export class TableFetcher implements Fetcher {
  readonly #images: Readonly<Record<string, Image>>;

  constructor(images: Readonly<Record<string, Image>>) {
    this.#images = images;
  }

  async canFetch(image: string): Promise<boolean> {
    return Object.hasOwn(this.#images, image);
  }

  async fetch(image: string, layer: LayerDir): Promise<FetchedImage> {
    const found = Object.hasOwn(this.#images, image) ? this.#images[image] : undefined;
    if (!found) throw new BuildError(`There is no image ${image} in this case`);
    writeListing(join(layer.path, "rootfs"), found.rootfs);
    return { env: pairsOf(found.env) };
  }

  async resolve(): Promise<undefined> {}
}
