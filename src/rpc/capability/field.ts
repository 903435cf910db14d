/**
 * A capability of an answer that is not there yet (promise pipelining). Turns into the real one when the answer comes.
 */
import type { Path } from "../wire/messages.js";
import { Hook } from "./hook.js";
import type { CallRequest } from "./request.js";
import type { ResultPromise } from "./result.js";

export class FieldHook extends Hook {
  private target: Hook | undefined;

  /** Takes a reference to `result`. */
  constructor(
    readonly result: ResultPromise,
    readonly path: Path,
  ) {
    super();
  }

  override get next(): Hook | undefined {
    return this.target;
  }

  override get isPromise(): boolean {
    return this.target === undefined;
  }

  override get blocker(): Hook | ResultPromise | undefined {
    return this.target === undefined ? this.result.blocker : this.target.blocker;
  }

  override remote(connection: object): unknown {
    return this.target === undefined ? this.result.remote(connection, this.path) : undefined;
  }

  override call(request: CallRequest): void {
    if (this.target === undefined) this.result.pipeline(this.path, request);
    else this.target.call(request);
  }

  override onLeak(): void {
    if (this.target === undefined) this.result.onLeak();
    else this.target.onLeak();
  }

  /** Calls on this go to another place than before, though what it is in the end is not known yet. */
  moved(): void {
    this.notifyWatchers(this);
  }

  /** The answer is there, or known to be another one's. Takes `target`. */
  resolve(target: Hook): void {
    this.target = target;
    this.notifyWatchers(target);
    this.result.release();
  }

  protected override dispose(): void {
    if (this.target === undefined) this.result.dropField(this.path);
    else this.target.release();
  }
}
