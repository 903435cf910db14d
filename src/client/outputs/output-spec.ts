/**
 * What a client wants of a job's result, and where it is to be put: `REMOTE:LOCAL`, as it is given
 * with `--output`.
 */
import { readPathPattern } from "../../text/index.js";

/** Where to put it, `path` being on this machine. */
export type LocalTarget =
  /** One file, to standard output. */
  | { readonly kind: "stdout" }
  | { readonly kind: "archive"; readonly path: string; readonly gzip: boolean }
  /** As that. */
  | { readonly kind: "as"; readonly path: string }
  /** Files in that directory, under their names; a directory as that. */
  | { readonly kind: "into"; readonly path: string }
  /** In that directory under its name, whatever it is. */
  | { readonly kind: "under"; readonly path: string };

export interface OutputSpec {
  /** An absolute path or pattern in the result. */
  readonly remote: string;
  /** Null: it is kept at the scheduler. */
  readonly local: LocalTarget | null;
}

/**
 * Reads `REMOTE:LOCAL`, or `REMOTE` alone. Returns in words what is wrong with it, if something is.
 */
export function readOutputSpec(text: string): OutputSpec | string {
  const at = /^((?:\\.|[^\\:])*)(?::(.*))?$/s.exec(text);
  if (!at) return "it ends in a backslash";
  const remote = at[1]!.replaceAll("\\:", ":");
  const pattern = readPathPattern(remote);
  if (typeof pattern === "string") return `'${remote}' ${pattern}`;
  if (at[2] === undefined) return { remote, local: null };
  const local = readTarget(at[2]);
  if (typeof local === "string") return local;
  if (pattern.parts.length > 0 && local.kind !== "into" && local.kind !== "archive") {
    return `'${remote}' may be several files: end LOCAL in '/', or in '.tar' or '.tar.gz'`;
  }
  return { remote, local };
}

function readTarget(local: string): LocalTarget | string {
  if (local === "") return "nothing follows the ':': give REMOTE:LOCAL";
  if (local.includes("\0")) return "LOCAL has a NUL";
  if (local === "-") return { kind: "stdout" };
  if (local.endsWith("/")) return { kind: "into", path: local };
  const archive = /\.(tar|tar\.gz|tgz)$/.exec(local);
  if (archive) return { kind: "archive", path: local, gzip: archive[1] !== "tar" };
  return { kind: "as", path: local };
}
