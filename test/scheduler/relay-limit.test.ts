/** Log data for slow readers has a bound for all of them together. */
import { expect, test } from "vitest";
import { Job } from "../../src/api/index.js";
import { Connection, memoryTransportPair, RpcError } from "../../src/rpc/index.js";
import { RelayLimit } from "../../src/scheduler/services/relay-limit.js";

const KB = 1024;

/** Someone who has asked for a log of that many bytes, and does not read it. */
async function slowReader(bytes: number): Promise<Connection> {
  let reads = true;
  const [here, there] = memoryTransportPair((deliver) =>
    setImmediate(() => {
      if (reads) deliver();
    }),
  );
  let asked = () => {};
  const logged = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const connection = new Connection(here, {
    bootstrap: () =>
      Job.local({
        log: () => {
          reads = false;
          asked();
          return { data: Buffer.alloc(bytes), next: bytes };
        },
        result: async () => "",
        cancel: () => {},
      }),
  });
  const reader = new Connection(there, {
    bootstrap: () => {
      throw new RpcError("failed", "no services");
    },
  });
  Job.log(reader.bootstrap(), 0).catch(() => {});
  await logged;
  await expect.poll(() => connection.stats().outboundBytes).toBeGreaterThan(bytes);
  return connection;
}

test("over it, the connections that most waits for end, and no others", async () => {
  const warnings: string[] = [];
  const ignore = () => {};
  const warn = (text: string) => void warnings.push(text);
  const log = { debug: ignore, info: ignore, error: ignore, warn, debugging: false };
  const limit = new RelayLimit(600 * KB, log);
  try {
    const [small, large, middle] = [
      await slowReader(100 * KB),
      await slowReader(400 * KB),
      await slowReader(300 * KB),
    ];
    limit.watch(small);
    limit.watch(large);
    limit.watch(large);
    limit.check();
    expect(large.error).toBeUndefined();
    limit.watch(middle);
    limit.check();
    expect(large.error?.message).toMatch(
      /^\d+ bytes wait for peers that do not read, \d+ of them for this one; the limit for all together is 614400$/,
    );
    expect((await large.closed).kind).toBe("overloaded");
    expect([small.error, middle.error]).toEqual([undefined, undefined]);
    expect(warnings).toHaveLength(1);
    // What ended does not count any more.
    limit.check();
    expect([small.error, middle.error]).toEqual([undefined, undefined]);
    small.close();
    middle.close();
  } finally {
    limit.stop();
  }
});
