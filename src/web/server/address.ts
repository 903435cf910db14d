/** Where a request comes from, for limits. */
import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

/**
 * The address of who asks. A proxy on this machine says whom it asks for in `X-Forwarded-For`:
 * there, the last one is its own addition, and all before it are whatever the visitor has sent.
 *
 * @param hasProxy there is one
 */
export function addressOf({ headers, socket }: IncomingMessage, hasProxy: boolean): string {
  const peer = socket.remoteAddress ?? "";
  const kind = isIP(peer) === 6 ? "ipv6" : "ipv4";
  if (!hasProxy || peer === "" || !LOOPBACK.check(peer, kind)) return peer;
  const forwarded = [headers["x-forwarded-for"] ?? []].flat().join(",");
  const last = forwarded.split(",").at(-1)!.trim();
  return isIP(last) === 0 ? peer : last;
}
