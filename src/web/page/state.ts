/**
 * What all views share: the session, where we are, the time, how it looks, what was said last.
 */
import { effect, signal } from "@preact/signals";
import { ApiError, apiUrl, get, send } from "./api/client.js";
import { LiveStream } from "./api/live.js";
import type { SchedulerState, Session } from "./api/types.js";
import { type Route, readRoute, writeRoute } from "./routing.js";

export const live = new LiveStream();

/** Null: not known yet; a failure: why there is none. */
export const session = signal<Session | ApiError | null>(null);
export const scheduler = signal<SchedulerState | null>(null);
/** Grows when all that is shown may be out of date. */
export const epoch = signal(0);

/** Seconds since 1970; moves on while somebody looks. */
export const now = signal(Date.now() / 1000);

export const route = signal<Route>(here());

function here(): Route {
  return readRoute(location.pathname, location.search, location.hash);
}

/** Goes to another view; `replace` leaves no way back to this one. */
export function go(to: Route, replace = false): void {
  const url = writeRoute(to);
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  const sameView = route.value.view === to.view;
  route.value = to;
  if (!replace && !sameView) window.scrollTo(0, 0);
}

/** The session that there is, if any. */
export function mine(): Session | null {
  return session.value instanceof ApiError ? null : session.value;
}

/** Events that have told how the scheduler is. */
let schedulerEvents = 0;

/** Asks who we are. Throws an `ApiError`. */
async function askSession(ask: () => Promise<Session>): Promise<Session> {
  const before = schedulerEvents;
  const found = await ask();
  // What the stream has told meanwhile is newer.
  if (schedulerEvents === before) scheduler.value = found.scheduler;
  return found;
}

/** Finds out who we are: with the secret of a link that was followed, or the session of before. */
export async function signIn(): Promise<void> {
  const [, secret] = /^#t=(.+)$/.exec(location.hash) ?? [];
  if (secret !== undefined) {
    history.replaceState(null, "", location.pathname + location.search);
    route.value = here();
  }
  try {
    session.value = await askSession(() =>
      secret === undefined
        ? get<Session>(apiUrl("session"))
        : send<Session>("POST", "session", { secret }),
    );
    live.begin();
  } catch (error) {
    session.value = error as ApiError;
  }
}

export async function signOut(): Promise<void> {
  await send("DELETE", "session").catch(() => undefined);
  live.end();
  session.value = new ApiError(401, "signed_out", "You have signed out.");
}

export type Theme = "auto" | "light" | "dark";

export const theme = signal<Theme>(storedTheme());

function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem("theme");
    return stored === "light" || stored === "dark" ? stored : "auto";
  } catch {
    return "auto";
  }
}

/** Something that was done, or could not be; the last few are shown. */
export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly isError: boolean;
}

export const notices = signal<readonly Notice[]>([]);
const NOTICE_MS = 8000;
let lastNotice = 0;

export function say(text: string, isError = false): void {
  const id = ++lastNotice;
  notices.value = [...notices.value.slice(-2), { id, text, isError }];
  window.setTimeout(() => hush(id), NOTICE_MS);
}

export function hush(id: number): void {
  notices.value = notices.value.filter((each) => each.id !== id);
}

/** What the keyboard's help is shown by. */
export const helpIsOpen = signal(false);

/** Follows the clock, the history, the stream and the theme, as long as the page is there. */
export function follow(): void {
  const tick = () => {
    if (document.visibilityState === "visible") now.value = Date.now() / 1000;
  };
  window.setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
  window.addEventListener("popstate", () => {
    route.value = here();
  });
  window.addEventListener("hashchange", () => {
    if (location.hash.startsWith("#t=")) void signIn();
    else route.value = here();
  });
  effect(() => {
    const chosen = theme.value;
    document.documentElement.dataset.theme = chosen;
    try {
      if (chosen === "auto") localStorage.removeItem("theme");
      else localStorage.setItem("theme", chosen);
    } catch {
      // A browser that stores nothing forgets it.
    }
  });
  live.listen("scheduler", (data) => {
    const before = scheduler.value;
    scheduler.value = data as SchedulerState;
    schedulerEvents++;
    if (before?.state === "down" && scheduler.value.state === "up") epoch.value++;
  });
  live.listen("session", () => {
    live.end();
    session.value = new ApiError(401, "session_ended", "Your session has ended.");
  });
  // A stream that is refused may be refused for want of a session.
  live.listen("failure", () => {
    if (mine() !== null) void checkSession();
  });
}

async function checkSession(): Promise<void> {
  try {
    await askSession(() => get<Session>(apiUrl("session")));
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      live.end();
      session.value = error;
    }
  }
}
