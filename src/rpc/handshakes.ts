/**
 * Whose turn it is to make a TLS handshake: as many at once as make good use of the machine, in the order in which they came.
 *
 * Life of a handshake: silent → waiting → at work → done. It is the client's to speak first: who has said nothing yet costs
 * little, keeps nobody from his turn, and is dropped first when there are too many. Whose turn has not come in time is
 * dropped too, and tries again. A handshake that takes long goes on as "slow", beside those at work, so that others have
 * their turn.
 */
import type { Socket } from "node:net";
import { afterMs } from "./after.js";
import type { DoorLimits } from "./door-limits.js";

export interface Handshake {
  /** Accepted a moment ago; nothing was read from it. */
  readonly socket: Socket;
  /** Settles when it is done, well or not; soon after the socket is destroyed. */
  run(): Promise<void>;
  /** It will not be made, and the socket is destroyed. */
  dropped(reason: string): void;
}

/** The longest that a client may say before it is answered: a TLS record. */
const MAX_HELLO_BYTES = 5 + 16_384;

export class Handshakes {
  /** All of them in the order of their arrival there. What is to be called when one leaves goes with it. */
  readonly #silent = new Map<Handshake, () => void>();
  readonly #waiting = new Map<Handshake, () => void>();
  readonly #working = new Set<Handshake>();
  readonly #slow = new Set<Handshake>();

  constructor(private readonly limits: DoorLimits) {}

  get count(): number {
    return this.#silent.size + this.#waiting.size + this.#working.size + this.#slow.size;
  }

  /** Calls `run` when it is its turn. */
  enter(handshake: Handshake): void {
    if (!this.#makeRoom()) {
      drop(handshake, "too many handshakes");
      return;
    }
    const { socket } = handshake;
    const leave = () => {
      this.#silent.delete(handshake);
      this.#waiting.delete(handshake);
      stopTimer();
      socket.off("readable", spoke);
      socket.off("close", leave);
    };
    const spoke = () => {
      socket.off("readable", spoke);
      this.#silent.delete(handshake);
      this.#waiting.set(handshake, leave);
      this.#startNext();
    };
    const stopTimer = afterMs(this.limits.handshakeMs, () => {
      leave();
      drop(handshake, TIMED_OUT);
    });
    this.#silent.set(handshake, leave);
    socket.on("error", ignore);
    socket.on("readable", spoke);
    socket.on("close", leave);
  }

  /** Drops all of them. */
  close(): void {
    for (const [{ socket }, leave] of [...this.#silent, ...this.#waiting]) {
      leave();
      socket.destroy();
    }
    for (const { socket } of [...this.#working, ...this.#slow]) socket.destroy();
  }

  #makeRoom(): boolean {
    if (this.#silent.size + this.#waiting.size < this.limits.waitingHandshakes) return true;
    for (const [longest, leave] of this.#silent) {
      leave();
      drop(longest, "too many handshakes");
      return true;
    }
    return false;
  }

  #startNext(): void {
    for (const [handshake, leave] of this.#waiting) {
      if (this.#working.size >= this.limits.handshakes) return;
      leave();
      if (handshake.socket.readableLength > MAX_HELLO_BYTES)
        drop(handshake, "it does not speak TLS");
      else if (!handshake.socket.destroyed) void this.#work(handshake);
    }
  }

  async #work(handshake: Handshake): Promise<void> {
    this.#working.add(handshake);
    const stopTurn = afterMs(this.limits.handshakeTurnMs, () => this.#stepAside(handshake));
    const stopTimer = afterMs(this.limits.handshakeMs, () => drop(handshake, TIMED_OUT));
    try {
      await handshake.run();
    } finally {
      stopTurn();
      stopTimer();
      this.#working.delete(handshake);
      this.#slow.delete(handshake);
      this.#startNext();
    }
  }

  #stepAside(handshake: Handshake): void {
    this.#working.delete(handshake);
    this.#slow.add(handshake);
    if (this.#slow.size > this.limits.slowHandshakes) {
      const [longest] = this.#slow;
      this.#slow.delete(longest!);
      drop(longest!, "too many handshakes");
    }
    this.#startNext();
  }
}

function drop(handshake: Handshake, reason: string): void {
  handshake.dropped(reason);
  handshake.socket.destroy();
}

const TIMED_OUT = "TLS handshake timed out";

/** What comes of the error shows when it is the socket's turn, or it closes. */
function ignore(): void {}
