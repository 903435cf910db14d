/*
 * Caches as volumes of a Docker engine.
 */

export class DockerCaches {}
