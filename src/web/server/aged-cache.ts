/**
 * What the scheduler has said, for a moment: whoever asks the same within its age has the same
 * answer, and who asks while somebody waits for it waits for that. So a hundred open pages cost the
 * scheduler what one does.
 */
import { WEB_LIMITS } from "./limits.js";

/** Answers that are kept; the one that was asked for first goes first. */
const MAX_KEPT = 500;

interface Kept {
  readonly value: unknown;
  /** In ms. */
  readonly at: number;
  readonly size: number;
}

export class AgedCache {
  private readonly kept = new Map<string, Kept>();
  private readonly coming = new Map<string, Promise<unknown>>();
  private size = 0;
  /** What was asked for before a `clear` is not kept. */
  private era = 0;

  /** `now` in ms on any clock that does not jump. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /**
   * The answer to what `key` stands for, not older than `ageMs`. What `fetch` rejects with goes to
   * all who wait, and is not kept. @param size of the answer, in characters
   */
  async get<T>(
    key: string,
    ageMs: number,
    fetch: () => Promise<T>,
    size: (value: T) => number = () => 1000,
  ): Promise<T> {
    const kept = this.kept.get(key);
    if (kept && this.now() - kept.at <= ageMs) return kept.value as T;
    const coming = this.coming.get(key);
    if (coming) return (await coming) as T;
    const { era } = this;
    const asked = this.now();
    const fetched = fetch().then((value) => {
      if (era === this.era) this.keep(key, { value, at: asked, size: size(value) });
      return value;
    });
    this.coming.set(key, fetched);
    try {
      return await fetched;
    } finally {
      if (this.coming.get(key) === fetched) this.coming.delete(key);
    }
  }

  /** Forgets all: something was changed. */
  clear(): void {
    this.era++;
    this.kept.clear();
    this.coming.clear();
    this.size = 0;
  }

  private keep(key: string, kept: Kept): void {
    this.drop(key);
    this.kept.set(key, kept);
    this.size += kept.size;
    while (this.kept.size > MAX_KEPT || (this.size > WEB_LIMITS.cacheBytes && this.kept.size > 1)) {
      const [oldest] = this.kept.keys();
      this.drop(oldest!);
    }
  }

  private drop(key: string): void {
    const kept = this.kept.get(key);
    if (!kept) return;
    this.kept.delete(key);
    this.size -= kept.size;
  }
}
