/**
 * Having as many workers as the queue needs, by engines that start them.
 */
export { type AutoscalerOptions, runAutoscaler } from "./main.js";
