/**
 * Which lines of a log look like errors. A guess from words that compilers, package managers, test
 * runners and this cluster write: it takes a reader to about the right place, and decides nothing.
 */

/** What says that something has gone wrong, in the words of who says it. */
const SIGNS: readonly RegExp[] = [
  // cc, rustc, tsc, ld, cargo, dune, git, apt, pip, npm, docker …
  /(?:^|[\s:>\]])(?:fatal |internal |compile |syntax |type |runtime )?error(?:\[\w+\])?: \S/i,
  /(?:^|[\s:>\]])error TS\d+:/,
  /(?:^|\s)(?:fatal|panic|fatal exception): \S/i,
  /^(?:E|ERR!|ERROR|FATAL|CRITICAL)(?::| \S)/,
  /\b(?:npm|yarn|pnpm) (?:ERR!|error)/i,
  /^Error: \S/,
  /^\s*Error:?$/,
  // make, ninja, cmake
  /^g?make(?:\[\d+\])?: \*\*\* /,
  /^ninja: build stopped/,
  /^CMake Error/,
  // Tests
  /^\s*(?:--- FAIL:|not ok \d|FAIL[:\s]|FAILED\b|✗ |✕ |✖ )/,
  /\b(?:BUILD|TEST|TESTS) FAILED\b/,
  /\.{3}\s*FAIL(?:ED)?!?$/,
  /\bAssertionError\b/,
  /\b[1-9]\d* (?:tests? |examples? )?fail(?:ed|ures?)\b/i,
  // Traces
  /^Traceback \(most recent call last\)/,
  /\bException in thread\b/,
  /^(?:[\w$]+\.)+[\w$]*(?:Exception|Error)\b/,
  /^(?:thread '.*' )?panicked at /,
  /^Fatal error: exception /,
  // The shell and the kernel
  /: (?:command )?not found$/,
  /: (?:No such file or directory|Permission denied|Is a directory|Not a directory)$/i,
  /\bNo space left on device\b/i,
  /\bSegmentation fault\b|\bcore dumped\b|\bOut of memory\b|\bKilled$/,
  /\bundefined reference to\b|\bcannot find -l/,
  // Builders
  /^#\d+ ERROR: /,
  /\b(?:failed|exited|exit(?:s|ed)?) with (?:exit[- ])?(?:code|status)[: ]+[1-9]/i,
  /\bFailure\("/,
  /\bdid not complete successfully\b/,
];

/** What has such words in it, and says that all is well, or not so bad. */
const NO_SIGNS =
  /\b(?:0|no|without|any) (?:errors?|failures?|failed)\b|\bwarning: |-Werror\b|\berrors?[=:] ?0\b|\bif-error\b|\bignored\b/i;

/**
 * The heading of a step, which has its command in it: of OBuilder, of BuildKit, of the classic
 * builder.
 */
const HEADING = /^\S*: \((?:run|copy|shell|workdir|env|user)\b|^#\d+ \[|^Step \d+\/\d+ : /;

/** The longest beginning of a line that is looked at: patterns are not to be fed. */
const LOOKED_AT = 2000;

/** Whether a line, without its escapes, looks like an error. */
export function looksLikeError(line: string): boolean {
  const text = line.slice(0, LOOKED_AT);
  return SIGNS.some((sign) => sign.test(text)) && !NO_SIGNS.test(text) && !HEADING.test(text);
}

/**
 * Which of a log's lines that look like errors to go to: the first in the step that went wrong, as
 * earlier ones did no harm; else the first of all.
 *
 * `failedFrom` is the line at which that step begins.
 */
export function firstError(errors: readonly number[], failedFrom: number | null): number | null {
  const inStep = failedFrom === null ? undefined : errors.find((line) => line >= failedFrom);
  return inStep ?? errors[0] ?? null;
}
