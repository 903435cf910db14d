#!/usr/bin/env node
/**
 * `ocluster-web`: shows a cluster in a browser, and to scripts.
 */
import { fileURLToPath } from "node:url";
import {
  command,
  connectOption,
  directory,
  duration,
  nonEmpty,
  option,
  type Parser,
  runMain,
  seldom,
  ValueError,
} from "../cli/index.js";
import { feedWatchdog, interruptible, notifyServiceManager, UsageError } from "../console/index.js";
import { userPath } from "../system/user-directory.js";
import { listenPort } from "./addresses.js";
import { rpcFailure } from "./rpc-failure.js";

/** An address of the web without a path. */
const origin: Parser<URL> = (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url && /^https?:$/.test(url.protocol) && url.pathname === "/";
  if (isOrigin && !url.search && !url.hash && !url.username) return url;
  throw new ValueError(`invalid value '${text}', expected such as https://cluster.example.org`);
};

/** For how long a token is good, if nothing else is said, and at most: in seconds. */
const TOKEN_SECONDS = 90 * 86_400;
const MAX_TOKEN_SECONDS = 366 * 86_400;

const tokenTime: Parser<number> = Object.assign(
  (text: string) => {
    const seconds = duration(text);
    if (seconds > 0 && seconds <= MAX_TOKEN_SECONDS) return seconds;
    throw new ValueError(`invalid value '${text}', expected a time of at most 366d`);
  },
  { meaning: duration.meaning, write: duration.write },
);

/** systemd's, of a unit that has one; else the user's. */
function usualStateDir(): string {
  return process.env.STATE_DIRECTORY || userPath("state", "ocluster-web");
}

const web = command("ocluster-web", "Shows a cluster in a browser, and to scripts.", [
  "ocluster-web -c alice.cap --open",
  "ocluster-web -c viewer.cap --listen=0.0.0.0:8443 \\",
  "  --tls-cert=cert.pem --tls-key=key.pem",
  "ocluster-web -c admin.cap --token",
])
  .addOption(connectOption("admin.cap, a viewer's or a client's file"))
  .addOption(
    option(
      "--listen <[ADDR:]PORT>",
      "Where to listen (default: a free port of this machine's loopback).",
      listenPort,
    ),
  )
  .addOption(
    option("--tls-cert <FILE>", "The certificate (PEM); a renewed one is taken at once.", nonEmpty),
  )
  .addOption(option("--tls-key <FILE>", "Its private key (PEM).", nonEmpty))
  .option("--insecure", "Without TLS where others can listen, too.", false)
  .addOption(
    option("--public-url <URL>", "Where others find it, such as a proxy's address.", origin),
  )
  .addOption(
    seldom(
      option(
        "--state-dir <DIR>",
        "Where it is kept which sessions were signed out (default: $STATE_DIRECTORY, or ~/.local/state/ocluster-web).",
        directory,
      ),
    ),
  )
  .option("--open", "Open the page in a browser.", false)
  .option("--link", "Print another link to a program that runs, and end.", false)
  .option("--token", "Print a token for scripts, and end.", false)
  .addOption(
    seldom(
      option("--token-time <TIME>", "For how long it is good.", tokenTime).default(TOKEN_SECONDS),
    ),
  )
  .action(async (options) => {
    const { connect, insecure, link, open, publicUrl, tlsCert, tlsKey, token } = options;
    const { isLoopback, makeLink, makeToken, runWeb } = await import("../web/server/index.js");
    if (link && token) throw new UsageError("Give --link or --token, not both.");
    if (token) {
      process.stdout.write(`${makeToken(connect, options.tokenTime)}\n`);
      return;
    }
    if ((tlsCert === undefined) !== (tlsKey === undefined)) {
      throw new UsageError("Give --tls-cert and --tls-key together.");
    }
    const tls = tlsCert && tlsKey ? { cert: tlsCert, key: tlsKey } : undefined;
    const { host = "127.0.0.1", port = 0 } = options.listen ?? {};
    if (link) {
      if (!publicUrl && port === 0) {
        throw new UsageError("Say where the program is: --listen=ADDR:PORT or --public-url=URL.");
      }
      const here = `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
      process.stdout.write(`${makeLink(connect, publicUrl?.origin ?? here)}\n`);
      return;
    }
    if (!tls && !insecure && !isLoopback(host)) {
      throw new UsageError(
        `Others can reach ${host}: give --tls-cert and --tls-key, or --insecure if nobody listens on the way.`,
      );
    }
    await interruptible((signal) => {
      signal.addEventListener("abort", () => notifyServiceManager("STOPPING=1"));
      return runWeb(
        {
          capFile: connect,
          listen: { host, port },
          tls,
          publicUrl,
          open,
          stateDir: options.stateDir ?? usualStateDir(),
          pageRoot: fileURLToPath(new URL("../web/page/", import.meta.url)),
          openapi: fileURLToPath(new URL("../../docs/openapi.yaml", import.meta.url)),
          onReady: (url) => {
            process.stdout.write(
              `The cluster is at ${url}\n(The link opens once, within an hour.)\n`,
            );
            notifyServiceManager("READY=1");
            feedWatchdog();
          },
        },
        signal,
      );
    });
  });

await runMain(web, rpcFailure);
