/**
 * The Docker engine, names of images, and logins of registries.
 */
export { DockerEngine, type ImageInfo, type ListedImage } from "./engine.js";
export { EngineError, ImageNameError } from "./errors.js";
export {
  type ImageName,
  isLoopbackRegistry,
  parseImageName,
  pinnedName,
  repositoryAliases,
} from "./image-name.js";
export { OperatorLogins, type RegistryAuth, type RegistryAuths } from "./registry-auth.js";
