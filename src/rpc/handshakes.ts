/**
 * Whose turn it is to make a TLS handshake: as many at once as make good use of the machine, in the order in which they came.
 *
 * Life of a handshake: waiting → at work → done; or at work → slow → done, if it takes so long that others should not have to
 * wait for it. Nothing is read from who waits, so that it costs little.
 */
import type { Socket } from "node:net";
import { afterMs } from "./after.js";
import type { DoorLimits } from "./door-limits.js";

interface Handshake {
  readonly socket: Socket;
  /** Settles when it is done, well or not; soon after the socket is destroyed. */
  run(): Promise<void>;
}

export class Handshakes {
  /** All three in the order of their arrival there. */
  readonly #waiting = new Set<Handshake>();
  readonly #working = new Set<Handshake>();
  readonly #slow = new Set<Handshake>();

  constructor(private readonly limits: DoorLimits) {}

  get count(): number {
    return this.#waiting.size + this.#working.size + this.#slow.size;
  }

  /** Has `run` called when it is the turn of `socket`, which is paused until then. False if too many wait already. */
  enter(socket: Socket, run: () => Promise<void>): boolean {
    if (this.#waiting.size >= this.limits.waitingHandshakes) return false;
    this.#waiting.add({ socket, run });
    this.#startNext();
    return true;
  }

  /** Drops all of them. */
  close(): void {
    for (const { socket } of this.#waiting) socket.destroy();
    this.#waiting.clear();
    for (const { socket } of [...this.#working, ...this.#slow]) socket.destroy();
  }

  #startNext(): void {
    for (const handshake of this.#waiting) {
      if (this.#working.size >= this.limits.handshakes) return;
      this.#waiting.delete(handshake);
      void this.#work(handshake);
    }
  }

  async #work(handshake: Handshake): Promise<void> {
    const { silentMs, handshakeTurnMs } = this.limits;
    this.#working.add(handshake);
    const stopSilence = afterMs(silentMs, () => {
      if (handshake.socket.bytesRead === 0) this.#stepAside(handshake);
    });
    const stopTurn = afterMs(handshakeTurnMs, () => this.#stepAside(handshake));
    try {
      await handshake.run();
    } finally {
      stopSilence();
      stopTurn();
      this.#working.delete(handshake);
      this.#slow.delete(handshake);
      this.#startNext();
    }
  }

  #stepAside(handshake: Handshake): void {
    if (!this.#working.delete(handshake)) return;
    this.#slow.add(handshake);
    if (this.#slow.size > this.limits.slowHandshakes) {
      const [longest] = this.#slow;
      this.#slow.delete(longest!);
      longest!.socket.destroy();
    }
    this.#startNext();
  }
}
