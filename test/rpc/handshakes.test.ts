/*
 * Whose turn it is to make a handshake. Sockets are not connected here; test/rpc/sockets.test.ts
 * has real ones.
 */
import { once } from "node:events";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { type AdmissionLimits, admissionLimits } from "../../src/rpc/net/admission-limits.js";
import { isActionable } from "../../src/rpc/net/client-hello.js";
import { Handshakes } from "../../src/rpc/net/handshakes.js";

let hello: Buffer;
beforeAll(async () => {
  hello = await new Promise<Buffer>((resolve) => {
    tlsConnect({ socket: new Duplex({ read() {}, write: resolve }) });
  });
});

/** One that takes until it is ended, once it is its turn. */
class Endless {
  readonly socket = new Socket();
  readonly reason: Promise<string>;
  begun = false;
  dropped!: (reason: string) => void;
  end: () => void = () => {};

  constructor(address = "10.0.0.1") {
    Object.defineProperty(this.socket, "remoteAddress", { value: address });
    this.reason = new Promise((resolve) => {
      this.dropped = resolve;
    });
  }

  run(): Promise<void> {
    this.begun = true;
    return new Promise((resolve) => {
      this.end = resolve;
    });
  }

  speak(bytes = hello): this {
    this.socket.emit("data", bytes);
    return this;
  }
}

function door(limits: Partial<AdmissionLimits>) {
  const handshakes = new Handshakes(
    admissionLimits({ handshakeTurnMs: 1e6, handshakeMs: 1e6, ...limits }),
  );
  const enter = (count: number, address?: string) =>
    Array.from({ length: count }, () => {
      const one = new Endless(address);
      handshakes.enter(one);
      return one;
    });
  return { handshakes, enter };
}

/** One is at work, and one waits. */
function busy(handshakeMs: number) {
  const { handshakes, enter } = door({ handshakes: 1, handshakeMs });
  const [working, waiting] = enter(2) as [Endless, Endless];
  for (const handshake of [working, waiting]) handshake.speak();
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

describe("a turn", () => {
  it("begins when the first message is complete, however it comes", () => {
    const { enter } = door({ handshakes: 1 });
    const [slow, quick] = enter(2) as [Endless, Endless];
    for (const byte of hello.subarray(0, -1)) slow.speak(Buffer.from([byte]));
    expect(slow.begun).toBe(false);
    quick.speak();
    expect(quick.begun).toBe(true);
    quick.end();
    slow.speak(hello.subarray(-1));
    expect(slow.socket.read()).toEqual(hello);
  });

  it("is not for one address alone", () => {
    const { enter } = door({ handshakes: 4, addressHandshakes: 3 });
    const greedy = enter(10).map((one) => one.speak());
    const [other] = enter(1, "10.0.0.2").map((one) => one.speak());
    expect(greedy.filter(({ begun }) => begun)).toHaveLength(3);
    expect(other!.begun).toBe(true);
  });

  it("goes from address to address", async () => {
    const { enter } = door({ handshakes: 1 });
    const [first, second, third] = enter(3).map((one) => one.speak());
    const [other] = enter(1, "10.0.0.2").map((one) => one.speak());
    for (const [done, next] of [
      [first!, second!],
      [second!, other!],
      [other!, third!],
    ] as const) {
      expect(next.begun).toBe(false);
      done.end();
      await vi.waitUntil(() => next.begun);
    }
  });

  it("is the last one's when the first has waited for long, as all might be too late otherwise", async () => {
    const now = vi.spyOn(performance, "now").mockReturnValue(0);
    const { enter } = door({ handshakes: 1 });
    const [working, first, second, last] = enter(4).map((one) => one.speak());
    now.mockReturnValue(999);
    working!.end();
    await vi.waitUntil(() => first!.begun);
    now.mockReturnValue(1001);
    first!.end();
    await vi.waitUntil(() => last!.begun);
    expect(second!.begun).toBe(false);
    now.mockRestore();
  });
});

describe("when too many come, those are dropped", () => {
  it("who are silent, of the address that has the most of them", async () => {
    const { enter } = door({ handshakes: 1, waitingHandshakes: 5 });
    enter(1)[0]!.speak();
    const [honest] = enter(1, "10.0.0.2") as [Endless];
    const [speaking, oldest] = [enter(1)[0]!.speak(), ...enter(3)] as [Endless, Endless];
    enter(1, "10.0.0.3");
    expect(await oldest.reason).toBe("too many handshakes");
    expect([honest, speaking].map(({ socket }) => socket.destroyed)).toEqual([false, false]);
  });

  it("or else who wait, of the address that has the most of them", async () => {
    const { enter } = door({ handshakes: 1, waitingHandshakes: 3 });
    enter(1)[0]!.speak();
    const [honest] = enter(1, "10.0.0.2").map((one) => one.speak());
    const [oldest] = enter(2).map((one) => one.speak());
    enter(1, "10.0.0.3");
    expect(await oldest!.reason).toBe("too many handshakes");
    expect(honest!.socket.destroyed).toBe(false);
  });

  it("or who are slow, of the address that has the most of them", async () => {
    const { enter } = door({ handshakes: 9, handshakeTurnMs: 0, slowHandshakes: 3 });
    const [honest] = enter(1, "10.0.0.2").map((one) => one.speak());
    const [oldest] = enter(3).map((one) => one.speak());
    expect(await oldest!.reason).toBe("too many handshakes");
    expect(honest!.socket.destroyed).toBe(false);
  });
});

describe("a first message", () => {
  const record = (...content: number[]) => [
    22,
    3,
    1,
    content.length >> 8,
    content.length,
    ...content,
  ];

  it("is complete as it is, and in records of one byte each", () => {
    const body = hello.subarray(5);
    const spread = Buffer.from([...body].flatMap((byte) => record(byte)));
    for (const bytes of [hello, spread]) {
      expect(isActionable(bytes)).toBe(true);
      for (let end = 0; end < bytes.length; end++) {
        expect(isActionable(bytes.subarray(0, end))).toBe(false);
      }
    }
  });

  it.each([
    ["plain text", [...Buffer.from("GET / HTTP/1.1\r\n\r\n")]],
    ["another version", [22, 2]],
    ["another kind of record", [23]],
    ["another kind of message", record(2)],
    ["an empty record", record()],
    ["a record that is too large", [22, 3, 1, 0x40, 1]],
    ["a message that is too large", record(1, 1, 0, 0)],
  ])("is for OpenSSL to refuse if it is %s", (_, bytes) => {
    expect(isActionable(Buffer.from(bytes))).toBe(true);
  });
});
