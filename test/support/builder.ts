/*
 * A builder with real parts in a temporary directory: busybox as base image, no network, no engine.
 */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Builder,
  type BuilderOptions,
  type BuildLog,
  openBuilder,
  readSpec,
} from "../../src/obuilder/index.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "./oci-layout.js";

/** A directory with the image `busybox`, and room for stores. */
export class Workshop {
  readonly dir: string;

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), "obuilder-test-"));
    this.image("busybox", "latest", busyboxRoot, ["PATH=/bin:/usr/bin"]);
    mkdirSync(this.path("source"));
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** Adds a base image. */
  image(name: string, tag: string, fill: (rootfs: string) => void, env: readonly string[]): void {
    withTemporaryRoot(fill, (rootfs) =>
      writeOciLayout(join(this.path("images"), name), { rootfs, env: [...env], tag }),
    );
  }

  /** Opens a builder; its store is on overlayfs unless said otherwise. */
  open(options: Partial<BuilderOptions> = {}): Promise<Builder> {
    return openBuilder({
      store: `overlayfs:${this.path("store")}`,
      imageDir: this.path("images"),
      fetch: ["local"],
      ...options,
    });
  }

  /** Builds on `busybox` with its shell; resolves with the id. */
  build(builder: Builder, ops: string, options: BuildOptions = {}): Promise<string> {
    const spec = readSpec(`((from busybox) (shell /bin/sh -c) ${ops})`);
    const { log = new TextLog(), signal, sourceDir = this.path("source") } = options;
    return builder.build({ spec, sourceDir, log, ...(signal ? { signal } : {}) });
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export interface BuildOptions {
  readonly log?: BuildLog;
  readonly signal?: AbortSignal;
  readonly sourceDir?: string;
}

/** A log as text. */
export class TextLog implements BuildLog {
  /** Headings and notes, one a line. */
  lines: string[] = [];
  /** What steps printed. */
  text = "";
  readonly #watchers = new Set<() => void>();

  heading(text: string): void {
    this.lines.push(text);
  }

  note(text: string): void {
    this.lines.push(text);
  }

  output(data: Uint8Array): void {
    this.text += Buffer.from(data).toString("utf8");
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Waits for the output to match. */
  async sees(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      await new Promise<void>((resolve) => {
        const watcher = () => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }
}
