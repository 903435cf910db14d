/**
 * What the commands of users do, and operators' with jobs.
 */
export { checkJob } from "./check-job.js";
export { changeContexts } from "./context-command.js";
export { submitDetached, submitDurable } from "./durable.js";
export { JobFailure, withStatuses } from "./failure.js";
export {
  dockerAction,
  dockerfileIn,
  obuilderAction,
  readSecrets,
  sourceOf,
} from "./job-options.js";
export { cancelJobs, retryJobs } from "./jobs/change-jobs.js";
export { jobFields } from "./jobs/job-json.js";
export { writeLines } from "./jobs/lines.js";
export { listJobs } from "./jobs/list-jobs.js";
export { LogReader } from "./jobs/log-reader.js";
export { type RecordsOptions, steadily, withRecords } from "./jobs/records-session.js";
export { showJob } from "./jobs/show-job.js";
export { showLog } from "./jobs/show-log.js";
export { waitForJobs } from "./jobs/wait.js";
export { sendContextOf } from "./local-context/context-command.js";
export { fetchFiles } from "./outputs/fetch-files.js";
export { OutputFetch } from "./outputs/fetch-outputs.js";
export { entryFields, listOutputs } from "./outputs/list-outputs.js";
export { OutputSource } from "./outputs/output-source.js";
export { readOutputSpec } from "./outputs/output-spec.js";
export { listPools, onlyPool } from "./pools.js";
export { describeRefusal, withService } from "./session.js";
export { submit } from "./submit.js";
export { actionOfFile } from "./submit-file.js";
