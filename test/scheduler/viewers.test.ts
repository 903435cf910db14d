/** Viewers see all of a scheduler, and change nothing of it. */
import { describe, expect, it } from "vitest";
import {
  Access,
  Admin,
  Batches,
  Grants,
  JobRecords,
  LiveJobs,
  PoolDirectory,
  PoolMonitor,
  Viewer,
} from "../../src/api/index.js";
import { type Capability, SturdyRef } from "../../src/rpc/index.js";
import { StateHome } from "./state-home.js";

const home = StateHome.forEachTest();

/** The secret of a new viewer. */
async function newSecret(name: string): Promise<Uint8Array> {
  return SturdyRef.parse(await Grants.grant(await home.network.admin(), "viewer", name)).id;
}

async function dial(secret: Uint8Array): Promise<Capability> {
  const { network } = home;
  return network.own((await network.dial(network.refOf(secret))).service);
}

async function newViewer(name: string): Promise<Capability> {
  return dial(await newSecret(name));
}

describe("a viewer", () => {
  it("sees what all clients have, in the records and in the pools", async () => {
    await home.start();
    const { network } = home;
    const [alice, bob] = [await network.client("alice"), await network.client("bob")];
    const jobs = [await alice.submitDurable("one"), await bob.submitDurable("two")];
    const attached = bob.submit("three", { hint: "h" });
    await attached.queued();
    const viewer = await newViewer("wall");
    const { jobs: listed } = await JobRecords.list(viewer, { filter: {}, limit: 10 });
    expect(listed.map(({ client, job }) => [job, client])).toEqual(
      expect.arrayContaining([
        [jobs[0], "alice"],
        [jobs[1], "bob"],
      ]),
    );
    expect((await JobRecords.get(viewer, jobs[1]!)).client).toBe("bob");
    expect(await PoolDirectory.pools(viewer)).toMatchObject([{ name: "pool", queued: 3 }]);
    using pool = Viewer.pool(viewer, "pool");
    expect((await PoolMonitor.state(pool)).clients.map(({ id }) => id)).toEqual(["alice", "bob"]);
    expect((await PoolMonitor.explain(pool, { kind: "pool" })).obstacles).toMatchObject([
      { kind: "noWorkers" },
    ]);
    expect((await LiveJobs.list(pool, { client: "bob" })).total).toBe(2);
    using none = Viewer.pool(viewer, "none");
    await expect(PoolMonitor.state(none)).rejects.toThrow("No such pool");
    attached.release();
  });

  it("changes nothing", async () => {
    await home.start();
    const { network } = home;
    const alice = await network.client("alice");
    const job = await alice.submitDurable("one");
    const viewer = await newViewer("wall");
    using pool = Viewer.pool(viewer, "pool");
    const refused = "A viewer changes nothing";
    await expect(JobRecords.cancel(viewer, job)).rejects.toThrow(refused);
    await expect(JobRecords.retry(viewer, job)).rejects.toThrow(refused);
    await expect(LiveJobs.cancel(pool, {})).rejects.toThrow(refused);
    await expect(Batches.cancel(viewer, 1, "")).rejects.toThrow(refused);
    await expect(Batches.retry(viewer, 1, [])).rejects.toThrow(refused);
    await expect(Batches.add(viewer, 1, 0, new Uint8Array(8))).rejects.toThrow(refused);
    await expect(Batches.close(viewer, 1, 0)).rejects.toThrow(refused);
    await expect(Admin.pools(viewer)).rejects.toMatchObject({ kind: "unimplemented" });
    await expect(Grants.list(viewer, "viewer")).rejects.toMatchObject({ kind: "unimplemented" });
    await expect(Admin.listClients(pool)).rejects.toMatchObject({ kind: "unimplemented" });
    expect((await alice.record(job)).state).toBe("queued");
  });

  it("is found again by its file after a restart, until it is removed", async () => {
    await home.start();
    await home.network.client("alice");
    const secret = await newSecret("wall");
    await home.restart();
    const { network } = home;
    const again = await dial(secret);
    expect(await Access.describe(again)).toEqual({ kind: "viewer", id: "wall" });
    const admin = await network.admin();
    expect(await Grants.list(admin, "viewer")).toEqual(["wall"]);
    // Clients and viewers have names of their own.
    expect(await Admin.listClients(admin)).toEqual(["alice"]);
    await network.client("wall");
    await expect(newSecret("wall")).rejects.toThrow('There is a viewer "wall" already');
    using pool = Viewer.pool(again, "pool");
    await pool.whenResolved();
    await Grants.revoke(admin, "viewer", "wall");
    await expect(JobRecords.list(again, { filter: {}, limit: 1 })).rejects.toThrow("revoked");
    await expect(PoolMonitor.state(pool)).rejects.toThrow("revoked");
    await expect(Access.describe(again)).rejects.toThrow("revoked");
    await expect(Batches.list(again, "", 1)).rejects.toThrow("revoked");
    const late = await dial(secret);
    await expect(late.whenResolved()).rejects.toThrow("Unknown persistent service ID");
    expect(await Admin.listClients(admin)).toEqual(["alice", "wall"]);
  });
});

it("a capability says what it is", async () => {
  await home.start();
  const alice = await home.network.client("alice");
  expect(await Access.describe(alice.submission)).toEqual({ kind: "client", id: "alice" });
  expect(await Access.describe(await home.network.admin())).toEqual({ kind: "admin", id: "" });
});
