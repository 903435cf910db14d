/*
 * What a docker store calls its images, containers and volumes in the engine, as the reference does.
 */

export class DockerNames {}
