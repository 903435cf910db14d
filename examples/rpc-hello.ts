/**
 * A service and its client, with a schema of their own (rpc-hello.capnp).
 *
 *     npm run build && node scripts/run-ts.mjs examples/rpc-hello.ts
 */
import { method, parseAddress, SturdyRef, serve, Vat } from "ocluster/rpc";
import { Guest$Client, Guide$Client, Listener$Client } from "./generated/rpc-hello.js";

const [GUEST] = Guide$Client.methods;
const [GREET] = Guest$Client.methods;
const [HEAR] = Listener$Client.methods;
/** The default service: for everybody who has the server's address and fingerprint. */
const NO_ID = new Uint8Array(0);

// The server. `guest` gives an object; what is given away belongs to who gets it.
const makeGuest = (name: string) => {
  const greet = method(GREET, async (call) => {
    using listener = call.capability(0);
    using heard = listener.call(HEAR, (params) => (params.text = `${name} is here`));
    await heard.response;
    call.results().greeting = `Hello, ${name}!`;
  });
  return serve("guest", [greet], { release: () => console.log(`${name} has left`) });
};
const guide = serve("guide", [
  method(GUEST, (call) => call.setCapability(0, makeGuest(call.params.name))),
]);
const server = new Vat({ restore: () => guide.dup() });
const listener = await server.listen(parseAddress("tcp:127.0.0.1:0"), { tls: true });
const uri = server.sturdyRef(listener, NO_ID).format();

// The client. It has nothing but the URI, calls the guest before it knows whether there is one, and
// is called back.
const client = new Vat();
{
  using remote = await client.import(SturdyRef.parse(uri));
  using asked = remote.call(GUEST, (params) => (params.name = "World"));
  using guest = asked.capability(0);
  const hear = method(HEAR, (call) => console.log(`heard: ${call.params.text}`));
  using greeted = guest.call(GREET, (_, payload) => payload.setCapability(0, serve("ear", [hear])));
  console.log((await greeted.response).results.greeting);
}
await client.close();
await server.close();
guide.release();
