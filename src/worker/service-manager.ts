/**
 * Telling systemd how the worker is: sd_notify(3), when the environment asks for it.
 *
 * The protocol is a datagram on a unix socket, which Node cannot send; systemd's own program can. Units need
 * `NotifyAccess=all`, as the message comes from a child.
 */
import { spawn } from "node:child_process";
import { logger } from "../cli/log.js";

/** Sends a state such as `READY=1`. Without a service manager that listens nothing happens; failures are only logged. */
export function notifyServiceManager(state: string): void {
  if (!process.env.NOTIFY_SOCKET) return;
  const child = spawn("systemd-notify", [`--pid=${process.pid}`, state], { stdio: "ignore" });
  const failed = (why: string): void => logger("worker").warn(`systemd-notify failed: ${why}`);
  child.on("error", (error) => failed(error.message));
  child.on("exit", (status) => {
    if (status !== 0) failed(`exit status ${status}`);
  });
}
