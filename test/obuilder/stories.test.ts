/*
 * Several users of one builder, as the reference lived it: who attaches to whose step, who is told
 * what, who stops what.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Builder } from "../../src/obuilder/build/builder.js";
import { LayerDatabase } from "../../src/obuilder/build/database.js";
import type {
  Fetcher,
  LayerDir,
  Sandbox,
  SandboxIo,
  SandboxStep,
} from "../../src/obuilder/contracts.js";
import { BuildCancelled, BuildError } from "../../src/obuilder/errors.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import { DirectoryStore } from "../conformance/parts.js";
import { goldenJson } from "../support/golden.js";

type Event = readonly [who: string, what: string, text: string];

interface Story {
  readonly story: string;
  readonly hits: number;
  readonly misses: number;
  readonly events: readonly Event[];
}

const stories = goldenJson("obuilder/stories.json") as Story[];

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "obuilder-stories-"));
});

afterEach(() => rm(dir, { recursive: true }));

describe("stories of the reference", () => {
  it.each(stories)("$story", async ({ events, hits, misses }) => {
    const stage = new Stage();
    const store = await DirectoryStore.create(dir);
    const database = new LayerDatabase(join(store.stateDir, "db.sqlite"));
    const builder = new Builder({ store, sandbox: stage.sandbox, fetcher: EMPTY_IMAGE, database });
    const cancels = new Map<string, AbortController>();
    for (const [index, [who, what, text]] of events.entries()) {
      if (what === "asks") {
        const cancel = new AbortController();
        cancels.set(who, cancel);
        ask(builder, stage, who, text, cancel.signal);
      } else if (what === "cancels") {
        cancels.get(who)!.abort();
      } else if (what === "lets end") {
        stage.letEnd(text, outcomeOf(events.slice(index), text));
      } else {
        // What different commands do is in no order.
        const actor = who === "sandbox" ? text : who;
        expect([actor, ...(await stage.next(actor))]).toEqual([actor, what, text]);
      }
    }
    expect(stage.unseen()).toEqual([]);
    expect(builder.stats).toEqual({ hits, misses });
    await builder.close();
    database.close();
  });
});

/** Whether the step is to fail: somebody hears of it before the command is started again. */
function outcomeOf(events: readonly Event[], command: string): BuildError | undefined {
  const restart = events.findIndex(([, what, text]) => what === "start" && text === command);
  const error = events
    .slice(0, restart < 0 ? undefined : restart)
    .find(([, what]) => what === "error");
  return error && new BuildError(error[2]);
}

function ask(builder: Builder, stage: Stage, who: string, text: string, signal: AbortSignal): void {
  const tell = (what: string, about: string) => stage.happens(who, what, about);
  const log = {
    heading: (about: string) => tell("heading", about),
    note: (about: string) => tell("note", about),
    output: (data: Uint8Array) => tell("output", Buffer.from(data).toString()),
  };
  builder.build({ spec: readSpec(text), sourceDir: "/", log, signal }).then(
    (id) => tell("result", id),
    (error: Error) =>
      error instanceof BuildCancelled ? tell("cancelled", "") : tell("error", error.message),
  );
}

const EMPTY_IMAGE: Fetcher = {
  canFetch: async () => true,
  fetch: async () => ({ env: [] }),
  resolve: async () => undefined,
};

/** What everybody sees, and a sandbox whose commands end when they are told to. */
class Stage {
  readonly #seen = new Map<string, [what: string, text: string][]>();
  readonly #watchers = new Set<() => void>();
  readonly #endings = new Map<string, (error: BuildError | undefined) => void>();

  readonly sandbox: Sandbox = {
    shell: ["sh"],
    tar: ["tar"],
    run: (step, layer, io) => this.#run(step, layer, io),
  };

  happens(who: string, what: string, text: string): void {
    const seen = this.#seen.get(who) ?? [];
    seen.push([what, text]);
    this.#seen.set(who, seen);
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Waits for what comes next for that one. */
  async next(who: string): Promise<[what: string, text: string]> {
    for (;;) {
      const event = this.#seen.get(who)?.shift();
      if (event) return event;
      await new Promise<void>((resolve) => {
        const watcher = () => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  /** All that happened beyond the story. */
  unseen(): unknown[] {
    return [...this.#seen].flatMap(([who, events]) => events.map((event) => [who, ...event]));
  }

  letEnd(command: string, error: BuildError | undefined): void {
    this.#endings.get(command)!(error);
  }

  async #run({ argv }: SandboxStep, _layer: LayerDir, { log, signal }: SandboxIo): Promise<void> {
    const command = argv.at(-1)!;
    const ended = new Promise<BuildError | undefined>((resolve) => {
      this.#endings.set(command, resolve);
    });
    signal.addEventListener("abort", () => this.happens(command, "told to stop", command));
    this.happens(command, "start", command);
    await log.write(Buffer.from(`${command} 1\n`));
    const error = await ended;
    this.happens(command, "end", command);
    if (signal.aborted) throw new BuildCancelled();
    await log.write(Buffer.from(`${command} 2\n`));
    if (error) throw error;
  }
}
