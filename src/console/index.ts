/**
 * How programs speak and end: the log, the terminal, signals, exit statuses. Metrics have a door of
 * their own, `metrics.ts`, as their library is to be loaded by services only.
 */
export { clipText } from "./cells.js";
export { CommandFailed, EXIT, type FailureText, outcomeOf, UsageError } from "./errors.js";
export { LineShortener, shortNote } from "./line-shortener.js";
export { configureLog, LOG_FORMATS, type Logger, logger, VERBOSITIES } from "./log.js";
export { Screen } from "./screen.js";
export { feedWatchdog, notifyServiceManager } from "./service-manager.js";
export { describeOnSignal, dieOf, Interrupted, interruptible } from "./signals.js";
export { type Column, Table } from "./table.js";
export {
  COLORS,
  type ColorChoice,
  canRedraw,
  paint,
  type Sink,
  stderrTerminal,
  Terminal,
  useColor,
} from "./terminal.js";
export { version } from "./version.js";
