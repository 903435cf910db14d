/**
 * Batches as data, the same for those who submit them and the scheduler: compiled templates, and rows as bytes.
 */

export { RowChunk, type RowValues, RowWriter } from "./rows.js";
export { ESCAPES, expand, type Piece, type Template } from "./template.js";
