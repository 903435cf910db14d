/**
 * Descriptions of the jobs that were submitted last, of so many bytes together: where queues are
 * short a worker gets a job's description moments after it was submitted, and need not wait for it
 * to be read and decrypted.
 */

/** Bytes that are kept. */
const MOST_BYTES = 4 * 1024 * 1024;

/** What one takes beside its bytes. */
const OVERHEAD = 200;

export class RecentDescriptions {
  /** By job, the oldest first. */
  private readonly kept = new Map<number, Uint8Array>();
  private bytes = 0;

  constructor(private readonly most = MOST_BYTES) {}

  get(job: number): Uint8Array | undefined {
    return this.kept.get(job);
  }

  /** Keeps it, and forgets older ones if need be. */
  add(job: number, description: Uint8Array): void {
    this.forget(job);
    this.kept.set(job, description);
    this.bytes += description.length + OVERHEAD;
    for (const oldest of this.kept.keys()) {
      if (this.bytes <= this.most) return;
      this.forget(oldest);
    }
  }

  forget(job: number): void {
    const description = this.kept.get(job);
    if (description === undefined) return;
    this.kept.delete(job);
    this.bytes -= description.length + OVERHEAD;
  }

  forgetAll(): void {
    this.kept.clear();
    this.bytes = 0;
  }
}
