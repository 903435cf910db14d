/**
 * The Docker engine, names of images, and logins of registries.
 */
export { DockerEngine, type ImageInfo, type ListedImage } from "./engine.js";
export { EngineError, engineError, ImageNameError } from "./errors.js";
export {
  DOCKER_HUB,
  type ImageName,
  isLoopbackRegistry,
  parseImageName,
  pinnedName,
  registryOf,
  repositoryAliases,
} from "./image-name.js";
export { type EngineMessage, engineMessages, progressText } from "./messages.js";
export { OperatorLogins, type RegistryAuth } from "./registry-auth.js";
export { connectEngine, isEngineThere, postForStream, type StreamRequest } from "./requests.js";
export { type ServiceState, type ServiceTask, SwarmService } from "./swarm-service.js";
