/**
 * What pages watch, each by its name: there is one source of each topic, however many watch it.
 *
 *     idle ──the first watcher──▶ running ──the last has left, and a while has passed──▶ forgotten
 *
 * An event is the whole new state of its topic, so that nothing is lost by leaving some out. Each
 * new state has a number that is greater than all before it, of all topics: whoever comes back with
 * the last that it has seen is told only what has changed since.
 */
import { randomBytes } from "node:crypto";
import { ApiError, tooMany } from "./errors.js";
import { WEB_LIMITS } from "./limits.js";

/** For how long a topic goes on without watchers, in ms: pages are loaded anew. */
const LINGER_MS = 5000;

export interface TopicEvent {
  readonly event: string;
  /** JSON. */
  readonly data: string;
  readonly number: number;
}

/** Is told that a topic has another state. */
export interface Watcher {
  changed(topic: Topic): void;
}

/** Says a topic's state whenever it is another, until `signal` is aborted. */
export type Source = (
  say: (event: string, value: unknown) => void,
  signal: AbortSignal,
) => void | Promise<void>;

export class Topic {
  /** Null: nothing was said yet. */
  state: TopicEvent | null = null;
  readonly watchers = new Set<Watcher>();
  readonly over = new AbortController();
  linger: NodeJS.Timeout | undefined;

  constructor(readonly name: string) {}
}

export class Topics {
  /** Of this process: numbers of others mean nothing here. */
  readonly epoch = randomBytes(6).toString("base64url");
  private readonly topics = new Map<string, Topic>();
  private number = 0;

  get size(): number {
    return this.topics.size;
  }

  /**
   * Lets somebody watch a topic, whose source is `source` unless it has one. Throws an `ApiError`
   * if there are too many.
   */
  watch(name: string, watcher: Watcher, source: Source): Topic {
    let topic = this.topics.get(name);
    if (!topic) {
      if (this.topics.size >= WEB_LIMITS.topics)
        throw tooMany("Too much is watched: close some pages.", 30);
      topic = new Topic(name);
      this.topics.set(name, topic);
      const begun = topic;
      source((event, value) => this.say(begun, event, value), topic.over.signal);
    }
    clearTimeout(topic.linger);
    topic.watchers.add(watcher);
    return topic;
  }

  leave(topic: Topic, watcher: Watcher): void {
    topic.watchers.delete(watcher);
    if (topic.watchers.size > 0) return;
    topic.linger = setTimeout(() => this.end(topic), LINGER_MS).unref();
  }

  close(): void {
    for (const topic of this.topics.values()) this.end(topic);
  }

  /** Forgets what was said of all topics: it may not be shown any more. */
  forget(): void {
    for (const topic of this.topics.values()) topic.state = null;
  }

  private say(topic: Topic, event: string, value: unknown): void {
    const data = JSON.stringify(value);
    if (topic.over.signal.aborted) return;
    if (topic.state?.data === data && topic.state.event === event) return;
    topic.state = { event, data, number: ++this.number };
    for (const watcher of topic.watchers) watcher.changed(topic);
  }

  private end(topic: Topic): void {
    clearTimeout(topic.linger);
    topic.over.abort(new ApiError("internal", "Nobody watches any more"));
    if (this.topics.get(topic.name) === topic) this.topics.delete(topic.name);
  }
}
