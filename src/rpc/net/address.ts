/**
 * Where a vat listens or is found: `tcp:HOST:PORT` or `unix:/PATH`, the notation of the command
 * lines and of log lines.
 */
import { isIPv6 } from "node:net";
import { resolve } from "node:path";

export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Text that is no address. The message says what is wrong with it and what would be right. */
export class AddressError extends Error {
  override readonly name = "AddressError";
}

/**
 * Reads `tcp:HOST:PORT` (an IPv6 host in brackets or bare: `tcp:[::1]:9000`) or `unix:PATH` (a
 * relative path is taken from the current directory). Port 0 means "any free port" to a listener.
 * Throws `AddressError`.
 */
export function parseAddress(text: string): Address {
  const colon = text.indexOf(":");
  if (colon < 0) throw new AddressError(`Missing ':' in address "${text}" ${EXPECTED}`);
  const rest = text.slice(colon + 1);
  switch (text.slice(0, colon)) {
    case "tcp":
      return { kind: "tcp", ...parseHostPort(rest) };
    case "unix":
      if (rest === "") throw new AddressError(`Missing PATH in address "${text}" ${EXPECTED}`);
      return { kind: "unix", path: socketPath(resolve(rest)) };
    default:
      throw new AddressError(`Unknown kind of address "${text}" ${EXPECTED}`);
  }
}

/**
 * What fits into `sun_path` of Linux's unix(7), in bytes. Node cuts what is longer, and listens
 * elsewhere.
 */
const MAX_SOCKET_PATH = 107;

function socketPath(path: string): string {
  const length = Buffer.byteLength(path);
  if (length <= MAX_SOCKET_PATH) return path;
  throw new AddressError(
    `The path "${path}" is ${length} bytes long; a socket's can have ${MAX_SOCKET_PATH}`,
  );
}

/** The inverse of `parseAddress`: `tcp:127.0.0.1:9000`, `tcp:[::1]:9000`, `unix:/run/x.socket`. */
export function formatAddress(address: Address): string {
  return address.kind === "unix" ? `unix:${address.path}` : `tcp:${formatHostPort(address)}`;
}

/** Reads `HOST:PORT`, as it stands in `tcp:` addresses and in URIs. Throws `AddressError`. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const split = /^(?:\[([^\]]*)\]|(.*?))(?::([^:\]]*))?$/s.exec(text);
  const [, bracketed, bare, port] = split ?? [];
  const host = bracketed ?? bare ?? "";
  if (port === undefined) throw new AddressError(`Missing port in "${text}" (expected HOST:PORT)`);
  if (host === "") throw new AddressError(`Missing host in "${text}" (expected HOST:PORT)`);
  const bad =
    bracketed !== undefined || host.includes(":") ? !isIPv6(host) : /[\s/@[\]]/.test(host);
  if (bad) throw new AddressError(`Bad host "${host}" in "${text}" (expected HOST:PORT)`);
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) {
    throw new AddressError(`Bad port "${port}" in "${text}" (expected a number up to 65535)`);
  }
  return { host, port: Number(port) };
}

/** `HOST:PORT`, with brackets around an IPv6 host. */
export function formatHostPort({ host, port }: { host: string; port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

const EXPECTED = "(expected tcp:HOST:PORT or unix:/PATH)";
