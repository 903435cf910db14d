/**
 * Reference counting. Who makes something counted, or gets it from a function that says so, holds
 * one reference and gives it back with `release`; `addRef` makes another.
 */
import { type Step, trampoline } from "./trampoline.js";

export abstract class RefCounted implements Step {
  private references = 1;
  private isDisposing = false;

  get isReferenced(): boolean {
    return this.references > 0;
  }

  addRef(): this {
    this.references++;
    return this;
  }

  release(): void {
    if (--this.references > 0 || this.isDisposing) return;
    this.isDisposing = true;
    trampoline(this);
  }

  /** A step of the trampoline: nobody held this a moment ago. */
  run(): void {
    this.isDisposing = false;
    // Somebody may have found it in a table in the meantime.
    if (this.references === 0) this.dispose();
  }

  /** The last reference is gone: lets go of what this holds. */
  protected abstract dispose(): void;
}
