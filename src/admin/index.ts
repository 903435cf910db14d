/**
 * What the commands of operators do.
 */
export { backup } from "./backup.js";
export { cancelMatching } from "./cancel.js";
export { addClient, listClients, removeClient, setRate } from "./clients.js";
export { exec } from "./exec.js";
export { explain } from "./explain.js";
export { forget } from "./forget.js";
export { forgetPool, movePool } from "./former-pools.js";
export { addGranted, listGranted, removeGranted } from "./granted.js";
export { liveFields } from "./live-text.js";
export { describeObstacle } from "./obstacles.js";
export { setActive } from "./pause.js";
export { running } from "./running.js";
export { show } from "./show.js";
export { top } from "./top.js";
export { update } from "./update.js";
export { usage } from "./usage.js";
