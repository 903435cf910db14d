/**
 * Workers as a library, for programs that handle kinds of jobs of their own:
 *
 *     const worker = new Worker({
 *       connect: "pool-linux-x86_64.cap",
 *       name: "my-host",
 *       stateDir: "/var/lib/my-worker",
 *       custom: {
 *         greet: async ({ log, payload }) => {
 *           log.append("Hello!");
 *           return "the job's output";
 *         },
 *       },
 *     });
 *     await worker.run(signal);
 *
 * `examples/custom-job.ts` is a complete program.
 */
export type { BuildIo, CustomHandler, CustomJob } from "./build.js";
export type { WeightRule } from "./capacity.js";
export type { RoomRule } from "./docker/room.js";
export { JobCancelled, JobFailed } from "./failure.js";
export type { JobLog } from "./log/job-log.js";
export type { SpecBuilderOptions } from "./spec-builder.js";
export { restartOnly, serviceUpdater, type Updater } from "./update.js";
export type { ServiceImage } from "./update-options.js";
export { Worker, type WorkerOptions } from "./worker.js";
