/**
 * A trampoline for what follows from each other: a release that is the last one, and so releases
 * what was held; an answer that others wait for. Peers decide how long such a chain gets, so that
 * the steps of one do not nest: a step that comes up inside of another one is taken behind it. To
 * who started the first, all are taken at once.
 */
export interface Step {
  run(): void;
}

let isRunning = false;
let waiting: Step[] = [];

/**
 * Takes `step` now, with all that follow from it – or, if it follows from another one, behind that.
 */
export function trampoline(step: Step): void {
  if (isRunning) {
    waiting.push(step);
    return;
  }
  isRunning = true;
  let failure: { readonly error: unknown } | undefined;
  let next: Step | undefined = step;
  for (let taken = 0; next !== undefined; next = waiting[taken++]) {
    try {
      next.run();
    } catch (error) {
      // The others have nothing to do with it.
      failure ??= { error };
    }
  }
  if (waiting.length > 0) waiting = [];
  isRunning = false;
  if (failure !== undefined) throw failure.error;
}
