/**
 * Requests to a Docker engine that dockerode does not make as they are needed here: with a stream
 * for an answer, and with an end when somebody says so.
 */
import { createRequire } from "node:module";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { engineError } from "./errors.js";
import type { RegistryAuth, RegistryAuths } from "./registry-auth.js";

const require = createRequire(import.meta.url);

/**
 * A client of the engine that `DOCKER_HOST` and the like name; by default the one of this machine.
 * The library behind it is loaded by the first call: with all that it brings it takes as long as a
 * whole cached build, and most builds need no engine.
 */
export function connectEngine(): Docker {
  const Engine = require("dockerode") as new () => Docker;
  return new Engine();
}

/** Whether the engine answers, within `patience` ms. */
export async function isEngineThere(docker: Docker, patience: number): Promise<boolean> {
  const ping = docker.ping as (options: object) => Promise<unknown>;
  try {
    await ping.call(docker, { abortSignal: AbortSignal.timeout(patience) });
    return true;
  } catch {
    return false;
  }
}

/** A request whose answer is a stream. */
export interface StreamRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string | number>>;
  readonly body?: Readable;
  /** For the registry that is talked to, and for each that may be. */
  readonly auth?: RegistryAuth | undefined;
  readonly auths?: RegistryAuths;
  readonly signal: AbortSignal;
}

/**
 * Sends a request by POST and resolves with the response once it begins. Rejects with `EngineError`
 * if the engine cannot be reached or refuses, and the signal's reason. When the signal is aborted
 * the response breaks off, and the engine stops.
 */
export function postForStream(docker: Docker, request: StreamRequest): Promise<Readable> {
  const { auth, auths, body, path, query, signal } = request;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    docker.modem.dial(
      {
        method: "POST",
        path: `${path}?`,
        // Left to itself it sends the query as the body, too.
        options: { _query: query, _body: {} },
        isStream: true,
        abortSignal: signal,
        statusCodes: { 200: true },
        ...(body && { file: body }),
        ...(auth && { authconfig: { ...auth } }),
        ...(auths && { registryconfig: Object.fromEntries(auths) }),
      },
      (error: unknown, response: unknown) => {
        body?.destroy();
        if (signal.aborted) reject(signal.reason);
        else if (error) reject(engineError(error));
        else resolve(response as Readable);
      },
    );
  });
}
