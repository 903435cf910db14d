/**
 * Of which attempts files are kept, and which of them have to go: what is too old, and the oldest
 * when all together are too large.
 */
export interface Kept {
  readonly job: number;
  readonly attempt: number;
  /** Bytes of the stream. */
  readonly size: number;
  /** In Unix seconds. */
  readonly since: number;
}

/** For how many seconds they are kept, and how many bytes all may have together. */
export interface Keeping {
  readonly keepAge: number;
  readonly keepSize: number;
}

export class KeptOutputs {
  /** By `outputKey`, the oldest first. */
  private readonly kept = new Map<string, Kept>();
  /** The attempts of each job of which files are kept. */
  private readonly attempts = new Map<number, Set<number>>();
  private total = 0;

  constructor(private readonly keeping: Keeping) {}

  /** Of how many attempts. */
  get count(): number {
    return this.kept.size;
  }

  /** Bytes of all. */
  get bytes(): number {
    return this.total;
  }

  size(job: number, attempt: number): number {
    return this.kept.get(outputKey(job, attempt))?.size ?? 0;
  }

  newest(job: number): number | undefined {
    const attempts = this.attempts.get(job);
    return attempts && Math.max(...attempts);
  }

  /** Those that were there before are added first, the oldest first. */
  add(one: Kept): void {
    this.forget(one);
    this.kept.set(outputKey(one.job, one.attempt), one);
    this.total += one.size;
    const attempts = this.attempts.get(one.job) ?? new Set();
    this.attempts.set(one.job, attempts.add(one.attempt));
  }

  forget({ attempt, job }: Pick<Kept, "job" | "attempt">): void {
    const one = this.kept.get(outputKey(job, attempt));
    if (!one) return;
    this.kept.delete(outputKey(job, attempt));
    this.total -= one.size;
    const attempts = this.attempts.get(job)!;
    attempts.delete(attempt);
    if (attempts.size === 0) this.attempts.delete(job);
  }

  /** Forgets the next that has to go; undefined if none has. */
  takeExpired(): Kept | undefined {
    const { keepAge, keepSize } = this.keeping;
    const [oldest] = this.kept.values();
    if (!oldest) return undefined;
    const isOld = Date.now() / 1000 - oldest.since > keepAge;
    if (!isOld && this.total <= keepSize) return undefined;
    this.forget(oldest);
    return oldest;
  }
}

/** `17-2`: attempt 2 of job 17. */
export function outputKey(job: number, attempt: number): string {
  return `${job}-${attempt}`;
}

/** What `outputKey` has made; undefined of anything else. */
export function readOutputKey(key: string): Pick<Kept, "job" | "attempt"> | undefined {
  const [, job, attempt] = /^(\d{1,15})-(\d{1,10})$/.exec(key) ?? [];
  return job === undefined ? undefined : { job: Number(job), attempt: Number(attempt) };
}
