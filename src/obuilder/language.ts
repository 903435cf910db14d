/**
 * The language of specs by itself, and that of Dockerfiles: what reads and checks them, without a builder.
 */
export { parseDockerfile } from "./dockerfile/parser.js";
export { SexpError } from "./sexp/errors.js";
export { readSpec } from "./spec/spec-reader.js";
