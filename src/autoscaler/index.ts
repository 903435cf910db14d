/**
 * Having as many workers as the queue needs, by engines that start them.
 */
export { runAutoscaler } from "./main.js";
