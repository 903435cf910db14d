/** Live updates: a stream of events that goes on where it was, also when the scheduler was away. */
import { describe, expect, it } from "vitest";
import { House, type Visitor } from "./house.js";

const house = House.forEachTest();

interface Event {
  readonly id: string | undefined;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect of it
  readonly data: any;
}

/** A stream as a browser reads it. */
class Stream {
  readonly events: Event[] = [];
  isOver = false;
  private readonly over = new AbortController();
  private readonly watchers = new Set<() => void>();

  static async open(web: Visitor, topics: readonly string[], since?: string): Promise<Stream> {
    const query = topics.map((topic) => `topic=${encodeURIComponent(topic)}`).join("&");
    const stream = new Stream();
    const headers: Record<string, string> = since === undefined ? {} : { "Last-Event-ID": since };
    const init = web.init("GET", { headers, signal: stream.over.signal });
    const response = await fetch(`${web.url}/api/v1/events?${query}`, init);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    void stream.read(response);
    return stream;
  }

  /** The first event that fits, of those to come if there is none yet. */
  async sees(event: string, fits: (data: Event["data"]) => boolean = () => true): Promise<Event> {
    for (;;) {
      const found = this.events.find((one) => one.event === event && fits(one.data));
      if (found) return found;
      if (this.isOver) throw new Error(`the stream is over: ${JSON.stringify(this.events)}`);
      await new Promise<void>((resolve) => this.watchers.add(resolve));
    }
  }

  get last(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id;
  }

  close(): void {
    this.over.abort();
  }

  private async read(response: Response): Promise<void> {
    let rest = "";
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (rest + chunk).split("\n\n");
        rest = blocks.pop()!;
        for (const block of blocks) this.take(block);
      }
    } catch {
      // It was closed, or the connection broke.
    }
    this.isOver = true;
    this.wake();
  }

  private take(block: string): void {
    const fields = new Map(
      block.split("\n").map((line) => {
        const [name = "", ...value] = line.split(": ");
        return [name, value.join(": ")];
      }),
    );
    const data = fields.get("data");
    if (data === undefined) return;
    this.events.push({ id: fields.get("id"), event: fields.get("event")!, data: JSON.parse(data) });
    this.wake();
  }

  private wake(): void {
    for (const wake of this.watchers) wake();
    this.watchers.clear();
  }
}

describe("a page's stream", () => {
  it("tells of a job, its log, its pool and its list while it runs", async () => {
    const opened = await house.open();
    const alice = await opened.client("alice");
    const id = await alice.submitDurable("s", { name: "tile" });
    const web = await opened.web("alice");
    await web.signIn();
    const list = "jobs:state=running&limit=5";
    const topics = ["pools", "pool:pool", `job:${id}`, `log:${id}:0`, list, "operations"];
    const stream = await Stream.open(web, topics);
    await stream.sees("scheduler", ({ state }) => state === "up");
    await stream.sees("job", ({ state }) => state === "queued");
    await stream.sees("log", ({ attempt, complete, total }) => attempt + total === 0 && !complete);
    await stream.sees("jobs", ({ jobs, topic }) => topic === list && jobs.length === 0);
    await stream.sees("operations", ({ operations }) => operations.length === 0);
    await stream.sees("pools", ({ pools }) => pools[1].queued === 1);

    const worker = await opened.network.worker("w1");
    const job = await worker.popDurable();
    job.begun.resolve();
    await stream.sees("job", ({ state }) => state === "running");
    await stream.sees("pools", ({ pools }) => pools[1].running === 1);
    await stream.sees("pool", ({ point, running }) => running === 1 && point[1] === 1);
    await stream.sees("jobs", ({ jobs }) => jobs[0]?.name === "tile");
    job.print("one\ntwo\nthr");
    await stream.sees("log", ({ attempt, total }) => attempt === 1 && total === 3);
    job.print("ee\n");
    job.end("succeeded", { output: "layer" });
    await stream.sees("log", ({ complete, size, total }) => complete && total === 3 && size === 14);
    await stream.sees("job", ({ output, state }) => state === "succeeded" && output === "layer");
    stream.close();
  });

  it("goes on where it was: what has not changed is not told again", async () => {
    const opened = await house.open();
    const alice = await opened.client("alice");
    const [one, two] = [await alice.submitDurable("s"), await alice.submitDurable("s")];
    const web = await opened.web("alice");
    await web.signIn();
    const topics = [`job:${one}`, `job:${two}`];
    const stream = await Stream.open(web, topics);
    await stream.sees("job", ({ id }) => id === one);
    await stream.sees("job", ({ id }) => id === two);
    await stream.sees("scheduler");
    const { last } = stream;
    stream.close();
    await web.post(`/api/v1/jobs/${two}/cancel`);
    const again = await Stream.open(web, topics, last);
    await again.sees("job", ({ id, state }) => id === two && state === "cancelled");
    expect(again.events.map(({ data, event }) => [event, data.id])).toEqual([["job", two]]);
    again.close();
    // What another process has counted, or somebody made up, means nothing: all is told.
    for (const since of ["other/5", "5", "", `${last}9999999999999999`]) {
      const fresh = await Stream.open(web, topics, since);
      await fresh.sees("job", ({ id }) => id === one);
      fresh.close();
    }
  });

  it("says of which topics it has nothing to tell", async () => {
    const opened = await house.open();
    const alice = await opened.client("alice");
    const bob = await opened.client("bob");
    const his = await bob.submitDurable("s", { name: "bobs" });
    const id = await alice.submitDurable("s");
    const web = await opened.web("alice");
    await web.signIn();
    const wrong = [`job:${his}`, `log:${his}:0`, "job:x", "batch:77", "nothing", "pool:none"];
    const wronger = ["jobs:state=odd", "log:1:-1"];
    const stream = await Stream.open(web, [...wrong, ...wronger, `job:${id}`]);
    for (const topic of [...wrong, ...wronger]) {
      const { data } = await stream.sees("gone", (data) => data.topic === topic);
      expect(data.error.message).toMatch(/\S/);
    }
    await stream.sees("job", (job) => job.id === id);
    expect(JSON.stringify(stream.events)).not.toContain("bobs");
    stream.close();
    const link = (await web.post("/api/v1/links", { job: id })).body.path.split("#t=")[1];
    const friend = web.stranger();
    await friend.signIn(link);
    const narrow = await Stream.open(friend, ["pools", "jobs:", "operations", `job:${id}`]);
    await narrow.sees("job");
    for (const topic of ["pools", "jobs:", "operations"]) {
      const { data } = await narrow.sees("gone", (data) => data.topic === topic);
      expect(data.error.code).toBe("not_in_scope");
    }
    narrow.close();
    const many = Array.from({ length: 17 }, (_, index) => `topic=job:${index + 1}`).join("&");
    expect((await web.get(`/api/v1/events?${many}`)).status).toBe(400);
  });

  it("says that the scheduler is away, and goes on when it is back", async () => {
    const opened = await house.open();
    const alice = await opened.client("alice");
    const id = await alice.submitDurable("s");
    const web = await opened.web("alice");
    await web.signIn();
    const stream = await Stream.open(web, ["pools", `job:${id}`]);
    await stream.sees("job");
    await opened.stopScheduler();
    await stream.sees("scheduler", ({ message, state }) => state === "down" && message !== null);
    expect((await web.get(`/api/v1/jobs/${id}/log`)).body.error.code).toBe("scheduler_down");
    // Pools are shown as they were.
    expect((await web.get("/api/v1/pools")).body).toMatchObject({
      scheduler: { state: "down" },
      pools: [{ name: "other" }, { name: "pool", queued: 1 }],
    });
    await opened.startScheduler();
    const up = stream.events.filter(
      ({ data, event }) => event === "scheduler" && data.state === "up",
    );
    await stream.sees(
      "scheduler",
      (data) => data.state === "up" && data.since !== up[0]!.data.since,
    );
    const worker = await opened.network.worker("w1");
    (await worker.popDurable()).begun.resolve();
    await stream.sees("job", ({ state }) => state === "running");
    expect((await web.get(`/api/v1/jobs/${id}`)).body.state).toBe("running");
    stream.close();
  });

  it("costs the scheduler what one does, however many there are", async () => {
    const opened = await house.open();
    const alice = await opened.client("alice");
    const id = await alice.submitDurable("s");
    const web = await opened.web("alice");
    await web.signIn();
    const asked = countQuestions(opened);
    const topics = ["pools", `job:${id}`, "jobs:limit=50"];
    const one = await Stream.open(web, topics);
    await one.sees("jobs");
    await one.sees("job");
    const first = { ...asked.counts };
    const streams = await Promise.all(Array.from({ length: 50 }, () => Stream.open(web, topics)));
    for (const stream of streams) {
      await stream.sees("jobs");
      await stream.sees("job");
      await stream.sees("pools");
    }
    // Whoever comes is told what is known; looks go on as they did, a few seconds apart.
    expect(asked.counts.page - first.page).toBeLessThan(10);
    expect(asked.counts.job - first.job).toBeLessThan(10);
    for (const stream of [one, ...streams]) stream.close();
  });

  it("is not given to more pages than there is room for", async () => {
    const web = await (await house.open()).web("admin");
    await web.signIn();
    const streams = await Promise.all(Array.from({ length: 100 }, () => Stream.open(web, [])));
    const { body, status } = await web.get("/api/v1/events");
    expect([status, body.error.code]).toEqual([429, "too_many"]);
    streams[0]!.close();
    await expect
      .poll(async () => {
        const response = await fetch(`${web.url}/api/v1/events`, web.init("GET", {}));
        await response.body?.cancel();
        return response.status;
      })
      .toBe(200);
    for (const stream of streams) stream.close();
  });
});

/** How often the records of jobs were asked for a page and for a job. */
function countQuestions({ network }: House) {
  const { records } = network.durable;
  const counts = { page: 0, job: 0 };
  for (const name of ["page", "job"] as const) {
    const ask = records[name].bind(records) as (...args: unknown[]) => never;
    Object.assign(records, {
      [name]: (...args: unknown[]) => {
        counts[name]++;
        return ask(...args);
      },
    });
  }
  return { counts };
}
