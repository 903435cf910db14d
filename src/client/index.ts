/**
 * What the commands of users do.
 */
export { dockerAction, obuilderAction, readSecrets, sourceOf } from "./job-options.js";
export { describeRefusal, withService } from "./session.js";
export { submit } from "./submit.js";
