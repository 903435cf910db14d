/**
 * `ocluster-web` at work: connects to the scheduler, listens, and says where it is to be found.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { unlessAborted } from "../../async/index.js";
import { CommandFailed, logger, version } from "../../console/index.js";
import { formatHostPort, listenProblem, readCapFile, type SturdyRef } from "../../rpc/index.js";
import { Cluster } from "./cluster.js";
import { EndedSessions } from "./ended-sessions.js";
import type { Names } from "./guard.js";
import { HttpServer } from "./http-server.js";
import { openInBrowser } from "./open-browser.js";
import { Secrets } from "./secrets.js";
import { ONCE_SECONDS, Sessions } from "./sessions.js";
import { StaticFiles } from "./static-files.js";
import { readCredentials, type TlsFiles, watchCredentials } from "./tls-files.js";
import { Web } from "./web.js";

export interface WebServerOptions {
  /** The path of the capability file. */
  readonly capFile: string;
  /** Port 0: a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsFiles | undefined;
  /** Where others find it, if that is not where it listens. */
  readonly publicUrl: URL | undefined;
  /** Shows the page in a browser. */
  readonly open: boolean;
  /** The directory of what is to be known after a restart; it need not be there. */
  readonly stateDir: string;
  /** The directory of the built page, and the file of docs/openapi.yaml. */
  readonly pageRoot: string;
  readonly openapi: string;
  /** Is told the link, when it can be used. */
  onReady(link: string): void;
  /** How often the certificate and the capability file are looked at, in ms. For tests. */
  readonly lookMs?: number;
}

/**
 * Serves until `signal` is aborted. Rejects with `CommandFailed` or `CapFileError` if it cannot
 * begin.
 */
export async function runWeb(options: WebServerOptions, signal: AbortSignal): Promise<void> {
  const log = logger("web");
  const { capFile, listen, tls } = options;
  const ref = readCapFile(capFile);
  const credentials = tls && readCredentials(tls);
  let names = credentials?.names ?? [];
  const sessions = new Sessions(new Secrets(ref), new EndedSessions(options.stateDir, log));
  const { lookMs } = options;
  const onReplaced = (other: SturdyRef) => {
    sessions.replace(new Secrets(other));
    server.endStreams();
  };
  const cluster = new Cluster({ capFile, ref, log, onReplaced, lookMs });
  const scheme = tls ? "https" : "http";
  let port = listen.port;
  const base = () => baseOf(options, names, scheme, port);
  const cookie = {
    // Cookies belong to a host, whatever the port.
    get name() {
      return `ocluster-${port}`;
    },
    secure: tls !== undefined || options.publicUrl?.protocol === "https:",
  };
  const web = new Web({ cluster, sessions, base, cookie, version: version(), log });
  const server = new HttpServer({
    web,
    files: new StaticFiles(options.pageRoot),
    openapi: readFileSync(options.openapi, "utf8"),
    credentials,
    names: () => namesOf(options, names, port),
    hasProxy: options.publicUrl !== undefined,
  });
  const over = new AbortController();
  const stop = () => over.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    let isReady!: () => void;
    const ready = new Promise<void>((resolve) => {
      isReady = resolve;
    });
    const connected = cluster.run(isReady, over.signal);
    await Promise.race([ready, connected]);
    if (over.signal.aborted) return;
    port = await listenOn(server, listen);
    if (tls) {
      const renewed = (fresh: ReturnType<typeof readCredentials>) => {
        names = fresh.names;
        server.renew(fresh);
      };
      watchCredentials(tls, renewed, log, over.signal, lookMs);
    }
    const watching = web.pools.watch(over.signal);
    const link = `${base()}/#t=${sessions.once()}`;
    options.onReady(link);
    if (options.open) openInBrowser(link, log);
    await unlessAborted(connected, over.signal).catch((error) => {
      if (!over.signal.aborted) throw error;
    });
    await watching;
  } finally {
    signal.removeEventListener("abort", stop);
    over.abort();
    web.topics.close();
    server.close();
  }
}

/** A token for scripts, which lasts for so many seconds. Throws `CapFileError`. */
export function makeToken(capFile: string, seconds: number): string {
  return new Secrets(readCapFile(capFile)).make("token", { kind: "all" }, seconds).text;
}

/** A one-time link for a program that runs with this file. Throws `CapFileError`. */
export function makeLink(capFile: string, base: string): string {
  const secrets = new Secrets(readCapFile(capFile));
  return `${base}/#t=${secrets.make("once", { kind: "all" }, ONCE_SECONDS).text}`;
}

async function listenOn(
  { server }: HttpServer,
  { host, port }: WebServerOptions["listen"],
): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const place = formatHostPort({ host, port });
      reject(new CommandFailed(`Cannot listen on ${place}: ${listenProblem(error)}`));
    });
    server.listen({ host: host.replace(/^\[|\]$/g, ""), port }, resolve);
  });
  const address = server.address();
  return typeof address === "object" && address ? address.port : port;
}

/** Whether nobody but this machine gets there. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127\./.test(host);
}

function isEverywhere(host: string): boolean {
  return host === "0.0.0.0" || host === "::" || host === "[::]" || host === "";
}

function baseOf(
  { listen, publicUrl }: WebServerOptions,
  names: readonly string[],
  scheme: string,
  port: number,
): string {
  if (publicUrl) return publicUrl.origin;
  const host = isEverywhere(listen.host) ? (names[0] ?? hostname()) : listen.host;
  return `${scheme}://${bracketed(host)}:${port}`;
}

function namesOf(
  { listen, publicUrl, tls }: WebServerOptions,
  names: readonly string[],
  port: number,
): Names {
  const hosts = new Set([...names, bracketed(listen.host.toLowerCase())]);
  if (isLoopback(listen.host) || isEverywhere(listen.host)) {
    for (const name of ["localhost", "127.0.0.1", "[::1]"]) hosts.add(name);
  }
  if (isEverywhere(listen.host)) {
    // A name in DNS that leads here is another's; an address, or this machine's own name, is not.
    hosts.add(hostname().toLowerCase());
    for (const all of Object.values(networkInterfaces())) {
      for (const { address } of all ?? []) hosts.add(bracketed(address.toLowerCase()));
    }
  }
  const authorities = new Set(publicUrl ? [publicUrl.host.toLowerCase()] : []);
  return { hosts, authorities, port, isTls: tls !== undefined };
}

function bracketed(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}
