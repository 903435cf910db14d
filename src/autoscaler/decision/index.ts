/**
 * Decisions about how many workers there are to be: pure, so that they can be tested and simulated.
 */
export { decide, elsewhere, isComing } from "./decide.js";
export { History } from "./history.js";
export type { Decision, Demand, Instance, Limits, Member, OtherGroup, View } from "./types.js";
