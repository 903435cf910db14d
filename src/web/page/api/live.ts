/**
 * The stream of events: one for each tab, of all topics that something on the page wants to hear
 * of. Each event is the whole new state of its topic, so that nothing is ever missing.
 *
 * States: *idle* (nobody listens, or the tab has been hidden for a while: browsers give an origin
 * six connections, and a tab that nobody sees needs none), *connecting*, *open*, and *waiting*
 * after a stream that could not be had, for a time that doubles up to half a minute. A change of
 * topics opens a new stream, and closes the old one once that is there.
 */
import { signal } from "@preact/signals";

type Listener = (data: unknown) => void;

export type StreamState = "idle" | "connecting" | "open" | "waiting";

/** Names of events that come without a topic of their own in their data. */
const TOPIC_OF: Readonly<Record<string, (data: Event) => string>> = {
  pools: () => "pools",
  pool: ({ name }) => `pool:${name}`,
  job: ({ id }) => `job:${id}`,
  batch: ({ id }) => `batch:${id}`,
  jobs: ({ topic }) => String(topic),
  log: ({ job }) => `log:${job}`,
  operations: () => "operations",
  scheduler: () => "scheduler",
  session: () => "session",
};

interface Event {
  readonly name?: unknown;
  readonly id?: unknown;
  readonly job?: unknown;
  readonly topic?: unknown;
}

/** What is told to listeners without being asked for. */
const UNASKED = /^(?:scheduler|session|failure|gone:.*)$/;

const HIDDEN_MS = 20_000;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;

export class LiveStream {
  readonly state = signal<StreamState>("idle");
  readonly #listeners = new Map<string, Set<Listener>>();
  #source: EventSource | undefined;
  #next: EventSource | undefined;
  #openTopics = "";
  #change: number | undefined;
  #hide: number | undefined;
  #retryMs = FIRST_RETRY_MS;
  #ended = false;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#seen());
  }

  /**
   * Calls `listener` with what comes about a topic. Of a log, which is asked for by job and
   * attempt, it is called with what comes about the job. Returns what ends that.
   */
  listen(topic: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(topic, listeners);
    this.#changed();
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) {
        this.#listeners.delete(topic);
      }
      this.#changed();
    };
  }

  /** For good: the session is over. */
  end(): void {
    this.#ended = true;
    this.#close();
  }

  /** After `end`: there is a session again. */
  begin(): void {
    this.#ended = false;
    this.#changed();
  }

  #topics(): string[] {
    return [...this.#listeners.keys()].filter((topic) => !UNASKED.test(topic)).sort();
  }

  /** Once for all changes of a moment: a view is left, and another entered. */
  #changed(): void {
    if (this.#change !== undefined) return;
    this.#change = window.setTimeout(() => {
      this.#change = undefined;
      this.#open();
    }, 20);
  }

  #open(): void {
    if (this.#ended || document.visibilityState === "hidden") return;
    const topics = this.#topics();
    const wanted = topics.join(" ");
    if (this.#source !== undefined && wanted === this.#openTopics) return;
    if (this.#next !== undefined) this.#next.close();
    this.#openTopics = wanted;
    const query = topics.map((topic) => `topic=${encodeURIComponent(topic)}`).join("&");
    const source = new EventSource(`/api/v1/events${query && `?${query}`}`);
    this.#next = source;
    if (this.#source === undefined) this.state.value = "connecting";
    source.onopen = () => {
      if (this.#next === source) this.#settle(source);
      this.state.value = "open";
      this.#retryMs = FIRST_RETRY_MS;
    };
    source.onerror = () => this.#failed(source);
    for (const name of [...Object.keys(TOPIC_OF), "gone"]) {
      source.addEventListener(name, (event) => this.#heard(name, (event as MessageEvent).data));
    }
  }

  #settle(source: EventSource): void {
    this.#source?.close();
    this.#source = source;
    this.#next = undefined;
  }

  #failed(source: EventSource): void {
    if (source !== this.#source && source !== this.#next) {
      source.close();
      return;
    }
    if (source.readyState !== EventSource.CLOSED) {
      // The browser connects again by itself.
      this.state.value = "connecting";
      return;
    }
    this.#close();
    this.state.value = "waiting";
    const delay = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
    window.setTimeout(() => this.#open(), delay);
    this.#tell("failure", undefined);
  }

  #heard(name: string, text: string): void {
    let data: Event;
    try {
      data = JSON.parse(text) as Event;
    } catch {
      return;
    }
    const topic = name === "gone" ? `gone:${data.topic}` : TOPIC_OF[name]!(data);
    this.#tell(topic, data);
  }

  #tell(topic: string, data: unknown): void {
    for (const [wanted, listeners] of this.#listeners) {
      if (wanted !== topic && !(topic.startsWith("log:") && wanted.startsWith(`${topic}:`)))
        continue;
      for (const listener of [...listeners]) listener(data);
    }
  }

  #seen(): void {
    window.clearTimeout(this.#hide);
    if (document.visibilityState === "visible") this.#open();
    else this.#hide = window.setTimeout(() => this.#close(), HIDDEN_MS);
  }

  #close(): void {
    this.#source?.close();
    this.#next?.close();
    this.#source = undefined;
    this.#next = undefined;
    this.#openTopics = "";
    this.state.value = "idle";
  }
}
