/*
 * Layers as datasets of a ZFS pool.
 */

export class ZfsStore {}
