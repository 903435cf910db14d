/*
 * Base images for a docker store: the engine has them, or pulls them; nothing is unpacked.
 */

export class EngineFetcher {}
