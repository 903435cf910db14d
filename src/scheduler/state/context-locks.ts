/**
 * Which contexts jobs need, or may need: these are not removed. All in memory: durable jobs say
 * what they need on record, and attached ones end with the scheduler.
 */

interface Lock {
  /** Jobs that have not ended. */
  jobs: number;
  /** Until when one that has ended can be tried again, in Unix seconds. */
  until: number;
}

export class ContextLocks {
  /** By client's directory, then by the hash of the manifest. */
  private readonly locks = new Map<string, Map<string, Lock>>();

  /** A job needs the context until `give` is called. */
  take(client: string, manifest: string): void {
    const ofClient = this.locks.get(client) ?? new Map<string, Lock>();
    this.locks.set(client, ofClient);
    const lock = ofClient.get(manifest) ?? { jobs: 0, until: 0 };
    ofClient.set(manifest, lock);
    lock.jobs++;
  }

  /** The job has ended. `until`: when it cannot be tried again any more, in Unix seconds. */
  give(client: string, manifest: string, until = 0): void {
    const lock = this.locks.get(client)?.get(manifest);
    if (!lock) return;
    lock.jobs = Math.max(0, lock.jobs - 1);
    lock.until = Math.max(lock.until, until);
  }

  isLocked(client: string, manifest: string): boolean {
    const lock = this.locks.get(client)?.get(manifest);
    return lock !== undefined && isHeld(lock);
  }

  /** Whether any context of the client is needed now. */
  isNeeded(client: string): boolean {
    for (const { jobs } of this.locks.get(client)?.values() ?? []) if (jobs > 0) return true;
    return false;
  }

  /** Forgets what is over. */
  sweep(): void {
    for (const [client, ofClient] of this.locks) {
      for (const [manifest, lock] of ofClient) if (!isHeld(lock)) ofClient.delete(manifest);
      if (ofClient.size === 0) this.locks.delete(client);
    }
  }
}

function isHeld({ jobs, until }: Lock): boolean {
  return jobs > 0 || until > Date.now() / 1000;
}
