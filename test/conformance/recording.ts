/**
 * The real builder on a store, a sandbox and a fetcher that write down what is asked of them.
 * Layers are directories, commands do nothing, images are what the case says; copies are really
 * unpacked, by GNU tar.
 */

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Builder } from "../../src/obuilder/build/builder.js";
import { LayerDatabase } from "../../src/obuilder/build/database.js";
import type { BuildLog } from "../../src/obuilder/contracts.js";
import type { Spec } from "../../src/obuilder/spec/spec.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import {
  bytesOf,
  type LogLine,
  type Surroundings,
  textOf,
  writeListing,
} from "../support/obuilder-cases.js";
import { DirectoryStore, RecordingSandbox, type SandboxRecord, TableFetcher } from "./parts.js";

/** A step in the form of the golden data. */
export interface StepRecord extends Partial<SandboxRecord> {
  readonly kind: "base" | "run" | "copy";
  readonly id: string;
  readonly base?: string;
  readonly cached: boolean;
}

export interface Recording {
  readonly result?: string;
  readonly error?: unknown;
  readonly log: readonly LogLine[];
  /** Those that came to an end. */
  readonly steps: readonly StepRecord[];
}

/** Builds a spec from an empty store. */
export async function record(spec: Uint8Array, given: Surroundings): Promise<Recording> {
  const dir = await mkdtemp(join(tmpdir(), "obuilder-conformance-"));
  try {
    const sourceDir = join(dir, "source");
    const store = await DirectoryStore.create(join(dir, "store"));
    await mkdir(sourceDir);
    writeListing(sourceDir, given.source);
    const sandbox = new RecordingSandbox(given.shell, store);
    const database = new LayerDatabase(join(store.stateDir, "db.sqlite"));
    const fetcher = new TableFetcher(given.images ?? {});
    const builder = new Builder({ store, sandbox, fetcher, database });
    const parsed = readSpec(spec);
    const recorded = new RecordedLog(parsed, sandbox);
    const secrets = given.secrets?.map(([id, value]) => [textOf(id), bytesOf(value)] as const);
    try {
      const result = await builder.build({
        spec: parsed,
        sourceDir,
        log: recorded,
        ...(secrets ? { secrets } : {}),
      });
      return { result, log: recorded.lines, steps: recorded.steps };
    } catch (error) {
      return { error, log: recorded.lines, steps: recorded.steps };
    } finally {
      await builder.close();
      database.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** A step that a spec comes to. */
interface PlannedStep {
  readonly kind: "base" | "run" | "copy";
  /** The index of the step before it in the same build. */
  readonly base: number | undefined;
}

/**
 * The steps in the order of a build: nested builds first, then the base image, then the operations.
 */
function plan(spec: Spec, steps: PlannedStep[] = []): PlannedStep[] {
  for (const child of spec.children) plan(child.spec, steps);
  let base = steps.push({ kind: "base", base: undefined }) - 1;
  for (const { op } of spec.ops) {
    if (op === "run" || op === "copy") base = steps.push({ kind: op, base }) - 1;
  }
  return steps;
}

/** The build's log. Each step in it ends with a note of its layer. */
class RecordedLog implements BuildLog {
  readonly lines: LogLine[] = [];
  readonly steps: StepRecord[] = [];
  readonly #planned: readonly PlannedStep[];
  readonly #sandbox: RecordingSandbox;

  constructor(spec: Spec, sandbox: RecordingSandbox) {
    this.#planned = plan(spec);
    this.#sandbox = sandbox;
  }

  heading(text: string): void {
    this.lines.push(["heading", text]);
  }

  note(text: string): void {
    this.lines.push(["note", text]);
    const match = /^---> (saved as|using) "(\w+)"/.exec(text);
    if (!match) return;
    const id = match[2]!;
    const { kind, base } = this.#planned[this.steps.length]!;
    this.steps.push({
      kind,
      id,
      ...(base === undefined ? {} : { base: this.steps[base]!.id }),
      cached: match[1] === "using",
      ...(match[1] === "using" ? {} : this.#sandbox.recordOf(id)),
    });
  }

  output(): void {}
}
