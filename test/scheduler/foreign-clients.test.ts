/** Stories of clients that were not made by us, and send what ours never do. */
import { afterEach, expect, it } from "vitest";
import { Submission$Client } from "../../src/api/generated/ocluster.js";
import { Network } from "./network.js";

let network: Network;

afterEach(() => network.stop());

it("A client that leaves fields out has its job run like any other", async () => {
  network = await Network.start();
  const alice = await network.client("alice");
  const [submit] = Submission$Client.methods;
  // What C++ writes when nothing but a spec is set: the hint, among others, is a null pointer.
  using submitted = alice.submission.call(submit, (params) => {
    params.pool = "pool";
    params._initDescr().action._initObuilder().spec = "(from busybox)";
  });
  using ticket = submitted.capability(0);
  await ticket.whenResolved();
  expect(await network.show()).toContain("alice:(no cache hint)");
  const worker = await network.worker("w1");
  const job = await worker.pop();
  expect(job.descr).toEqual({
    action: { kind: "obuilder", spec: "(from busybox)" },
    cacheHint: "",
    source: undefined,
    secrets: [],
  });
  job.output.resolve("");
});
