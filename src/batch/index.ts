/**
 * Batches as data, the same for those who submit them and the scheduler: compiled templates, and
 * rows as bytes.
 */
export { inAtom } from "./escapes.js";
export { RowChunk, type RowValues, RowWriter } from "./rows.js";
export { ESCAPES, type Escape, expand, type Piece, type Template } from "./template.js";
