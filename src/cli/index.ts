/**
 * The grammar of command lines: how commands, options and values are declared.
 */
export { unabbreviated } from "./argv.js";
export { command, program } from "./command.js";
export {
  argument,
  completedBy,
  connectOption,
  option,
  repeatedArgument,
  repeatedOption,
  seldom,
  withFallback,
} from "./option.js";
export { runMain } from "./run.js";
export {
  assignment,
  decimal,
  described,
  directory,
  duration,
  existingDirectory,
  existingFile,
  imageTarget,
  integer,
  list,
  moment,
  namedUrls,
  nonEmpty,
  oneOf,
  type Parser,
  percentage,
  port,
  secretFile,
  size,
  utf8Name,
  ValueError,
} from "./values.js";
