/**
 * The safety net under ownership: a capability or answer that is garbage collected without having
 * been released is released then, and counted.
 */
/** Something that is held. */
export interface Holding {
  release(): void;
  /** Tells whom it belongs to, such as a connection. */
  onLeak(): void;
}

let leaked = 0;

const registry = new FinalizationRegistry<Holding>((holding) => {
  leaked++;
  holding.onLeak();
  holding.release();
});

export function trackHolder(holder: object, holding: Holding): void {
  registry.register(holder, holding, holder);
}

export function untrackHolder(holder: object): void {
  registry.unregister(holder);
}

/**
 * References in this process that were lost without having been released, on any connection or
 * none.
 */
export function leakedReferences(): number {
  return leaked;
}
