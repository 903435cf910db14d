/**
 * Capabilities that can be had again later: asked for its sturdy ref, such a one answers with a URI
 * for a `.cap` file.
 *
 * This is `Persistent` of Cap'n Proto's persistent.capnp, whose `SturdyRef` is any pointer; between
 * OCluster's programs it is a text, the URI (capnp-rpc's `Sturdy_ref.builder`).
 */
import { ObjectSize, Struct, utils } from "capnp-es";
import { type Capability, type Method, method, SturdyRef } from "../rpc/index.js";
import { type CallOptions, resultOf } from "./calls.js";

class SaveParams extends Struct {
  static readonly _capnp = {
    displayName: "SaveParams",
    id: "f76fba59183073a5",
    size: new ObjectSize(0, 1),
  };
}

class SaveResults extends Struct {
  static readonly _capnp = {
    displayName: "SaveResults",
    id: "b76848c18c40efbf",
    size: new ObjectSize(0, 1),
  };

  get uri(): string {
    return utils.getText(0, this);
  }

  set uri(value: string) {
    utils.setText(0, value, this);
  }
}

const SAVE: Method<SaveParams, SaveResults> = {
  interfaceId: 0xc8cb212fcd9f5691n,
  methodId: 0,
  interfaceName: "persistent.capnp:Persistent",
  methodName: "save",
  ParamsClass: SaveParams,
  ResultsClass: SaveResults,
};

/** A service that can be had again. */
export interface Saveable {
  /** Where and under which secret it is found. */
  save(): SturdyRef;
}

/** The method of a service of whatever interface that makes it persistent, too. */
export function saveMethod(service: Saveable) {
  return method(SAVE, (call) => {
    call.results().uri = service.save().format();
  });
}

/**
 * The sturdy ref of a capability. Rejects with an `RpcError` ("unimplemented" if it has none), and
 * with a `SturdyRefError` if the answer makes no sense.
 */
export async function save(capability: Capability, options?: CallOptions): Promise<SturdyRef> {
  const uri = await resultOf(capability.call(SAVE, undefined, options), (results) => results.uri);
  return SturdyRef.parse(uri);
}
