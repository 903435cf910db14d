/**
 * Those who came in by a vat's door, and how many of them are kept.
 *
 * Life of a visitor: stranger → known, once it was given something or asked for something, and then
 * for good. Strangers must make way for others, or leave after a while. Somebody with many of them
 * pushes out his own, not those of others.
 */
import type { Socket } from "node:net";
import { timeout } from "../../async/index.js";
import type { Connection } from "../connection/connection.js";
import { RpcError } from "../errors.js";
import type { AdmissionLimits } from "./admission-limits.js";
import { ByOrigin } from "./origin.js";

interface Visitor {
  readonly connection: Connection;
  readonly socket: Socket;
  readonly origin: string;
}

export class Visitors {
  #size = 0;
  /** Strangers, and some who were when they were last looked at. */
  readonly #strangers = new ByOrigin<Visitor>();

  constructor(private readonly limits: AdmissionLimits) {}

  /** Whether there is room for one more, if need be because a stranger has been dropped for it. */
  makeRoom(): boolean {
    return this.#size < this.limits.connections || this.#dropStranger();
  }

  /** Keeps `connection`, on `socket`, until that closes, or as long as there is reason to. */
  add(connection: Connection, socket: Socket, origin: string): void {
    const { addressStrangers, strangerMs } = this.limits;
    while (this.#strangers.of(origin).size >= addressStrangers) {
      const [oldest] = this.#strangers.of(origin);
      this.#dropIfStranger(oldest!);
    }
    const visitor: Visitor = { connection, socket, origin };
    this.#size++;
    this.#strangers.add(visitor);
    const stopTimer = timeout(strangerMs, () => {
      this.#strangers.delete(visitor);
      if (!connection.isStranger) return;
      const reason = `Nothing was asked for within ${strangerMs / 1000} s`;
      connection.close(new RpcError("disconnected", reason));
    });
    socket.once("close", () => {
      stopTimer();
      this.#size--;
      this.#strangers.delete(visitor);
    });
  }

  #dropStranger(): boolean {
    for (;;) {
      const oldest = this.#strangers.oldestOfMost();
      if (!oldest) return false;
      if (this.#dropIfStranger(oldest)) return true;
    }
  }

  /**
   * Ends its connection, without waiting for it: it makes room for somebody who may ask for
   * something.
   */
  #dropIfStranger(visitor: Visitor): boolean {
    this.#strangers.delete(visitor);
    const { isStranger } = visitor.connection;
    if (isStranger) visitor.socket.destroy();
    return isStranger;
  }
}
