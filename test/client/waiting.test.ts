/** What somebody at a terminal sees while their job waits. */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Ticket$Client } from "../../src/api/generated/ocluster.js";
import { Job, Submission } from "../../src/api/index.js";
import { deferred } from "../../src/async/index.js";
import {
  type Capability,
  Identity,
  method,
  serve,
  Vat,
  writeCapFile,
} from "../../src/rpc/index.js";
import { Cluster } from "../support/cluster.js";
import { Pty } from "../support/pty.js";

let cluster: Cluster;
const terminals: Pty[] = [];

beforeAll(async () => {
  cluster = await Cluster.start();
  cluster.write("x.spec", "((from x))");
});

afterEach(async () => {
  for (const pty of terminals.splice(0)) await pty.close();
});

afterAll(() => cluster?.stop());

function submit(cap: string, ...args: readonly string[]): Pty {
  const file = `--local-file=${cluster.path("x.spec")}`;
  const words = ["submit-obuilder", "-c", cap, "--pool=linux-x86_64", file, ...args];
  const pty = Pty.run(Pty.program("ocluster-client", words));
  terminals.push(pty);
  return pty;
}

it("nothing is drawn before the scheduler has the job, and the log begins on a line of its own", async () => {
  const pty = submit(cluster.cap("submission"));
  const before = await pty.sees("[ ");
  expect(before.replaceAll("\r", "")).toMatch(
    /Connecting to tcp:127\.0\.0\.1:\d+\.\.\. OK\nTailing log:\n\[ $/,
  );
  pty.press("\u0003");
  await pty.ended;
});

it.each(["TERM=dumb", "-u TERM"])(
  "a terminal of which nothing is known (%s) has plain lines only",
  async (env) => {
    const file = `--local-file=${cluster.path("x.spec")}`;
    const words = ["submit-obuilder", "-c", cluster.cap("submission"), "--pool=linux-x86_64", file];
    const pty = Pty.run(`env ${env} ${Pty.program("ocluster-client", words)}`);
    terminals.push(pty);
    const before = await pty.sees("Tailing log:");
    await expect.poll(() => cluster.show()).toContain("test-user:");
    pty.press("\u0003");
    await pty.ended;
    expect(before + pty.unseen).not.toMatch(/\u001b|waiting/);
  },
);

describe("the place in the queue", () => {
  it("is shown, and kept up to date", async () => {
    const first = submit(cluster.cap("submission"));
    await first.sees("waiting (position 1 of 1 in linux-x86_64) · ");
    const second = submit(cluster.cap("submission"));
    await second.sees("waiting (position 2 of 2 in linux-x86_64) · ");
    const urgent = submit(cluster.cap("submission"), "--urgent");
    await urgent.sees("waiting (position 1 of 3 in linux-x86_64) · ");
    await second.sees("waiting (position 3 of 3 in linux-x86_64) · ");
    first.press("\u0003");
    await first.sees("Interrupted: cancelling the job.");
    expect(await first.ended).toBe(130);
    await second.sees("waiting (position 2 of 2 in linux-x86_64) · ");
  });

  it("is of no interest to who wants it quiet", async () => {
    const pty = submit(cluster.cap("submission"), "--quiet");
    await pty.sees("Tailing log:");
    await expect.poll(() => cluster.show()).toContain("test-user:");
    pty.press("\u0003");
    await pty.ended;
    expect(pty.unseen).not.toContain("waiting");
  });

  it("is not known of a scheduler that does not tell", async () => {
    const [JOB] = Ticket$Client.methods;
    const identity = Identity.ephemeral();
    const finish = deferred<string>();
    const job = (): Capability =>
      Job.local({
        log: async () => {
          await finish.promise;
          return { data: new Uint8Array(), next: 0 };
        },
        result: () => finish.promise,
        cancel: () => {},
        release: () => {},
      });
    const ticket = (): Capability =>
      serve("Ticket", [
        method(JOB, (call) => {
          call.results();
          call.setCapability(0, job());
        }),
      ]);
    const vat: Vat = new Vat({
      identity,
      restore: () =>
        Submission.local({
          submit: ({ descr }) => {
            descr.release();
            return ticket();
          },
          save: () => vat.sturdyRef(listener, identity.derivedId("submission")),
        }),
    });
    const listener = await vat.listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, { tls: true });
    try {
      const cap = join(cluster.dir, "old-submission.cap");
      writeCapFile(cap, vat.sturdyRef(listener, identity.derivedId("submission")));
      const pty = submit(cap);
      await pty.sees("[ waiting for a worker · 1 s ]");
      finish.resolve("done");
      await pty.sees('Result: "done"');
      expect(await pty.ended).toBe(0);
    } finally {
      await vat.close();
    }
  });
});
