/*
 * Layers as images of a Docker engine on this machine.
 */

export class DockerStore {}
