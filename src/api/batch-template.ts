/**
 * What a client says of a new batch, as values and as it travels and is kept: the template above
 * all.
 */
import { createHash } from "node:crypto";
import { ESCAPES, expand, type Piece, type Template } from "../batch/index.js";
import { type DetachedPointer, detachedStruct, RpcError } from "../rpc/index.js";
import { fromBytes } from "../text/index.js";
import {
  DEFAULT_DURABLE_OPTIONS,
  type DurableOptions,
  readDurableOptions,
  writeDurableOptions,
} from "./durable-submission.js";
import {
  BatchPiece_Which,
  NewBatch as WireNewBatch,
  type BatchTemplate as WireTemplate,
  type BatchText as WireText,
} from "./generated/extensions.js";
import { JobDescr as WireJobDescr } from "./generated/ocluster.js";
import { type JobDescr, readDescr, writeJobDescr } from "./job-descr.js";

/** From a row to the description of its job. */
export interface BatchTemplate {
  readonly columns: readonly string[];
  /** Of all rows. What the templates below say is empty in here; it is no custom job. */
  readonly descr: JobDescr;
  /** Of an OBuilder job. */
  readonly spec: Template;
  /** Of a Docker job. */
  readonly buildArgs: readonly Template[];
  readonly hint: Template;
}

/** When a batch's rows begin, and when no more do. */
export interface BatchRules {
  /** The first so many rows must succeed before others begin. */
  readonly canary: number;
  /** Rows that have begun and not ended, at a time. */
  readonly maxRunning: number;
  /** More failed rows than that stop the batch. */
  readonly maxFailures: number;
  /** The same in percent of all rows. */
  readonly maxFailuresPercent: number;
}

/** No rules: numbers that never come to be. */
export const NO_RULES: BatchRules = {
  canary: 0,
  maxRunning: Number.POSITIVE_INFINITY,
  maxFailures: Number.POSITIVE_INFINITY,
  maxFailuresPercent: Number.POSITIVE_INFINITY,
};

export interface NewBatch {
  /** "": none. */
  readonly name: string;
  /** 32 bytes, of all that makes the batch: the same again is the same batch. */
  readonly digest: Uint8Array;
  readonly fresh: boolean;
  readonly pool: string;
  readonly urgent: boolean;
  /** Of each job; `name`, `key` and `after` do not count. */
  readonly options: DurableOptions;
  readonly rules: BatchRules;
  readonly template: BatchTemplate;
}

export function writeNewBatch(wire: WireNewBatch, batch: NewBatch): void {
  const { canary, maxFailures, maxFailuresPercent, maxRunning } = batch.rules;
  wire.name = batch.name;
  wire._initDigest(batch.digest.length).copyBuffer(batch.digest);
  wire.fresh = batch.fresh;
  wire.pool = batch.pool;
  wire.urgent = batch.urgent;
  writeDurableOptions(wire._initOptions(), batch.options);
  wire.canary = BigInt(canary);
  wire.maxRunning = Number.isFinite(maxRunning) ? BigInt(maxRunning) : 0n;
  wire.inPercent = Number.isFinite(maxFailuresPercent);
  const most = wire.inPercent ? maxFailuresPercent : maxFailures;
  wire.maxFailures = Number.isFinite(most) ? most : -1;
  writeTemplate(wire._initTemplate(), batch.template);
}

/**
 * Reads what somebody sent, or what was kept of it. Throws an `RpcError` (failed) that says what is
 * wrong with it.
 */
export function readNewBatch(pointer: DetachedPointer): NewBatch {
  const wire = pointer.as(WireNewBatch);
  const most = wire.maxFailures >= 0 ? wire.maxFailures : Number.POSITIVE_INFINITY;
  const { after: _, ...options } = readDurableOptions(wire.options);
  return {
    name: wire.name,
    digest: wire.digest.toUint8Array().slice(),
    fresh: wire.fresh,
    pool: wire.pool,
    urgent: wire.urgent,
    options: { ...DEFAULT_DURABLE_OPTIONS, ...options, name: "", key: "" },
    rules: {
      canary: Number(wire.canary),
      maxRunning: Number(wire.maxRunning) || Number.POSITIVE_INFINITY,
      maxFailures: wire.inPercent ? Number.POSITIVE_INFINITY : most,
      maxFailuresPercent: wire.inPercent ? most : Number.POSITIVE_INFINITY,
    },
    template: readTemplate(wire.template),
  };
}

/**
 * The description of a row's job. Throws a `RangeError` if it would have more than `limit` bytes.
 *
 * @param values bytes, a character for each
 */
export function describeRow(
  template: BatchTemplate,
  values: readonly string[],
  limit: number,
): Uint8Array {
  const put = (pieces: Template): string => expand(pieces, values, limit);
  const { descr, hint } = template;
  const job: JobDescr = {
    ...descr,
    cacheHint: text(put(hint)),
    action:
      descr.action.kind === "docker"
        ? { ...descr.action, buildArgs: template.buildArgs.map((pieces) => text(put(pieces))) }
        : { kind: "obuilder", spec: byteString(put(template.spec)) },
  };
  using pointer = detachedStruct(WireJobDescr, (root) => writeJobDescr(root, job));
  const bytes = pointer.toBytes();
  if (bytes.length > limit) throw new RangeError(`The description has more than ${limit} bytes`);
  return bytes;
}

/**
 * What tells a row's job from others: 16 bytes as a text. It is the same whenever the job's
 * description is, wherever its row stands and whatever else is in that. Null if a text of it would
 * have more than `limit` bytes: no such job can be.
 */
export function identities(
  batch: NewBatch,
  limit: number,
): (values: readonly string[]) => string | null {
  const { options, pool, template } = batch;
  // A result without the files that are wanted now is another one.
  const same = JSON.stringify([pool, template.descr, options.outputs]);
  const texts = [template.spec, template.hint, ...template.buildArgs];
  return (values) => {
    const hash = createHash("sha256").update(same);
    try {
      for (const pieces of texts) {
        const text = expand(pieces, values, limit);
        hash.update(`\0${text.length} `).update(text, "latin1");
      }
    } catch (error) {
      if (error instanceof RangeError) return null;
      throw error;
    }
    return hash.digest().toString("latin1", 0, 16);
  };
}

/** The cache hint of a row's job. Throws a `RangeError` if it has more than `limit` bytes. */
export function hintOf({ hint }: BatchTemplate, values: readonly string[], limit: number): string {
  const made = text(expand(hint, values, limit));
  // What is no UTF-8 becomes longer.
  if (Buffer.byteLength(made) > limit)
    throw new RangeError(`The hint has more than ${limit} bytes`);
  return made;
}

/** Bytes as a text: on the wire, that is UTF-8. */
function text(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString();
}

function byteString(bytes: string): string {
  return /[^\x00-\x7f]/.test(bytes) ? fromBytes(Buffer.from(bytes, "latin1")) : bytes;
}

function writeTemplate(wire: WireTemplate, template: BatchTemplate): void {
  const { buildArgs, columns, descr, hint, spec } = template;
  const names = wire._initColumns(columns.length);
  for (const [index, name] of columns.entries()) names.set(index, name);
  writeJobDescr(wire._initDescr(), descr);
  writePieces(wire._initSpec(), spec);
  const args = wire._initBuildArgs(buildArgs.length);
  for (const [index, pieces] of buildArgs.entries()) writePieces(args.get(index), pieces);
  writePieces(wire._initHint(), hint);
}

function writePieces(wire: WireText, pieces: Template): void {
  const list = wire._initPieces(pieces.length);
  for (const [index, piece] of pieces.entries()) {
    const entry = list.get(index);
    if (typeof piece === "string") {
      entry._initText(piece.length).copyBuffer(Buffer.from(piece, "latin1"));
    } else {
      const slot = entry._initSlot();
      slot.column = piece.column;
      slot.escape = ESCAPES.indexOf(piece.escape);
    }
  }
}

function readTemplate(wire: WireTemplate): BatchTemplate {
  const columns = wire.columns.toArray();
  const descr = readDescr(wire.descr);
  if (descr.action.kind === "custom") {
    throw new RpcError(
      "failed",
      "A batch is of specs or Dockerfiles: custom jobs have no templates",
    );
  }
  return {
    columns,
    descr,
    spec: readPieces(wire.spec, columns.length),
    buildArgs: wire.buildArgs.map((pieces) => readPieces(pieces, columns.length)),
    hint: readPieces(wire.hint, columns.length),
  };
}

function readPieces(wire: WireText, columns: number): Piece[] {
  return wire.pieces.map((piece) => {
    if (piece.which() === BatchPiece_Which.TEXT) {
      return Buffer.from(piece.text.toUint8Array()).toString("latin1");
    }
    const { column, escape: number } = piece.slot;
    const writing = ESCAPES[number];
    if (writing === undefined || column >= columns) {
      throw new RpcError(
        "failed",
        "This scheduler does not know such templates: it is an older one",
      );
    }
    return { column, escape: writing };
  });
}
