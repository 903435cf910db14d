// Whether the program of this container is well, for HEALTHCHECK: node healthcheck.mjs
// scheduler|worker
//
// scheduler: what its metrics server says about it, if it has one on port 9090; else that port 9000
// is open. worker: it has no port, so that it holds a connection to the scheduler of its capability
// file.

import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";

const METRICS_PORT = 9090;
const RPC_PORT = 9000;

/** Of a TCP connection in /proc/net/tcp: established. */
const ESTABLISHED = "01";

/** @type {Readonly<Record<string, () => boolean | Promise<boolean>>>} */
const CHECKS = { scheduler: schedulerIsWell, worker: workerIsConnected };

const check = CHECKS[process.argv[2] ?? ""];
if (!check) throw new Error("usage: node healthcheck.mjs scheduler|worker");
process.exit((await check()) ? 0 : 1);

async function schedulerIsWell() {
  if (!(await isOpen(METRICS_PORT))) return isOpen(RPC_PORT);
  return (await fetch(`http://127.0.0.1:${METRICS_PORT}/readyz`)).ok;
}

/** @param {number} port */
async function isOpen(port) {
  const socket = connect({ host: "127.0.0.1", port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function workerIsConnected() {
  const args = readFileSync("/proc/1/cmdline", "utf8").split("\0");
  const file = args.flatMap((arg, index) =>
    arg === "-c" || arg === "--connect"
      ? [args[index + 1]]
      : (/^--connect=(.*)/s.exec(arg)?.[1] ?? []),
  )[0];
  const port = file && /:(\d+)\//.exec(readFileSync(file, "utf8"))?.[1];
  if (!port) return false;
  // Lines: number, local and remote address as HEX:HEX, state, …
  return ["/proc/1/net/tcp", "/proc/1/net/tcp6"]
    .filter((table) => existsSync(table))
    .flatMap((table) => readFileSync(table, "utf8").trim().split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .some(
      ([, , remote, state]) =>
        state === ESTABLISHED && Number.parseInt(remote?.split(":")[1] ?? "", 16) === Number(port),
    );
}
