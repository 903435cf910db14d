/**
 * Local directories as build contexts: how a job's description names one, by the SHA-256 of its
 * manifest. Who does not know that takes it for the URL of a repository, and fails.
 */
import type { DetachedPointer } from "../rpc/index.js";
import { byteTextLength } from "./byte-text.js";
import { JobDescr as WireJobDescr } from "./generated/ocluster.js";

/** No URL of a repository: Git knows no such protocol. */
const REPOSITORY = "ocluster-context:";

/** The number of `JobDescr.repository` among its pointers. */
const REPOSITORY_POINTER = 2;

/** As `Source` in job-descr.ts, which needs this file. */
interface Source {
  readonly repository: string;
  readonly commits: readonly string[];
}

/** The source of a job that is built from this context. `manifest`: as hexadecimal digits. */
export function sourceOf(manifest: string): Source {
  return { repository: REPOSITORY, commits: [manifest] };
}

/**
 * The manifest's hash, as hexadecimal digits, if a source is a local directory; `""` if it says so
 * and has none. Else undefined.
 */
export function manifestOf(source: Source | undefined): string | undefined {
  if (source?.repository !== REPOSITORY) return undefined;
  const [hash = "", ...others] = source.commits;
  return isHash(hash) && others.length === 0 ? hash : "";
}

/** The same of a description that is otherwise not looked into. */
export function manifestIn(pointer: DetachedPointer): string | undefined {
  const descr = pointer.as(WireJobDescr);
  if (!isLocal(descr)) return undefined;
  const { commits } = descr;
  // There may be very many.
  if (commits.length !== 1) return "";
  const hash = commits.get(0);
  return isHash(hash) ? hash : "";
}

/** Whether a description, which may be long, has a local directory for a source. */
export function isLocal(descr: WireJobDescr): boolean {
  return (
    byteTextLength(descr, REPOSITORY_POINTER) === REPOSITORY.length &&
    descr.repository === REPOSITORY
  );
}

/** Whether that is a SHA-256 as lower-case hexadecimal digits. */
export function isHash(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
