/**
 * From templates and rows to a batch that can be submitted: all of both is read and checked first,
 * so that nothing is submitted of a batch that is wrong somewhere.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Batches, DockerBuild, Secret, Source } from "../../api/index.js";
import { expand, type RowValues, RowWriter, type Template } from "../../batch/index.js";
import { UsageError } from "../../console/index.js";
import { readSpec, SexpError } from "../../obuilder/language.js";
import { quoted, visible } from "../../text/index.js";
import { Columns } from "./columns.js";
import { combined, openSource, type Range, rangeSource } from "./rows/open-source.js";
import { type RowSource, type SourceRow, textOfBytes } from "./rows/row-source.js";
import { compileSpec } from "./spec-template.js";
import { BatchInputError } from "./template-error.js";
import { compileText } from "./text-template.js";

export interface BatchInput {
  /** A file with a spec; or a Dockerfile's build, whose build arguments are templates. */
  readonly build:
    | { readonly kind: "spec"; readonly file: string }
    | { readonly kind: "docker"; readonly action: DockerBuild };
  /** Files with rows, as `openSource` takes them. */
  readonly each: readonly string[];
  readonly range?: Range | undefined;
  /** A template of keys; by default a row's number. */
  readonly key?: string | undefined;
  readonly cacheHint: string;
  readonly source: Source | undefined;
  readonly secrets: readonly Secret[];
  /** Rows at the beginning that are left out, and how many are taken at most. */
  readonly skip: number;
  readonly limit: number;
  /** Columns that nothing uses are no mistake. */
  readonly allowUnused: boolean;
}

export interface PreparedBatch {
  readonly template: Batches.BatchTemplate;
  /** Rows, in the form in which they are sent. */
  readonly chunks: readonly { readonly first: number; readonly bytes: Uint8Array }[];
  readonly count: number;
  /** 32 bytes, of template and rows. */
  readonly digest: Uint8Array;
  /** The first few. */
  readonly sample: readonly RowValues[];
  /** Of a spec: its operations, and how many of them from the first on are the same in all rows. */
  readonly steps: { readonly all: number; readonly shared: number } | null;
}

/** A chunk is sent in one call, and kept as one. */
const CHUNK_ROWS = 4096;
const CHUNK_BYTES = 256 * 1024;

/** Bytes of the text of one job; the scheduler has the last word. */
const MAX_TEXT = 16 * 1024 * 1024;

/** Characters. */
const MAX_KEY = 200;

/** Rows whose specs are read as a builder would. */
const SAMPLE = 100;

/** Rejects with `BatchInputError`, `UsageError` and the system's errors for files. */
export async function prepare(input: BatchInput): Promise<PreparedBatch> {
  const sources: RowSource[] = [];
  for (const each of input.each) sources.push(await openSource(each));
  if (input.range) sources.push(rangeSource(input.range));
  const source = await combined(sources);
  const columns = new Columns(source.columns);
  const { compiled, steps, template } = compileAll(input, columns);
  const key = input.key === undefined ? null : compileText(input.key, "--key", columns);
  const { unused } = columns;
  if (unused.length > 0 && !input.allowUnused) {
    const which = unused.map((name) => quoted(name)).join(", ");
    throw new BatchInputError(
      { file: source.file, line: 1, column: 1 },
      `nothing uses the column${unused.length > 1 ? "s" : ""} ${which} (--allow-unused permits that)`,
    );
  }
  const collector = new Collector(source, template, key, compiled, [...columns.shellWords]);
  await collector.read(input.skip, input.limit);
  const digest = createHash("sha256").update(JSON.stringify(template));
  for (const { bytes } of collector.chunks) digest.update(bytes);
  const { chunks, count, sample } = collector;
  return { template, chunks, count, digest: digest.digest(), sample, steps };
}

/** The text of a row's spec, as bytes. */
export function specOf(template: Batches.BatchTemplate, { values }: RowValues): Uint8Array {
  return Buffer.from(expand(template.spec, values, MAX_TEXT), "latin1");
}

function compileAll({ build, cacheHint, secrets, source }: BatchInput, columns: Columns) {
  const hint = compileText(cacheHint, "--cache-hint", columns);
  const rest = { cacheHint: "", source, secrets };
  if (build.kind === "docker") {
    const { action } = build;
    const buildArgs = action.buildArgs.map((arg) => compileText(arg, "--build-arg", columns));
    const descr = { ...rest, action: { ...action, buildArgs: [] } };
    const template: Batches.BatchTemplate = {
      ...{ columns: columns.names, descr, spec: [], buildArgs, hint },
    };
    return { template, compiled: null, steps: null };
  }
  const { pieces, shared, steps } = compileSpec(readFileSync(build.file), build.file, columns);
  const template: Batches.BatchTemplate = {
    columns: columns.names,
    descr: { ...rest, action: { kind: "obuilder", spec: "" } },
    ...{ spec: pieces, buildArgs: [], hint },
  };
  return { template, compiled: build.file, steps: { all: steps, shared } };
}

/** Checks rows as they come, and puts them into chunks. */
class Collector {
  readonly chunks: { first: number; bytes: Uint8Array }[] = [];
  readonly sample: RowValues[] = [];
  count = 0;
  private readonly writer = new RowWriter();
  private readonly keys = new Map<string, number>();

  constructor(
    private readonly source: RowSource,
    private readonly template: Batches.BatchTemplate,
    private readonly key: Template | null,
    private readonly specFile: string | null,
    private readonly shellWords: readonly number[],
  ) {}

  async read(skip: number, limit: number): Promise<void> {
    let number = 0;
    for await (const some of this.source.rows) {
      for (const row of some) {
        number++;
        if (number <= skip) continue;
        if (this.count >= limit) break;
        this.add(row, number);
      }
      if (this.count >= limit) break;
    }
    this.flush();
    if (this.count === 0) throw new UsageError(`there are no rows in ${this.source.file}`);
  }

  private add(row: SourceRow, number: number): void {
    const { line, values } = row;
    if (values.length !== this.template.columns.length) {
      throw this.fail(
        line,
        `this row has ${values.length} values, and there are ${this.template.columns.length} columns`,
      );
    }
    for (const column of this.shellWords) {
      if (values[column]!.includes("\0")) {
        const name = quoted(this.template.columns[column]!);
        throw this.fail(line, `the value of ${name} has a NUL, which no shell can be given`);
      }
    }
    const key = this.keyOf(values, number, line);
    this.writer.add(key, values);
    this.count++;
    if (this.sample.length < SAMPLE) this.check({ key, values }, line);
    if (this.writer.count >= CHUNK_ROWS || this.writer.byteLength >= CHUNK_BYTES) this.flush();
  }

  private keyOf(values: readonly string[], number: number, line: number): string {
    if (this.key === null) return String(number);
    const key = textOfBytes(expand(this.key, values, MAX_TEXT));
    if (key === "" || key.length > MAX_KEY) {
      throw this.fail(line, `the key has ${key.length} characters: use 1 to ${MAX_KEY}`);
    }
    if (/[\p{Cc}\ufffd]/u.test(key)) {
      throw this.fail(line, `the key ${quoted(key)} has control characters, or is no UTF-8`);
    }
    const before = this.keys.get(key);
    if (before !== undefined) {
      throw this.fail(line, `the key ${visible(key)} is that of line ${before}, too (--key)`);
    }
    this.keys.set(key, line);
    return key;
  }

  /** Reads the spec as a builder would. */
  private check(row: RowValues, line: number): void {
    this.sample.push(row);
    if (this.specFile === null) return;
    try {
      readSpec(specOf(this.template, row));
    } catch (error) {
      if (error instanceof SexpError)
        throw this.fail(line, `of this row no spec can be made: ${error.message}`);
      if (error instanceof RangeError) throw this.fail(line, error.message);
      throw error;
    }
  }

  private flush(): void {
    const { count } = this.writer;
    if (count > 0) this.chunks.push({ first: this.count - count, bytes: this.writer.take() });
  }

  private fail(line: number, problem: string): BatchInputError {
    return new BatchInputError({ file: this.source.file, line, column: 1 }, problem);
  }
}
