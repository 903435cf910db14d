/**
 * A schema for tests, by hand: one struct with room for a number, a text, data and a few
 * capabilities, and interfaces whose methods all take and give it.
 */
import { type Data, ObjectSize, Struct, utils } from "capnp-es";
import type { Method } from "../../../src/rpc/index.js";

export class Box extends Struct {
  static readonly _capnp = {
    displayName: "Box",
    id: "a0a0a0a0a0a0a0a0",
    size: new ObjectSize(8, 6),
  };

  /** Pointers for capabilities start here. */
  static readonly CAP = 2;

  get number(): number {
    return utils.getUint32(0, this);
  }
  set number(value: number) {
    utils.setUint32(0, value, this);
  }

  get text(): string {
    return utils.getText(0, this);
  }
  set text(value: string) {
    utils.setText(0, value, this);
  }

  get data(): Data {
    return utils.getData(1, this);
  }
  initData(length: number): Data {
    return utils.initData(1, length, this);
  }
}

/** Method `methodId` of the tests' interface `interfaceId`. */
export function boxMethod(
  methodId: number,
  interfaceId = 0xb0b0_b0b0_b0b0_b0b0n,
): Method<Box, Box> {
  return { interfaceId, methodId, ParamsClass: Box, ResultsClass: Box };
}

/** Methods by what the tests use them for. */
export const echo = boxMethod(0);
export const get = boxMethod(1);
export const put = boxMethod(2);
export const wait = boxMethod(3);
export const fail = boxMethod(4);
