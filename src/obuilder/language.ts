/**
 * The language of specs by itself, and that of Dockerfiles: what reads and checks them, without a
 * builder.
 */
export { parseDockerfile } from "./dockerfile/parser.js";
export { SexpError } from "./sexp/errors.js";
export { toHuman } from "./sexp/printer.js";
export { readSexp } from "./sexp/reader.js";
export { isAtom, type List, type Sexp } from "./sexp/sexp.js";
export { readSpec } from "./spec/spec-reader.js";
