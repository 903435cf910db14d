/**
 * Something that is fetched, and kept up to date by the stream: a value, an error, or neither yet.
 */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError, get } from "./api/client.js";
import { epoch, live } from "./state.js";

export interface Resource<T> {
  readonly value: Signal<T | null>;
  readonly error: Signal<ApiError | null>;
  /** Fetches it anew; the value stays until there is another. */
  reload(): void;
}

export interface ResourceOptions<T> {
  /** What tells of its changes. */
  readonly topic?: string;
  /** What an event makes of a value; null: fetch it. Without it, the event is the new value. */
  readonly merge?: (before: T | null, event: unknown) => T | null;
}

const RETRY_MS = 5000;

/**
 * A resource by its URL, null: none. It lasts as long as the component; when the URL changes, the
 * old value goes.
 */
export function useResource<T>(
  url: string | null,
  { merge, topic }: ResourceOptions<T> = {},
): Resource<T> {
  const value = useSignal<T | null>(null);
  const error = useSignal<ApiError | null>(null);
  const again = useSignal(0);
  const shown = useSignal<string | null>(null);
  /** Values that the stream has brought. */
  const told = useRef(0);
  useEffect(() => {
    if (shown.peek() !== url) {
      value.value = null;
      error.value = null;
      shown.value = url;
    }
    if (url === null) return;
    const controller = new AbortController();
    let retry: number | undefined;
    const load = async (): Promise<void> => {
      const before = told.current;
      try {
        const fetched = await get<T>(url, controller.signal);
        // What the stream has brought meanwhile is newer.
        if (told.current === before) value.value = fetched;
        error.value = null;
      } catch (failure) {
        if (controller.signal.aborted) return;
        error.value = failure as ApiError;
        // What is down comes back; what is wrong stays wrong.
        const { status } = error.value;
        if (status === 0 || status === 429 || status >= 502) {
          retry = window.setTimeout(() => void load(), RETRY_MS);
        }
      }
    };
    void load();
    return () => {
      controller.abort();
      window.clearTimeout(retry);
    };
  }, [url, again.value, epoch.value]);
  useEffect(() => {
    if (topic === undefined || url === null) return;
    const stop = live.listen(topic, (event) => {
      const next = merge ? merge(value.peek(), event) : (event as T);
      if (next === null) return;
      told.current++;
      value.value = next;
      error.value = null;
    });
    const stopGone = live.listen(`gone:${topic}`, (event) => {
      const { code, message } = (event as { error: { code: string; message: string } }).error;
      if (code !== "scheduler_down") error.value = new ApiError(404, code, message);
    });
    return () => {
      stop();
      stopGone();
    };
  }, [url, topic]);
  return {
    value,
    error,
    reload: () => {
      again.value++;
    },
  };
}

/** Fetches something anew from time to time, while somebody looks. */
export function useReload({ reload }: Pick<Resource<unknown>, "reload">, everyMs: number): void {
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (document.visibilityState === "visible") reload();
    }, everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs]);
}

/**
 * Fetches something anew when what it follows from has changed, `state`, but not more often than
 * every so many ms.
 */
export function useReloadAfter(
  { reload }: Pick<Resource<unknown>, "reload">,
  state: string | number,
  atMostMs: number,
): void {
  const timer = useRef<number | undefined>(undefined);
  const isFirst = useRef(true);
  useEffect(() => {
    if (!isFirst.current) {
      timer.current ??= window.setTimeout(() => {
        timer.current = undefined;
        reload();
      }, atMostMs);
    }
    isFirst.current = false;
  }, [state]);
  useEffect(() => () => window.clearTimeout(timer.current), []);
}
