/**
 * Logs of builds as text that people look at: colours, progress bars, errors. Pure: used by
 * the page and by who serves it.
 */
export { firstError, looksLikeError } from "./first-error.js";
export { plainText, type Run, showLine } from "./line.js";
export { PLAIN, rgbOf, type Style } from "./style.js";
