/** `/api/v1/events`: the stream of a page, and where its topics come from. */
import { sleep } from "../../async/index.js";
import { schedulerJson } from "./api-session.js";
import { ApiError, badRequest, tooMany } from "./errors.js";
import { EventStream } from "./event-stream.js";
import type { KnownCall } from "./http.js";
import { WEB_LIMITS } from "./limits.js";
import { jobQuery, numberOf } from "./query.js";
import type { Session } from "./sessions.js";
import type { Source } from "./topics.js";
import { outside, requireAll, requireBatch, requireJob, type Web } from "./web.js";

/** Characters of a topic. */
const MAX_TOPIC = 3000;

/** Between looks at pools that somebody watches, in ms; and after a failure. */
const LOOK_MS = 2000;

export class Events {
  /** With the addresses of their pages. */
  private readonly open = new Map<EventStream, string>();

  constructor(private readonly web: Web) {}

  /** Begins a stream, which ends with its page. Rejects with an `ApiError`. */
  async begin({ address, headers, query, response, session }: KnownCall): Promise<null> {
    const { topics } = this.web;
    const names = [...new Set(query.getAll("topic"))];
    if (names.length > WEB_LIMITS.pageTopics)
      throw badRequest(`A page has ${WEB_LIMITS.pageTopics} topics at most.`);
    if (names.some(({ length }) => length > MAX_TOPIC)) throw badRequest("A topic is too long.");
    this.checkRoom(address);
    response.writeHead(200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Accel-Buffering": "no",
    });
    const { sessions } = this.web.options;
    const since = headers["last-event-id"];
    const isWelcome = () => !sessions.isOver(session);
    const stream = new EventStream(
      response,
      topics,
      typeof since === "string" ? since : undefined,
      isWelcome,
    );
    this.open.set(stream, address);
    response.once("close", () => this.open.delete(stream));
    stream.add(topics.watch("scheduler", stream, this.scheduler()));
    for (const name of names) {
      try {
        const source = await this.source(name, session);
        stream.add(topics.watch(name, stream, source));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        stream.tell("gone", { topic: name, ...error.body });
      }
    }
    return null;
  }

  /** Ends the streams whose sessions are over. */
  endUnwelcome(): void {
    for (const stream of this.open.keys()) stream.endUnlessWelcome();
  }

  close(): void {
    for (const stream of this.open.keys()) stream.end();
  }

  private checkRoom(address: string): void {
    let ofAddress = 0;
    for (const each of this.open.values()) if (each === address) ofAddress++;
    if (this.open.size >= WEB_LIMITS.streams || ofAddress >= WEB_LIMITS.addressStreams) {
      throw tooMany("Too many pages are open: close some.", 30);
    }
  }

  private scheduler(): Source {
    const { web } = this;
    return (say, signal) => {
      const tell = () => say("scheduler", schedulerJson(web));
      const stop = web.cluster.onChange(tell);
      signal.addEventListener("abort", stop, { once: true });
      tell();
    };
  }

  private async source(topic: string, session: Session): Promise<Source> {
    const { web } = this;
    const [kind, ...rest] = topic.split(":");
    const name = rest.join(":");
    switch (kind) {
      case "pools":
        requireAll(session);
        return this.steadily(topic, async (say, signal) => {
          for (; ; await sleep(LOOK_MS, signal)) {
            const { pools } = await web.pools.all();
            say("pools", { pools, age: 0, scheduler: schedulerJson(web) });
          }
        });
      case "pool":
        requireAll(session);
        await web.pools.pointOf(name);
        return this.steadily(topic, async (say, signal) => {
          for (; ; await sleep(LOOK_MS, signal)) say("pool", await web.pools.pointOf(name));
        });
      case "job": {
        const job = numberOf("job", name);
        await requireJob(web, session, job);
        await web.jobs.get(job);
        return this.steadily(topic, (say, signal) =>
          web.jobs.follow(job, (value) => say("job", value), signal),
        );
      }
      case "batch": {
        const batch = numberOf("batch", name);
        requireBatch(session, batch);
        await web.batches.get(batch);
        return this.steadily(topic, (say, signal) =>
          web.batches.follow(batch, (value) => say("batch", value), signal),
        );
      }
      case "jobs":
        return this.jobs(topic, name, session);
      case "log":
        return await this.log(topic, name, session);
      case "operations":
        requireAll(session);
        return (say, signal) => {
          const stop = web.operations.onChange(() => say("operations", web.operations.json));
          signal.addEventListener("abort", stop, { once: true });
          say("operations", web.operations.json);
        };
      default:
        throw badRequest("There is no such topic: see docs/web.md.");
    }
  }

  private jobs(topic: string, name: string, session: Session): Source {
    const { web } = this;
    const { scope } = session;
    const query = jobQuery(new URLSearchParams(name));
    const isBatch = scope.kind === "batch" && query.filter.batch === String(scope.batch);
    if (scope.kind !== "all" && !isBatch) throw outside();
    return this.steadily(topic, (say, signal) =>
      web.jobs.watchPage(query, (page) => say("jobs", { topic, ...(page as object) }), signal),
    );
  }

  private async log(topic: string, name: string, session: Session): Promise<Source> {
    const { web } = this;
    const [number = "", which = "0"] = name.split(":");
    const job = numberOf("job", number);
    const attempt = numberOf("attempt", which, 0);
    await requireJob(web, session, job);
    await web.logs.whole(job, attempt);
    return this.steadily(topic, (say, signal) =>
      web.logs.follow(job, attempt, (state) => say("log", state), signal),
    );
  }

  /** A source that goes on when the scheduler was away, and gives up when the thing is gone. */
  private steadily(
    topic: string,
    run: (say: Parameters<Source>[0], signal: AbortSignal) => Promise<void>,
  ): Source {
    const { cluster, options } = this.web;
    return async (say, signal) => {
      while (!signal.aborted) {
        try {
          await run(say, signal);
          return;
        } catch (error) {
          if (signal.aborted) return;
          if (error instanceof ApiError && GONE.has(error.code)) {
            say("gone", { topic, ...error.body });
            return;
          }
          if (!(error instanceof ApiError)) options.log.error(`Cannot tell of ${topic}: ${error}`);
          await sleep(LOOK_MS, signal).catch(() => {});
          await cluster.up(signal).catch(() => {});
        }
      }
    };
  }
}

const GONE: ReadonlySet<string> = new Set(["not_found", "forbidden", "unsupported", "conflict"]);
