/**
 * What can be chosen about updates. Apart from what they do, so that a command line can be read
 * without loading that.
 */

/** For a worker that is a Docker service: its image and its name. */
export interface ServiceImage {
  readonly repository: string;
  readonly tag: string;
  readonly service: string;
}

export const DEFAULT_SERVICE_IMAGE: ServiceImage = {
  repository: "ocurrent/ocluster-worker",
  tag: "live",
  service: "builder_agent",
};

export const UPDATE_MODES = ["auto", "service", "restart"] as const;
/** "auto": as a service in a Docker container, else by a restart. */
export type UpdateMode = (typeof UPDATE_MODES)[number];
