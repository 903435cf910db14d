/** Stories of clients that were not made by us, and send what ours never do. */
import { utils } from "capnp-es";
import { afterEach, expect, it } from "vitest";
import {
  type JobDescr,
  PoolAdmin$Client,
  Submission$Client,
} from "../../src/api/generated/ocluster.js";
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

const NO_DOCKER = { kind: "docker", dockerfile: { contents: "" }, buildArgs: [] };

it.each<[string, ((descr: JobDescr) => void) | undefined, object]>([
  ["no description", undefined, NO_DOCKER],
  ["no action", () => {}, NO_DOCKER],
  ["a Docker build", ({ action }) => void action._initDockerBuild(), NO_DOCKER],
  ["a spec", ({ action }) => void action._initObuilder(), { kind: "obuilder", spec: "" }],
  ["something custom", ({ action }) => void action._initCustom(), { kind: "custom", name: "" }],
])("A job that is a null pointer is handed on: %s", async (_, choose, expected) => {
  network = await Network.start();
  const alice = await network.client("alice");
  const [submit] = Submission$Client.methods;
  using submitted = alice.submission.call(submit, (params) => {
    params.pool = "pool";
    if (choose === undefined) return;
    const descr = params._initDescr();
    choose(descr);
    utils.erase(utils.getPointer(0, descr.action));
  });
  using ticket = submitted.capability(0);
  await ticket.whenResolved();
  const worker = await network.worker("w1");
  const job = await worker.pop();
  expect(job.descr.action).toMatchObject(expected);
  job.output.resolve("");
});

it("An administrator who wants no reports of progress gives none", async () => {
  network = await Network.start();
  const pool = await network.poolAdmin();
  await network.worker("w1");
  const drain = PoolAdmin$Client.methods[7];
  using drained = pool.call(drain, (params) => {
    params.worker = "w1";
  });
  (await drained.response).release();
  expect(await network.show()).toContain("w1 (0): (inactive: admin pause)");
});
