/**
 * Text and bytes: how they are compared, quoted and shown to people.
 */
export { byteLength, compareBytes, fromBytes, toBytes } from "./bytes.js";
export { IgnoreFile, type IgnorePattern } from "./ignore-file.js";
export { parseImageTarget, type TargetProblem } from "./image-target.js";
export { compareNames, findName } from "./names.js";
export { type PathPattern, type PatternPart, readPathPattern } from "./path-pattern.js";
export { escaped, mustQuote, quoted } from "./quoting.js";
export {
  clockDuration,
  exactDuration,
  exactSize,
  isoMoment,
  readDuration,
  readMoment,
  readSize,
  roughAge,
  roughDuration,
  writeDuration,
  writeMoment,
  writeSize,
} from "./units.js";
export { visible, visibleJson, visibleLines } from "./visible.js";
