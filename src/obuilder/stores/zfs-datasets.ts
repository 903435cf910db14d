/*
 * The commands of ZFS on the datasets of one pool.
 */

export class ZfsDatasets {}
