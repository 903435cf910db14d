/**
 * What an operator can do about a worker that does not get in. It tries again by itself, but what
 * is wrong may last until somebody knows of it, so this is said whatever the verbosity.
 */
import { Registration } from "../api/index.js";
import { type ErrorCode, RpcError } from "../rpc/index.js";
import { quoted } from "../text/index.js";

/** A worker's name, and the path of its capability file. */
export interface Applicant {
  readonly connect: string;
  readonly name: string;
}

/** `error` is why the worker could not register. */
export function adviceOn(error: unknown, applicant: Applicant): string {
  if (!(error instanceof RpcError)) {
    return `${error}. The worker tries again until it can register.`;
  }
  const { connect, name } = applicant;
  if (Registration.isNameTaken(error)) {
    return (
      `Another worker called ${quoted(name)} is connected to that pool. Stop that one, or start this one with another ` +
      "--name; the worker tries again until the name is free."
    );
  }
  const advice = error.code && ADVICE[error.code];
  return advice
    ? advice(connect)
    : `The scheduler that "${connect}" names does not let this worker in: ${error}. The worker tries again until it does.`;
}

/** By what is wrong with the way to the pool; of the capability file's path. */
const ADVICE: Readonly<Record<ErrorCode, (connect: string) => string>> = {
  "wrong-interface": (connect) =>
    `The capability in "${connect}" is not for workers. Replace the file by pool-NAME.cap from the scheduler's ` +
    "secrets directory; the worker reads it again at its next attempt.",
  unreachable: (connect) =>
    `There is no way to the scheduler that "${connect}" names. Is it running at that address, and does the ` +
    "firewall let its port in? The worker tries again until it answers.",
  "unknown-service": (connect) =>
    `The scheduler does not know the secret in "${connect}". Replace the file by the pool's current ` +
    "pool-NAME.cap from the scheduler's secrets directory; the worker reads it again at its next attempt.",
  "wrong-key": (connect) =>
    `The scheduler at the address in "${connect}" is not the one that the file was made for, or its key was ` +
    "replaced. Replace the file by the pool's current pool-NAME.cap; the worker reads it again at its next attempt.",
};
