/*
 * Whose turn it is to make a handshake. Sockets are not connected here; test/rpc/sockets.test.ts has real ones.
 */
import { once } from "node:events";
import { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { doorLimits } from "../../src/rpc/door-limits.js";
import { Handshakes } from "../../src/rpc/handshakes.js";

/** One that takes for ever, once it is its turn. */
class Endless {
  readonly socket = new Socket();
  readonly reason: Promise<string>;
  begun = false;
  dropped!: (reason: string) => void;

  constructor() {
    this.reason = new Promise((resolve) => {
      this.dropped = resolve;
    });
  }

  run(): Promise<void> {
    this.begun = true;
    return new Promise(() => {});
  }

  speak(): this {
    this.socket.emit("readable");
    return this;
  }
}

/** One is at work, and one waits. */
function busy(handshakeMs: number) {
  const handshakes = new Handshakes(
    doorLimits({ handshakes: 1, handshakeTurnMs: 1e6, handshakeMs }),
  );
  const [working, waiting] = [new Endless(), new Endless()];
  for (const handshake of [working, waiting]) {
    handshakes.enter(handshake);
    handshake.speak();
  }
  expect([working.begun, waiting.begun, handshakes.count]).toEqual([true, false, 2]);
  return { handshakes, waiting };
}

describe("a handshake that waits for its turn", () => {
  it("is dropped when that does not come in time", async () => {
    const { handshakes, waiting } = busy(20);
    expect(await waiting.reason).toBe("TLS handshake timed out");
    expect(waiting.socket.destroyed).toBe(true);
    expect([waiting.begun, handshakes.count]).toEqual([false, 1]);
  });

  it("is forgotten when the client hangs up", async () => {
    const { handshakes, waiting } = busy(1e6);
    waiting.socket.destroy();
    await once(waiting.socket, "close");
    expect(handshakes.count).toBe(1);
    handshakes.close();
  });
});
