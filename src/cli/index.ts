/**
 * The grammar of command lines: how commands, options and values are declared.
 */
export { unabbreviated } from "./argv.js";
export {
  argument,
  command,
  connectOption,
  option,
  program,
  repeatedArgument,
  repeatedOption,
  runMain,
} from "./command.js";
export { explained, seldom } from "./help.js";
export {
  assignment,
  decimal,
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
