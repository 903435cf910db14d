/*
 * Names of images as a spec has them.
 */

import { type ImageName, ImageNameError, parseImageName } from "../../docker/index.js";
import { BuildError } from "../errors.js";

/** Throws `BuildError` for what is no name. */
export function imageNameOf(text: string): ImageName {
  try {
    return parseImageName(text);
  } catch (error) {
    throw error instanceof ImageNameError ? new BuildError(error.message) : error;
  }
}
