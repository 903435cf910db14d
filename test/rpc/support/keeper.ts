/** The service that tests of single messages are made with. */
import { expect } from "vitest";
import { type Capability, method, serve } from "../../../src/rpc/index.js";
import { Box, echo, get, put, wait } from "./box.js";
import { RawPeer } from "./raw-peer.js";

export const NO_ID = new Uint8Array(0);

/** A service that keeps what it is given, gives what it is told to, and tells when it is gone. */
export function keeper() {
  const kept: Capability[] = [];
  const calls: number[] = [];
  const gifts: Capability[] = [];
  let released = 0;
  let aborted = 0;
  const service = serve(
    "keeper",
    [
      method(echo, (call) => {
        calls.push(call.params.number);
      }),
      method(put, (call) => {
        kept.push(call.capability(Box.CAP));
      }),
      method(get, (call) => call.setCapability(Box.CAP, gifts.shift()!)),
      method(wait, ({ signal }) => {
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            aborted++;
            reject(signal.reason);
          });
        });
      }),
    ],
    { release: () => released++ },
  );
  return {
    service,
    kept,
    calls,
    gifts,
    get released() {
      return released;
    },
    get aborted() {
      return aborted;
    },
  };
}

/** A peer that has got the service as export 0. */
export async function introduced(service: Capability): Promise<RawPeer> {
  const peer = new RawPeer(() => service.dup());
  peer.write.bootstrap(0, NO_ID);
  expect(await peer.exchange()).toEqual(["return 0 results [sender:0]"]);
  peer.write.finish(0, false);
  await peer.exchange();
  return peer;
}
