/**
 * Object stores that speak S3: their credentials and requests at who has them, and transfers by
 * URLs at who has nothing else (`transfer.ts`, which is a door of its own: it loads no signer).
 */
export {
  Bucket,
  type BucketPlace,
  isGone,
  type UploadedPart,
  URL_SECONDS,
  type Written,
} from "./bucket.js";
export { checkBucket, StoreUnusable, unusable } from "./check.js";
export { findCredentials } from "./credentials.js";
