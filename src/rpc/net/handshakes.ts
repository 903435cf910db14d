/**
 * Whose turn it is to make a TLS handshake: as many at once as make good use of the machine, and of
 * each address its share.
 *
 * Life of a handshake:
 * - silent: the client has not said all of its first message yet (client-hello.ts), which is its
 *   business. It costs little, and keeps nobody from his turn. It is dropped first when there are
 *   too many.
 * - waiting for its turn. Addresses take turns, and of one address first come is first served –
 *   unless its first one waits for long already: then those behind it might all be too late when it
 *   is their turn, and the last to come is first.
 * - at work: it keeps others from their turn.
 * - slow: it takes so long that it must be waiting for the client, and goes on beside those at
 *   work. Of too many, one is dropped whose address has the most of them.
 * - done.
 *
 * A handshake that is not done in time is dropped in whatever state, and so is one that has waited
 * for too long.
 */
import type { Socket } from "node:net";
import { timeout } from "../../async/index.js";
import type { AdmissionLimits } from "./admission-limits.js";
import { awaitClientHello } from "./client-hello.js";
import { ByOrigin, originOf } from "./origin.js";

export interface Handshake {
  /** Accepted a moment ago; nothing was read from it. */
  readonly socket: Socket;
  /** Settles when it is done, well or not; soon after the socket is destroyed. */
  run(): Promise<void>;
  /** It will not be made, and the socket is destroyed. */
  dropped(reason: string): void;
}

/** One that is not at work yet. */
interface Entry {
  readonly handshake: Handshake;
  readonly origin: string;
  /** When it began to wait, in ms. */
  since: number;
  /** To be called when it leaves, for whatever reason. */
  leave(): void;
}

/** How long the first of an address may have waited, in ms, before the last one is served first. */
const LATE_MS = 1000;

export class Handshakes {
  readonly #silent = new ByOrigin<Entry>();
  readonly #waiting = new ByOrigin<Entry>();
  readonly #working = new ByOrigin<Entry>();
  readonly #slow = new ByOrigin<Entry>();

  constructor(private readonly limits: AdmissionLimits) {}

  get count(): number {
    return this.#silent.size + this.#waiting.size + this.#working.size + this.#slow.size;
  }

  /** Calls `run` when it is its turn. */
  enter(handshake: Handshake): void {
    this.#makeRoom();
    const { socket } = handshake;
    const leave = () => {
      this.#silent.delete(entry);
      this.#waiting.delete(entry);
      stopTimer();
      stopReading();
      socket.off("close", leave);
    };
    const origin = originOf(socket.remoteAddress);
    const entry: Entry = { handshake, origin, since: 0, leave };
    const stopTimer = timeout(this.limits.handshakeMs, () => {
      leave();
      drop(handshake, TIMED_OUT);
    });
    const stopReading = awaitClientHello(socket, () => {
      this.#silent.delete(entry);
      entry.since = performance.now();
      this.#waiting.add(entry);
      this.#startNext();
    });
    this.#silent.add(entry);
    socket.on("error", ignore);
    socket.on("close", leave);
  }

  /** Drops all of them. */
  close(): void {
    for (const { handshake, leave } of [...this.#silent, ...this.#waiting]) {
      leave();
      handshake.socket.destroy();
    }
    for (const { handshake } of [...this.#working, ...this.#slow]) handshake.socket.destroy();
  }

  #makeRoom(): void {
    if (this.#silent.size + this.#waiting.size < this.limits.waitingHandshakes) return;
    const victim = this.#silent.oldestOfMost() ?? this.#waiting.oldestOfMost();
    if (!victim) return;
    victim.leave();
    drop(victim.handshake, TOO_MANY);
  }

  #startNext(): void {
    while (this.#working.size < this.limits.handshakes) {
      const next = this.#next();
      if (!next) return;
      next.leave();
      if (!next.handshake.socket.destroyed) void this.#work(next);
    }
  }

  #next(): Entry | undefined {
    for (const origin of this.#waiting.origins) {
      if (this.#working.of(origin).size >= this.limits.addressHandshakes) continue;
      this.#waiting.pass(origin);
      const entries = [...this.#waiting.of(origin)];
      const isLate = performance.now() - entries[0]!.since > LATE_MS;
      return isLate ? entries.at(-1) : entries[0];
    }
    return undefined;
  }

  async #work(entry: Entry): Promise<void> {
    const { handshake } = entry;
    this.#working.add(entry);
    const stopTurn = timeout(this.limits.handshakeTurnMs, () => this.#stepAside(entry));
    const stopTimer = timeout(this.limits.handshakeMs, () => drop(handshake, TIMED_OUT));
    try {
      await handshake.run();
    } finally {
      stopTurn();
      stopTimer();
      this.#working.delete(entry);
      this.#slow.delete(entry);
      this.#startNext();
    }
  }

  #stepAside(entry: Entry): void {
    this.#working.delete(entry);
    this.#slow.add(entry);
    if (this.#slow.size > this.limits.slowHandshakes) {
      const victim = this.#slow.oldestOfMost()!;
      this.#slow.delete(victim);
      drop(victim.handshake, TOO_MANY);
    }
    this.#startNext();
  }
}

function drop(handshake: Handshake, reason: string): void {
  handshake.dropped(reason);
  handshake.socket.destroy();
}

const TIMED_OUT = "TLS handshake timed out";
const TOO_MANY = "too many handshakes";

/** What comes of the error shows when it is the socket's turn, or it closes. */
function ignore(): void {}
