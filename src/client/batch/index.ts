/** Batches as their users have them: what the commands do. */
export { batchFields, resultOf } from "./batch-json.js";
export { cancelBatch, listBatches, retryBatch, showBatch } from "./look.js";
export { fetchBatch, runBatch, watchBatch } from "./run-batch.js";
