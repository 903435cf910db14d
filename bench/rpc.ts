/**
 * npm run bench:rpc [-- NAME...]
 *
 * Calls per second, and megabytes per second, over one connection, ours beside the C++
 * implementation's in the same run. NAME: only the rows whose name contains it. Absolute figures
 * drift with the machine; what counts is the ratio in a row's neighbourhood. The client and the
 * server of "two processes" share the machine's cores with everything else.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import {
  type Address,
  type Capability,
  formatAddress,
  Identity,
  parseAddress,
  SturdyRef,
  Vat,
} from "../src/rpc/index.js";
import { buildCppPeer, CppServer, runCppClient } from "../test/interop/cpp-peer.js";
import { ECHO, SINK, SOURCE, servePeer, World } from "../test/interop/service.js";
import { type Figures, report } from "./report.js";

interface Load {
  readonly method: "echo" | "sink" | "source";
  readonly calls: number;
  readonly bytes: number;
  /** Calls outstanding at any time. */
  readonly window: number;
}

const NO_ID = new Uint8Array(0);

const SEQUENTIAL: Load = { method: "echo", calls: 20_000, bytes: 16, window: 1 };
const PIPELINED: Load = { method: "echo", calls: 200_000, bytes: 16, window: 256 };
const UPLOAD: Load = { method: "sink", calls: 1000, bytes: 1_000_000, window: 4 };
const DOWNLOAD: Load = { method: "source", calls: 1000, bytes: 1_000_000, window: 4 };

/** Makes `load.calls` calls. Gives the seconds it took. */
async function run(peer: Capability, load: Load): Promise<number> {
  const data = Buffer.alloc(load.bytes, "x");
  let left = load.calls;
  const one = async (): Promise<void> => {
    using call =
      load.method === "echo"
        ? peer.call(ECHO, (params) => params._initData(data.length).copyBuffer(data))
        : load.method === "sink"
          ? peer.call(SINK, (params) => params._initData(data.length).copyBuffer(data))
          : peer.call(SOURCE, (params) => {
              params.size = load.bytes;
            });
    await call.response;
  };
  const lane = async (): Promise<void> => {
    while (left-- > 0) await one();
  };
  const start = process.hrtime.bigint();
  await Promise.all(Array.from({ length: load.window }, lane));
  return Number(process.hrtime.bigint() - start) / 1e9;
}

/** A fifth of the load first, so that what is measured is compiled code. */
async function measure(peer: Capability, load: Load): Promise<number> {
  await run(peer, { ...load, calls: Math.ceil(load.calls / 5) });
  return run(peer, load);
}

// The roles of child processes. Each is told where to go, and says where it is, in one line of
// JSON.

async function serveRole(tls: boolean, target?: string): Promise<void> {
  const identity = Identity.ephemeral();
  const world = new World();
  const client = new Vat();
  const peer = target === undefined ? undefined : await client.import(refOf(target));
  const vat = new Vat({ identity, restore: () => peer?.dup() ?? servePeer(world) });
  const listener = await vat.listen(parseAddress("tcp:127.0.0.1:0"), { tls });
  console.log(vat.sturdyRef(listener, NO_ID).format());
}

async function loadRole(target: string, load: Load): Promise<void> {
  const vat = new Vat();
  const peer = await vat.import(refOf(target));
  console.log(await measure(peer, load));
  peer.release();
  await vat.close();
}

function refOf(text: string): SturdyRef {
  return SturdyRef.parse(text);
}

/** A process of ours in one of the roles above; gives its first line. */
async function child(...args: string[]): Promise<{ process: ChildProcess; line: string }> {
  const started = spawn(process.execPath, [process.argv[1]!, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface(started.stdout!);
  const [line] = await Promise.race([once(lines, "line"), once(lines, "close")]);
  if (line === undefined) throw new Error(`the process "${args[0]}" gave no answer`);
  return { process: started, line: String(line) };
}

async function stop(started: ChildProcess): Promise<void> {
  if (started.exitCode !== null) return;
  started.kill();
  await once(started, "exit");
}

async function ourServer<T>(args: string[], use: (ref: string) => Promise<T>): Promise<T> {
  const server = await child("serve", ...args);
  try {
    return await use(server.line);
  } finally {
    await stop(server.process);
  }
}

async function cppServer<T>(args: string[], use: (address: Address) => Promise<T>): Promise<T> {
  const server = await CppServer.start(...args);
  try {
    return await use(server.address);
  } finally {
    await server.kill();
  }
}

function plainRef(address: Address): string {
  return new SturdyRef(address, undefined, NO_ID).format();
}

async function ourLoad(ref: string, load: Load): Promise<number> {
  const { process: loader, line } = await child("load", ref, JSON.stringify(load));
  await stop(loader);
  return Number(line);
}

async function cppLoad(address: Address, load: Load): Promise<number> {
  const options = ["--calls", load.calls, "--bytes", load.bytes, "--window", load.window];
  const line = await runCppClient("load", load.method, address, ...options.map(String));
  return (JSON.parse(line) as { seconds: number }).seconds;
}

async function sameProcess(load: Load): Promise<number> {
  const world = new World();
  await using server = new Vat({ restore: () => servePeer(world) });
  const listener = await server.listen(parseAddress("tcp:127.0.0.1:0"), { tls: false });
  await using client = new Vat();
  using peer = await client.import(server.sturdyRef(listener, NO_ID));
  return await measure(peer, load);
}

/** Rows by name: who makes the calls → who answers them. */
const PAIRS: Record<string, (load: Load) => Promise<number>> = {
  "C++ → C++": (load) => cppServer([], (address) => cppLoad(address, load)),
  "ours → ours, one process": sameProcess,
  "ours → ours": (load) => ourServer(["plain"], (ref) => ourLoad(ref, load)),
  "ours → ours, TLS": (load) => ourServer(["tls"], (ref) => ourLoad(ref, load)),
  "C++ → ours": (load) => ourServer(["plain"], (ref) => cppLoad(refOf(ref).address, load)),
  "ours → C++": (load) => cppServer([], (address) => ourLoad(plainRef(address), load)),
};

const RELAYS: Record<string, (load: Load) => Promise<number>> = {
  "C++ → C++ → C++": (load) =>
    cppServer([], (end) =>
      cppServer(["--relay", formatAddress(end)], (middle) => cppLoad(middle, load)),
    ),
  "C++ → ours → C++": (load) =>
    cppServer([], (end) =>
      ourServer(["plain", plainRef(end)], (middle) => cppLoad(refOf(middle).address, load)),
    ),
  "ours → ours → ours": (load) =>
    ourServer(["plain"], (end) => ourServer(["plain", end], (middle) => ourLoad(middle, load))),
};

const GROUPS: [string, Load, typeof PAIRS][] = [
  ["sequential", SEQUENTIAL, PAIRS],
  ["pipelined", PIPELINED, PAIRS],
  ["relay", PIPELINED, RELAYS],
  ["upload", UPLOAD, PAIRS],
  ["download", DOWNLOAD, PAIRS],
  ["relayed upload", UPLOAD, RELAYS],
];

async function main(only: string[]): Promise<void> {
  await buildCppPeer();
  for (const [group, load, rows] of GROUPS) {
    for (const [row, measureRow] of Object.entries(rows)) {
      const name = `${group}: ${row}`;
      if (only.length > 0 && !only.some((part) => name.includes(part))) continue;
      const seconds = await measureRow(load);
      const perCall = (seconds / load.calls) * 1e6;
      const figures: Figures =
        load.bytes > 1000
          ? { "MB/s": (load.calls * load.bytes) / seconds / 1e6 }
          : { "calls/s": load.calls / seconds };
      report(name, { ...figures, "µs a call": perCall });
    }
  }
}

const [role, ...args] = process.argv.slice(2);
if (role === "serve") await serveRole(args[0] === "tls", args[1]);
else if (role === "load") await loadRole(args[0]!, JSON.parse(args[1]!) as Load);
else await main(process.argv.slice(2));
