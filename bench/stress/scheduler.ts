/**
 * The scheduler under stress: one that runs already, or one of our own in this process, on
 * loopback.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { sleep } from "../../src/async/sleep.js";
import { DEFAULT_LIMITS } from "../../src/rpc/index.js";
import { runScheduler } from "../../src/scheduler/main.js";
import { DEFAULT_CLIENT_LIMITS } from "../../src/scheduler/services/client-limits.js";
import { DEFAULT_DURABLE_SETTINGS } from "../../src/scheduler/services/durable-settings.js";

/** The capability files of a scheduler's secrets directory. */
export interface Caps {
  readonly admin: string;
  readonly pool: string;
}

export function capsIn(secretsDir: string, pool: string): Caps {
  return { admin: join(secretsDir, "admin.cap"), pool: join(secretsDir, `pool-${pool}.cap`) };
}

export interface OwnSchedulerOptions {
  /** An empty directory. */
  readonly directory: string;
  readonly pool: string;
  readonly prometheusPort: number | undefined;
}

/** Runs `use` with the capability files of a new scheduler, which ends with it. */
export async function withOwnScheduler(
  { directory, pool, prometheusPort }: OwnSchedulerOptions,
  signal: AbortSignal,
  use: (caps: Caps) => Promise<void>,
): Promise<void> {
  const secretsDir = join(directory, "secrets");
  await mkdir(secretsDir);
  const caps = capsIn(secretsDir, pool);
  const stop = new AbortController();
  const scheduler = runScheduler(
    {
      secretKeyFile: join(secretsDir, "key.pem"),
      listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
      publicAddress: undefined,
      tls: true,
      pools: [pool],
      secretsDir,
      stateDir: join(directory, "scheduler"),
      prometheus:
        prometheusPort === undefined ? undefined : { host: undefined, port: prometheusPort },
      defaultClients: [],
      clientLimits: DEFAULT_CLIENT_LIMITS,
      durable: DEFAULT_DURABLE_SETTINGS,
      estimates: "learned",
      scaleTarget: 300,
      backups: true,
      relayBytes: DEFAULT_LIMITS.outboundAbortBytes,
      liveness: { intervalMs: 30_000, timeoutMs: 30_000 },
    },
    stop.signal,
  );
  try {
    // The files are written once it listens. If it cannot, it ends, which is its promise's
    // rejection.
    await Promise.race([scheduler, appeared(caps.pool, signal)]);
    await use(caps);
  } finally {
    stop.abort();
    await scheduler;
  }
}

async function appeared(path: string, signal: AbortSignal): Promise<void> {
  while (!existsSync(path)) await sleep(20, signal);
}
