/**
 * Who may speak with this program through a browser: pages of its own alone.
 *
 * A page elsewhere can send requests here from a user's browser. Its name in DNS may even lead here
 * ("rebinding"), so the names by which this program is called are listed. Cookies are sent for who
 * asks from the same site only, and changes must bear a header that no form can send, and no other
 * page's script without being allowed to.
 */
import type { IncomingMessage } from "node:http";
import { ApiError } from "./errors.js";

/** What changes bear. */
export const GUARD_HEADER = "x-ocluster-web";

/** Of every answer. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
};

export interface Names {
  /** Names and addresses, in lower case, without ports. */
  readonly hosts: ReadonlySet<string>;
  /** With ports, of proxies before this program. */
  readonly authorities: ReadonlySet<string>;
  /** The port that it listens on. */
  readonly port: number;
  readonly isTls: boolean;
}

/** Throws an `ApiError` if it was called by a name that is none of its own. */
export function checkHost(request: IncomingMessage, names: Names): void {
  const host = request.headers.host?.toLowerCase();
  if (host !== undefined && isOurs(host, names)) return;
  throw new ApiError(
    "bad_host",
    "This program is not known by that name: see --public-url of ocluster-web.",
  );
}

function isOurs(authority: string, { authorities, hosts, isTls, port }: Names): boolean {
  if (authorities.has(authority)) return true;
  const [, name, digits] = /^(\[[0-9a-f:.]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(authority) ?? [];
  const usual = isTls ? 443 : 80;
  return name !== undefined && hosts.has(name) && Number(digits ?? usual) === port;
}

/**
 * Throws an `ApiError` if a request comes from another site's page. @param isAmbient it bears a
 * cookie, which the browser adds whoever asks
 */
export function checkOrigin(request: IncomingMessage, names: Names, isAmbient: boolean): void {
  const { headers, method } = request;
  const isChange = method !== "GET" && method !== "HEAD";
  const site = headers["sec-fetch-site"];
  const isStrange = site !== undefined && site !== "same-origin" && site !== "none";
  if (isStrange || (isChange && !isSameOrigin(headers.origin, names))) {
    throw new ApiError("bad_origin", "That came from another site's page, and was not done.");
  }
  if (isChange && isAmbient && headers[GUARD_HEADER] !== "1") {
    throw new ApiError("bad_origin", "Changes need the header X-OCluster-Web: 1.");
  }
}

/** What is no browser says no origin. */
function isSameOrigin(origin: string | undefined, names: Names): boolean {
  if (origin === undefined) return true;
  const [, authority] = /^https?:\/\/(.+)$/.exec(origin.toLowerCase()) ?? [];
  return authority !== undefined && isOurs(authority, names);
}
