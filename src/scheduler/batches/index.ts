/** Batches: which rows begin when, and when no more do. */
export { BatchRun, type Counts, type EndState, type LiveState } from "./batch-run.js";
