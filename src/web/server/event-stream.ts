/**
 * One page's stream of events: of each topic the newest state, as fast as the page reads and not
 * more often than four times a second. What a slow page has not read is replaced by what is newer,
 * so that it holds as much memory as it has topics, and no more.
 */
import type { ServerResponse } from "node:http";
import { WEB_LIMITS } from "./limits.js";
import type { Topic, Topics, Watcher } from "./topics.js";

/** Between two writes, in ms. */
const PAUSE_MS = 250;

/** A comment is sent so often, in ms, that who is in between keeps the connection open. */
const HEARTBEAT_MS = 15_000;

/** What the page does when its stream breaks, in ms. */
const RETRY_MS = 2000;

export class EventStream implements Watcher {
  private readonly topics = new Set<Topic>();
  /** Those whose state the page does not have. */
  private readonly pending = new Set<Topic>();
  private timer: NodeJS.Timeout | undefined;
  private stall: NodeJS.Timeout | undefined;
  private readonly heartbeat: NodeJS.Timeout;
  private lastWrite = Number.NEGATIVE_INFINITY;
  private isOver = false;

  /**
   * @param since the `Last-Event-ID` of the page, if it has been here before
   * @param isWelcome is asked now and then
   */
  constructor(
    private readonly response: ServerResponse,
    private readonly all: Topics,
    private readonly since: string | undefined,
    private readonly isWelcome: () => boolean,
  ) {
    response.write(`retry: ${RETRY_MS}\n\n`);
    this.heartbeat = setInterval(() => this.beat(), HEARTBEAT_MS).unref();
    response.once("close", () => this.close());
    response.on("drain", () => {
      clearTimeout(this.stall);
      this.stall = undefined;
      this.schedule();
    });
  }

  /** @param topic of `Topics.watch`, with this as its watcher */
  add(topic: Topic): void {
    if (this.isOver) {
      this.all.leave(topic, this);
      return;
    }
    this.topics.add(topic);
    if (topic.state && topic.state.number > this.seen) this.changed(topic);
  }

  changed(topic: Topic): void {
    if (this.isOver) return;
    this.pending.add(topic);
    this.schedule();
  }

  /** An event that belongs to no topic; it has no number. */
  tell(event: string, value: unknown): void {
    if (this.isOver) return;
    this.response.write(`event: ${event}\ndata: ${JSON.stringify(value)}\n\n`);
  }

  /** Ends it. */
  end(): void {
    if (this.isOver) return;
    this.close();
    this.response.end();
  }

  private get seen(): number {
    const [epoch, number] = this.since?.split("/") ?? [];
    return epoch === this.all.epoch && /^\d{1,15}$/.test(number ?? "") ? Number(number) : 0;
  }

  private schedule(): void {
    if (this.pending.size === 0 || this.stall !== undefined || this.timer !== undefined) return;
    const wait = this.lastWrite + PAUSE_MS - performance.now();
    this.timer = setTimeout(() => this.flush(), Math.max(0, wait));
  }

  /** In the order of their numbers, as the last one says that all before it were seen. */
  private flush(): void {
    this.timer = undefined;
    const topics = [...this.pending].filter(({ state }) => state !== null);
    topics.sort((a, b) => a.state!.number - b.state!.number);
    this.lastWrite = performance.now();
    for (const topic of topics) {
      const { data, event, number } = topic.state!;
      this.pending.delete(topic);
      const id = `${this.all.epoch}/${number}`;
      if (this.response.write(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`)) continue;
      this.stall ??= setTimeout(() => this.response.destroy(), WEB_LIMITS.stallMs).unref();
      return;
    }
  }

  /** Ends it if its session is over. */
  endUnlessWelcome(): void {
    if (this.isWelcome()) return;
    this.tell("session", { state: "ended" });
    this.end();
  }

  private beat(): void {
    this.endUnlessWelcome();
    if (!this.isOver && this.stall === undefined) this.response.write(":\n\n");
  }

  private close(): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    clearTimeout(this.stall);
    clearInterval(this.heartbeat);
    for (const topic of this.topics) this.all.leave(topic, this);
    this.topics.clear();
    this.pending.clear();
  }
}
