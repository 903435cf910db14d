/** `/api/v1/session` and `/api/v1/links`: coming in, and letting others look at one thing. */
import { isoMoment } from "../../text/index.js";
import { ApiError, badRequest } from "./errors.js";
import type { Call, KnownCall, Reply } from "./http.js";
import { ok, readBody } from "./http.js";
import { bodyNumber, bodyText, durationOf } from "./query.js";
import type { Scope } from "./secrets.js";
import type { Session } from "./sessions.js";
import { requireAll, type Web } from "./web.js";

/** Characters of a secret. */
const MAX_SECRET = 1000;

/** Seconds for which a link to one thing lasts: if nothing else is said, and at most. */
const LINK_SECONDS = 7 * 86_400;
export const MAX_LINK_SECONDS = 90 * 86_400;

export function sessionJson(web: Web, session: Session) {
  const { cluster, version } = web.options;
  const { client = null, role = "client" } = cluster.holder ?? {};
  const isAll = session.scope.kind === "all";
  const changes = isAll && role !== "viewer";
  return {
    role,
    client,
    scope: session.scope,
    can: { cancel: changes, retry: changes, workers: isAll && role === "admin", share: isAll },
    expires: isoMoment(session.expires),
    version,
    scheduler: schedulerJson(web),
  };
}

export function schedulerJson({ cluster }: Web) {
  const { message, since, state } = cluster.state;
  return { state, since: isoMoment(since), message };
}

/** @param present the session that there is already, if any */
export async function enter(web: Web, call: Call, present: Session | null): Promise<Reply> {
  const secret = bodyText(await readBody(call.request), "secret", MAX_SECRET);
  if (secret === undefined) throw badRequest('Send the secret of a link: {"secret": …}.');
  try {
    const { session, text } = web.options.sessions.exchange(secret);
    // Who sees all is not to see less for having been shown something.
    if (present?.scope.kind === "all" && session.scope.kind !== "all") {
      return ok(sessionJson(web, present));
    }
    return { ...ok(sessionJson(web, session)), headers: cookieOf(web, text, session) };
  } catch (error) {
    if (error instanceof ApiError) web.attempts.wrong(call.address);
    throw error;
  }
}

export async function leave(web: Web, { session }: KnownCall): Promise<Reply> {
  web.options.sessions.end(session);
  return { status: 204, headers: cookieOf(web, "", null) };
}

export async function makeLink(web: Web, { request, session }: KnownCall): Promise<Reply> {
  requireAll(session);
  const body = await readBody(request);
  const [job, batch] = [bodyNumber(body, "job"), bodyNumber(body, "batch")];
  const expires = bodyText(body, "expires", 40);
  const wanted =
    expires === undefined ? LINK_SECONDS : durationOf("expires", expires, MAX_LINK_SECONDS);
  let scope: Scope;
  if (job !== undefined && batch === undefined) {
    await web.jobs.get(job);
    scope = { kind: "job", job };
  } else if (batch !== undefined && job === undefined) {
    await web.batches.get(batch);
    scope = { kind: "batch", batch };
  } else {
    throw badRequest('Say which: {"job": NUMBER} or {"batch": NUMBER}.');
  }
  const { sessions } = web.options;
  const link = sessions.link(scope, wanted);
  const path = `/${scope.kind === "job" ? `jobs/${job}` : `batches/${batch}`}#t=${link.text}`;
  const reply = { path, url: web.options.base() + path, expires: isoMoment(link.expires) };
  return { status: 201, body: reply };
}

function cookieOf({ options }: Web, text: string, session: Session | null) {
  const { name, secure } = options.cookie;
  const age = session ? Math.max(0, Math.floor(session.expires - Date.now() / 1000)) : 0;
  const parts = [`${name}=${text}`, "Path=/", `Max-Age=${age}`, "HttpOnly", "SameSite=Strict"];
  return { "Set-Cookie": [...parts, ...(secure ? ["Secure"] : [])].join("; ") };
}
