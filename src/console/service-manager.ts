/**
 * Telling systemd how a service is: sd_notify(3), when the environment asks for it.
 *
 * The protocol is a datagram on a unix socket, which Node cannot send; systemd's own program can.
 * Units need `NotifyAccess=all`, as the message comes from a child.
 */
import { start } from "../system/process.js";
import { logger } from "./log.js";

const log = logger("systemd");

/**
 * Sends a state such as `READY=1`. Without a service manager that listens nothing happens; failures
 * are only logged.
 */
export function notifyServiceManager(state: string): void {
  if (!process.env.NOTIFY_SOCKET) return;
  const failed = (why: string): void => log.warn(`systemd-notify failed: ${why}`);
  start(["systemd-notify", `--pid=${process.pid}`, state], { stdio: "ignore" }).ended.then(
    ({ status }) => {
      if (status !== 0) failed(`exit status ${status}`);
    },
    (error: Error) => failed((error.cause as Error).message),
  );
}

/**
 * From now on, shows the service manager that this process is alive and not stuck, if it wants to
 * know (`WatchdogSec=` in the unit): sd_watchdog_enabled(3). Does not keep the process alive.
 */
export function feedWatchdog(): void {
  const { WATCHDOG_PID: pid, WATCHDOG_USEC: limit } = process.env;
  const ms = Number(limit) / 1000;
  if (!(ms > 0) || (pid && Number(pid) !== process.pid)) return;
  setInterval(() => notifyServiceManager("WATCHDOG=1"), ms / 2).unref();
}
