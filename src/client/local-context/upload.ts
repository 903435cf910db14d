/**
 * A local directory on its way to the scheduler: its manifest, and what the scheduler does not have
 * of its files, over any number of connections. Small files go together, large ones in parts, and
 * these go on where the last connection has left them.
 */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, readSync } from "node:fs";
import { ContextManifest, ContextStore } from "../../api/index.js";
import { type Capability, RpcError } from "../../rpc/index.js";
import { SourceDir } from "../../system/index.js";
import { writeSize } from "../../text/index.js";
import { JobFailure } from "../failure.js";
import { TreeChanged } from "./scan.js";

/** Files up to this size, in bytes, are sent together with others. */
const SMALL = 256 * 1024;

/** Calls that are on their way at a time. */
const AHEAD = 6;

/** How often the scheduler may lack something that it has been sent. */
const ROUNDS = 3;

export class Upload {
  /** The hash of the manifest. */
  readonly hash: string;
  private readonly manifest: Buffer;
  /** A file for each blob. */
  private readonly files = new Map<string, ContextManifest.ContextFile>();
  private readonly total: { readonly files: number; readonly bytes: number };

  constructor(
    private readonly directory: string,
    private readonly entries: readonly ContextManifest.ContextEntry[],
    private readonly say: (line: string) => void,
  ) {
    this.manifest = ContextManifest.writeManifest(entries);
    this.hash = createHash("sha256").update(this.manifest).digest("hex");
    for (const entry of entries) if (entry.type === "file") this.files.set(entry.sha256, entry);
    this.total = ContextManifest.totalSize(entries);
  }

  /**
   * Resolves when the scheduler has all of it. Rejects with `TreeChanged`, with a `JobFailure` if
   * it does not take it, and with an `RpcError`, after which it can be called again.
   */
  async run(submission: Capability): Promise<void> {
    const { known, limits } = await ContextStore.known(submission, this.hash).catch((error) => {
      throw error instanceof RpcError && error.kind === "unimplemented" ? takesNone(error) : error;
    });
    const { bytes, files } = this.total;
    if (known) {
      this.say(`Build context: ${files} files (${writeSize(bytes)}), all there already.`);
      return;
    }
    this.checkLimits(limits);
    let lacking = await this.missing(submission);
    const sum = lacking.reduce((sum, hash) => sum + (this.files.get(hash)?.size ?? 0), 0);
    this.say(
      `Build context: ${files} files (${writeSize(bytes)}); sending ${lacking.length} (${writeSize(sum)}).`,
    );
    for (let round = 0; round < ROUNDS; round++) {
      await refusals(this.send(submission, lacking));
      lacking = await refusals(ContextStore.keep(submission, this.hash));
      if (lacking.length === 0) return;
    }
    throw new JobFailure("refused", "The scheduler does not keep what it is sent of the context.");
  }

  private checkLimits(limits: ContextStore.ContextLimits): void {
    const { entries, total } = this;
    const isTooLong = this.manifest.length > ContextManifest.MAX_MANIFEST;
    if (total.bytes <= limits.bytes && entries.length <= limits.entries && !isTooLong) return;
    throw new JobFailure(
      "refused",
      `The build context has ${entries.length} files and directories and ${writeSize(total.bytes)}; the scheduler takes ` +
        `${limits.entries} and ${writeSize(limits.bytes)} (--max-context-size). Leave some out with .dockerignore.`,
    );
  }

  /** Blobs of files that are not there. */
  private async missing(submission: Capability): Promise<string[]> {
    const hashes = [...this.files.keys()];
    const missing: string[] = [];
    const asks = new Window();
    for (let at = 0; at < hashes.length; at += ContextStore.MAX_HASHES) {
      const some = hashes.slice(at, at + ContextStore.MAX_HASHES);
      await asks.add(
        ContextStore.missing(submission, some).then((hashes) => {
          for (const hash of hashes) missing.push(hash);
        }),
      );
    }
    await asks.done();
    return missing;
  }

  private async send(submission: Capability, hashes: readonly string[]): Promise<void> {
    using top = SourceDir.open(this.directory);
    const puts = new Window();
    let blobs: Uint8Array[] = [];
    let bytes = 0;
    const flush = async () => {
      if (blobs.length > 0) await puts.add(ContextStore.put(submission, blobs));
      blobs = [];
      bytes = 0;
    };
    const large: ContextManifest.ContextFile[] = [];
    for (const hash of hashes) {
      const file = this.files.get(hash);
      if (!file) continue;
      if (file.size > SMALL) {
        large.push(file);
        continue;
      }
      const isFull = bytes + file.size > ContextStore.MAX_PART;
      if (isFull || blobs.length >= ContextStore.MAX_BLOBS) await flush();
      blobs.push(readSmall(top, file));
      bytes += file.size;
    }
    await flush();
    await puts.done();
    for (const file of large) await sendLarge(submission, top, file);
    await this.sendManifest(submission);
  }

  private async sendManifest(submission: Capability): Promise<void> {
    const [missing] = await ContextStore.missing(submission, [this.hash]);
    if (missing === undefined) return;
    const { hash, manifest } = this;
    if (manifest.length <= SMALL) {
      await ContextStore.put(submission, [manifest]);
    } else {
      await sendParts(submission, hash, manifest.length, (start, length) =>
        manifest.subarray(start, start + length),
      );
    }
  }
}

/** A few calls on their way at a time. */
class Window {
  private readonly calls: Promise<unknown>[] = [];

  async add(call: Promise<unknown>): Promise<void> {
    call.catch(() => {}); // It is waited for in its turn, or not at all.
    this.calls.push(call);
    if (this.calls.length >= AHEAD) await this.calls.shift();
  }

  async done(): Promise<void> {
    for (const call of this.calls.splice(0)) await call;
  }
}

/** Throws `TreeChanged`. */
function readSmall(top: SourceDir, file: ContextManifest.ContextFile): Buffer {
  const { path, sha256, size } = file;
  const { fd } = openFile(top, path);
  try {
    // One byte more, to see whether it has become longer.
    const data = Buffer.allocUnsafe(size + 1);
    const length = readSync(fd, data, 0, size + 1, 0);
    const content = data.subarray(0, length);
    if (createHash("sha256").update(content).digest("hex") !== sha256) throw new TreeChanged(path);
    return content;
  } finally {
    closeSync(fd);
  }
}

async function sendLarge(
  submission: Capability,
  top: SourceDir,
  { mtime, path, sha256, size }: ContextManifest.ContextFile,
): Promise<void> {
  const { fd } = openFile(top, path);
  const hasChanged = () => {
    const now = fstatSync(fd);
    return now.size !== size || Math.floor(now.mtimeMs * 1000) !== mtime;
  };
  try {
    await sendParts(submission, sha256, size, (start, length) => {
      const data = Buffer.allocUnsafe(length);
      const read = readSync(fd, data, 0, length, start);
      if (read < length) throw new TreeChanged(path);
      return data;
    });
  } catch (error) {
    if (RpcError.from(error).kind === "failed" && hasChanged()) throw new TreeChanged(path);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Sends a blob from where the scheduler has it on. */
async function sendParts(
  submission: Capability,
  blob: string,
  size: number,
  read: (start: number, length: number) => Uint8Array,
): Promise<void> {
  const append = (start: number, data: Uint8Array) =>
    ContextStore.append(submission, { blob, size, start, data });
  for (let tries = 0; tries < ROUNDS; tries++) {
    let at = await append(0, NOTHING);
    const parts = new Window();
    let there = at;
    while (at < size) {
      const data = read(at, Math.min(ContextStore.MAX_PART, size - at));
      const answer = append(at, data).then((length) => {
        there = length;
      });
      await parts.add(answer);
      at += data.length;
    }
    await parts.done();
    if (there === size) return;
  }
  throw new RpcError("failed", "Somebody else sends the same file at the same time");
}

const NOTHING = new Uint8Array(0);

/** Throws `TreeChanged` if there is no file any more. */
function openFile(top: SourceDir, path: string): { fd: number } {
  const parts = path.split("/");
  const name = parts.pop()!;
  const opened: SourceDir[] = [];
  try {
    let directory = top;
    for (const part of parts) {
      directory = directory.openDir(part);
      opened.push(directory);
    }
    return directory.openFile(name);
  } catch (error) {
    throw new TreeChanged(path, { cause: error });
  } finally {
    for (const each of opened) each[Symbol.dispose]();
  }
}

/** What the scheduler says of the context is the end of it. */
async function refusals<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof RpcError) || error.kind !== "failed") throw error;
    throw new JobFailure("refused", error.message, { cause: error });
  }
}

function takesNone(cause: RpcError): JobFailure {
  return new JobFailure(
    "refused",
    "This scheduler takes no local directories: --context needs a newer one. Nothing was submitted.",
    { cause },
  );
}
