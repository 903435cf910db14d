/**
 * The release of memory after a rush. The runtime collects garbage when something needs the room. A
 * scheduler that had a hundred thousand jobs and has none any more needs none, and would keep what
 * they took, hundreds of megabytes, until the next rush.
 *
 * States: calm → rush, when many tickets are held at a time → calm, when hardly any are left;
 * garbage is then collected, some times.
 */

/** Tickets that make a rush: some tens of megabytes. */
const MANY = 10_000;

/** Tickets that are none: what is still in use makes collecting long. */
const FEW = 1000;

/**
 * The first collection leaves what came to be garbage meanwhile, and pages that only the next ones
 * empty.
 */
const COLLECTIONS = 4;

const PAUSE_MS = 1000;

/** V8 looks for garbage when memory outside of its heap has grown by 64 MiB since it last did. */
const NUDGE_BYTES = 96 * 1024 * 1024;

export class MemoryRelease {
  private tickets = 0;
  private isOn = false;
  private left = 0;

  /** @param collect called when there may be much garbage */
  constructor(private readonly collect = nudgeCollector) {}

  /** Counts a ticket that was given out. */
  enter(): void {
    this.tickets++;
    if (this.tickets >= MANY) this.isOn = true;
  }

  /** Counts one that is not held any more. */
  leave(): void {
    this.tickets--;
    if (!this.isOn || this.tickets >= FEW) return;
    this.isOn = false;
    if (this.left === 0) this.collectLater();
    this.left = COLLECTIONS;
  }

  private collectLater(): void {
    setTimeout(() => {
      if (this.isOn) this.left = 1;
      else this.collect();
      if (--this.left > 0) this.collectLater();
    }, PAUSE_MS).unref();
  }
}

/**
 * Has garbage collected, in small steps beside everything else; `gc()` would stop everything.
 * Memory outside of the heap may hang on objects in it, so V8 starts when there is more of that:
 * here it is a buffer which nobody writes to, so that the system never has to provide it, and which
 * is garbage itself.
 */
export function nudgeCollector(): void {
  try {
    new ArrayBuffer(NUDGE_BYTES);
  } catch {
    // The process may not have as much as that: it collects often enough.
  }
}
