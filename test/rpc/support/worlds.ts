/**
 * The places in which a capability can be, of which its user must not notice anything, and an
 * object to try it with.
 */
import { type Capability, method, RpcError, serve } from "../../../src/rpc/index.js";
import { Box, echo, fail, get, put, wait } from "./box.js";
import { connect, expectNothingLeft, settle } from "./pair.js";

/** An object that notes what happens to it. */
export function recorder() {
  const events: string[] = [];
  let open: (() => void) | undefined;
  const kept: Capability[] = [];
  const make = (name: string): Capability =>
    serve(
      name,
      [
        method(echo, (call) => {
          events.push(`${name} ${call.params.number}`);
          call.results().number = call.params.number + 1;
          call.results().text = call.params.text;
        }),
        method(get, (call) => {
          call.results().number = 1;
          call.setCapability(Box.CAP, make(`${name}'s child`));
        }),
        method(put, (call) => {
          kept.push(call.capability(Box.CAP));
        }),
        method(wait, async (call) => {
          call.signal.addEventListener("abort", () => events.push(`${name} aborted`));
          await new Promise<void>((resolve) => {
            open = resolve;
          });
          call.results().text = "waited";
        }),
        method(fail, (call) => {
          if (call.params.number === 0) throw new Error("no reason");
          throw new RpcError("overloaded", call.params.text);
        }),
      ],
      { release: () => events.push(`${name} released`) },
    );
  return { events, kept, make, open: () => open?.() };
}

interface World {
  readonly root: Capability;
  /** Releases the root and asserts that nothing is left. */
  end(): Promise<void>;
}

export const WORLDS: Record<string, (service: Capability) => World> = {
  "in the same process": (root) => ({
    root,
    async end() {
      root.release();
      await settle();
    },
  }),
  "over a connection": (service) => {
    const pair = connect(() => service);
    const root = pair.client.bootstrap();
    return {
      root,
      end() {
        root.release();
        return expectNothingLeft(pair);
      },
    };
  },
  "through a vat in the middle": (service) => {
    const far = connect(() => service);
    const near = connect(() => far.client.bootstrap());
    const root = near.client.bootstrap();
    return {
      root,
      async end() {
        root.release();
        await expectNothingLeft(near);
        await expectNothingLeft(far);
      },
    };
  },
};
