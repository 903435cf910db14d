// What clusters of scripts need of this machine: a port, and a place for layers.

import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { ensurePackages } from "./debian.mjs";
import { canOverlay } from "./mounts.mjs";

/**
 * Where layers are kept: as overlays where the kernel can, else as copies.
 * @param {string} dir
 */
export function storeOptions(dir) {
  if (canOverlay(dir)) return [`--obuilder-store=overlayfs:${join(dir, "store")}`];
  ensurePackages("copying");
  return [`--obuilder-store=rsync:${join(dir, "store")}`, "--rsync-mode=copy"];
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no TCP port");
  return address.port;
}
