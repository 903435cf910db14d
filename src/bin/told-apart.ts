/**
 * How commands of our own end: with a status for each kind of failure (`client/failure.ts`), and
 * with a line for programs. The reference's commands have that when they are asked for it.
 */

/** The action of such a command. One of the values that it is called with has its options. */
export function toldApart<A extends readonly unknown[]>(
  action: (...args: A) => Promise<void>,
): (...args: A) => Promise<void> {
  return async (...args) => {
    const { withStatuses } = await import("../client/index.js");
    await withStatuses({ fine: true, json: args.some(asksForJson) }, () => action(...args));
  };
}

function asksForJson(value: unknown): boolean {
  return typeof value === "object" && value !== null && "json" in value && value.json === true;
}
