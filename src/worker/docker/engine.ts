/**
 * The Docker engine as jobs see it: what it refuses, and that it is not there, fails them.
 */
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import {
  EngineError,
  engineError,
  postForStream as post,
  type StreamRequest,
} from "../../docker/index.js";
import { JobFailed } from "../failure.js";

/** As in `docker/`, but throws `JobFailed`, or the signal's reason. */
export async function postForStream(docker: Docker, request: StreamRequest): Promise<Readable> {
  try {
    return await post(docker, request);
  } catch (error) {
    request.signal.throwIfAborted();
    throw engineFailure(error);
  }
}

/**
 * An error of a request to the engine in words for the client of a job; other errors as they are.
 */
export function engineFailure(error: unknown): unknown {
  const known = engineError(error);
  if (!(known instanceof EngineError)) return error;
  const { code, message, reason, status } = known;
  const text =
    status === undefined
      ? `Cannot reach the worker's Docker engine: ${code === "ENOENT" ? "it is not running" : reason}`
      : message;
  return new JobFailed(text, { cause: error });
}
