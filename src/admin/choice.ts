/** Errors for who has to name a worker and did not: they list the candidates. */
import type { PoolAdmin } from "../api/index.js";
import { CommandFailed } from "../console/index.js";
import { describeWorker } from "./output.js";

/** @param ask such as "Specify which worker you want to affect (or use --all)." */
export function chooseWorker(ask: string, workers: readonly PoolAdmin.WorkerInfo[]): CommandFailed {
  return new CommandFailed([ask, "Candidates are:", ...workers.map(describeWorker)].join("\n"));
}
