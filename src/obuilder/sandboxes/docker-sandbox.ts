/*
 * Runs steps as containers of a Docker engine, for layers that are its images.
 */

export class DockerSandbox {}
