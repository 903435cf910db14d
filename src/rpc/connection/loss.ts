/**
 * What is left to be done when a connection has ended, as data: by then the tables are empty, and
 * nothing that is done here finds an entry in them. The connection does it, in this order:
 *
 * 1. `tell`, at once: whatever waits for the peer fails. That runs no user code, which is started
 *    from task-queue.ts.
 * 2. `release`, in slices of the loop's time: what the peer held is given back, which can be
 *    millions of things.
 */
import type { RpcError } from "../errors.js";
import type { Answer } from "./answer.js";
import type { Embargo } from "./embargo.js";
import type { Export } from "./export.js";
import type { Import } from "./import.js";
import type { Question } from "./question.js";

/** What was in the tables. */
export interface Lost {
  readonly questions: Iterable<Question>;
  readonly imports: Iterable<Import>;
  readonly embargoes: Iterable<Embargo>;
  readonly answers: Iterable<Answer>;
  readonly exports: Iterable<Export>;
}

/** Fails what waits for the peer, with `error`. */
export function tell({ questions, imports, embargoes }: Lost, error: RpcError): void {
  for (const question of questions) question.lose(error);
  for (const entry of imports) entry.lose(error);
  for (const { promise, hook } of embargoes) {
    promise.reject(error);
    promise.release();
    hook.release();
  }
}

/** Gives back what the peer held, thing by thing. */
export function* release({ answers, exports }: Lost): Generator<void> {
  for (const answer of answers) yield answer.lose();
  for (const entry of exports) yield entry.dispose();
}
