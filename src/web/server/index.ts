/** The web page's server: a program of its own, which shows what a capability may see. */
export { isLoopback, makeLink, makeToken, runWeb } from "./main.js";
