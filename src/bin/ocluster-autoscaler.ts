#!/usr/bin/env node
/**
 * `ocluster-autoscaler`: has as many workers as the queue needs.
 */
import {
  command,
  connectOption,
  described,
  duration,
  existingFile,
  option,
  runMain,
  ValueError,
} from "../cli/index.js";
import { feedWatchdog, interruptible, notifyServiceManager } from "../console/index.js";
import { rpcFailure } from "./rpc-failure.js";

/** A pause in which batch systems get their breath back. */
const interval = described((text) => {
  const seconds = duration(text);
  if (seconds < 1) throw new ValueError(`invalid value '${text}', expected at least 1s`);
  return seconds;
}, duration);

const autoscaler = command("ocluster-autoscaler", "Has as many workers as the queue needs.", [
  "ocluster-autoscaler -c scaler.cap --config=pools.yml --dry-run --once",
  "ocluster-autoscaler -c scaler.cap --config=pools.yml --verbose",
])
  .addOption(connectOption("scaler.cap"))
  .addOption(
    option(
      "--config <FILE>",
      "The pools, and what starts workers for them (YAML).",
      existingFile,
    ).makeOptionMandatory(),
  )
  .addOption(option("--interval <TIME>", "Pause between two looks.", interval).default(10))
  .option("--dry-run", "Say what would be done, and do nothing.", false)
  .option("--once", "Look once, do what is to be done, and exit.", false)
  .action(async ({ config, connect, dryRun, interval: seconds, once }) => {
    const { runAutoscaler } = await import("../autoscaler/index.js");
    await interruptible((signal) => {
      signal.addEventListener("abort", () => notifyServiceManager("STOPPING=1"));
      return runAutoscaler(
        {
          connect,
          config,
          dryRun,
          once,
          interval: seconds * 1000,
          onReady: () => {
            notifyServiceManager("READY=1");
            feedWatchdog();
          },
        },
        signal,
      );
    });
  });

await runMain(autoscaler, rpcFailure);
