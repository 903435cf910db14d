/**
 * Time for the book of durable jobs, which has no timers itself: calls `tick` when something is
 * due.
 */

/** What is to be woken. */
export interface Tickable {
  /**
   * When it wants to be called next, in seconds of the steady clock; infinite for never, in the
   * past for now.
   */
  due(): number;
  tick(): void;
}

/** Longest sleep of one timer, in ms: the system's limit is not far beyond. */
const MAX_SLEEP_MS = 86_400_000;

export class JobTimer {
  private timer: NodeJS.Timeout | undefined;
  private armedFor = Number.POSITIVE_INFINITY;
  private looking: NodeJS.Immediate | undefined;
  private running = false;

  /** @param steady seconds of the steady clock */
  constructor(
    private readonly book: Tickable,
    private readonly steady: () => number,
  ) {}

  /** From now on. */
  start(): void {
    this.running = true;
    this.changed();
  }

  /** What is due may have changed: looks at the end of this turn, however often it is called. */
  changed(): void {
    if (!this.running) return;
    this.looking ??= setImmediate(() => {
      this.looking = undefined;
      this.look();
    });
  }

  stop(): void {
    this.running = false;
    clearTimeout(this.timer);
    clearImmediate(this.looking);
  }

  private look(): void {
    const due = this.book.due();
    const wait = (due - this.steady()) * 1000;
    if (wait <= 0) {
      // One go of some milliseconds; what is left is due at once, after everybody else's turn.
      this.book.tick();
      this.changed();
      return;
    }
    if (due === this.armedFor) return;
    clearTimeout(this.timer);
    this.armedFor = due;
    if (due === Number.POSITIVE_INFINITY) return;
    this.timer = setTimeout(
      () => {
        this.armedFor = Number.POSITIVE_INFINITY;
        this.changed();
      },
      Math.min(Math.ceil(wait), MAX_SLEEP_MS),
    ).unref();
  }
}
