/*
 * Caches as datasets of a ZFS pool.
 */

export class ZfsCaches {}
