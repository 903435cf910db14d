/** What can go wrong when a pool is used: each says what to do about it. */
import { quoted } from "../../text/index.js";

/**
 * A job was submitted, or a rate asked for, through a client that has been removed from the pool.
 */
export class ClientRemoved extends Error {
  override readonly name = "ClientRemoved";

  constructor(readonly client: string) {
    super(`Client ${quoted(client)} has been removed; get it anew from the pool to go on`);
  }
}

/** A worker was paused or resumed through a connection that has ended. */
export class WorkerReleased extends Error {
  override readonly name = "WorkerReleased";

  constructor(readonly worker: string) {
    super(`Worker ${quoted(worker)} has disconnected; address it by name instead`);
  }
}

/** A rate must be a finite number above zero. */
export class InvalidRate extends RangeError {
  override readonly name = "InvalidRate";

  constructor(readonly rate: number) {
    super(`A client's rate must be a finite number above 0, such as 1 or 0.5, not ${rate}`);
  }
}
