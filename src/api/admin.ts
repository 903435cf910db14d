/**
 * What `admin.cap` leads to: power over the whole scheduler.
 */
import { type Capability, type MethodEntry, method, serve } from "../rpc/index.js";
import { type CallOptions, capabilityOf, done, resultOf, writeTexts } from "./calls.js";
import { ClientRemoval$Client } from "./generated/extensions.js";
import { Admin$Client } from "./generated/ocluster.js";

const [POOLS, POOL, ADD_CLIENT, REMOVE_CLIENT, LIST_CLIENTS] = Admin$Client.methods;

const [REMOVE] = ClientRemoval$Client.methods;

/** What the methods throw goes to the administrator. */
export interface AdminService {
  /** The pools' names, sorted. */
  pools(): readonly string[];
  /** A pool's `PoolAdmin`, owned by the caller. */
  pool(name: string): Capability;
  /** Makes a new client and returns its `Submission`, which can be saved; owned by the caller. */
  addClient(id: string): Capability | Promise<Capability>;
  /**
   * Ends a client's access, and cancels what it has queued; with `cancelRunning`, what it has
   * running as well.
   */
  removeClient(id: string, cancelRunning: boolean): void | Promise<void>;
  /** The clients' ids, sorted. */
  listClients(): readonly string[];
}

/** `extensions`: methods of further interfaces that the object has. */
export function local(service: AdminService, extensions: readonly MethodEntry[] = []): Capability {
  return serve("Admin", [
    method(POOLS, (call) => {
      const names = service.pools();
      writeTexts(call.results()._initNames(names.length), names);
    }),
    method(POOL, (call) => {
      const pool = service.pool(call.params.name);
      call.results();
      call.setCapability(0, pool);
    }),
    method(ADD_CLIENT, async (call) => {
      const submission = await service.addClient(call.params.id);
      call.results();
      call.setCapability(0, submission);
    }),
    method(REMOVE_CLIENT, ({ params }) => service.removeClient(params.id, false)),
    method(REMOVE, ({ params: { id, cancelRunning } }) => service.removeClient(id, cancelRunning)),
    method(LIST_CLIENTS, (call) => {
      const clients = service.listClients();
      writeTexts(call.results()._initClients(clients.length), clients);
    }),
    ...extensions,
  ]);
}

/** The pools' names, sorted. */
export function pools(admin: Capability, options?: CallOptions): Promise<string[]> {
  return resultOf(admin.call(POOLS, undefined, options), ({ names }) => names.toArray());
}

/**
 * A pool's `PoolAdmin`, usable at once and owned by the caller; broken if there is no such pool.
 */
export function pool(admin: Capability, name: string): Capability {
  const call = admin.call(POOL, (params) => {
    params.name = name;
  });
  return capabilityOf(call, 0);
}

/**
 * Makes a new client. The result is its `Submission`, usable at once; broken if the id is taken.
 */
export function addClient(admin: Capability, id: string): Capability {
  const call = admin.call(ADD_CLIENT, (params) => {
    params.id = id;
  });
  return capabilityOf(call, 0);
}

/**
 * See `AdminService.removeClient`. With `cancelRunning` it rejects as "unimplemented" if the
 * scheduler cannot do that; nothing is done then.
 */
export function removeClient(
  admin: Capability,
  id: string,
  options?: CallOptions & { readonly cancelRunning?: boolean },
): Promise<void> {
  if (options?.cancelRunning) {
    const call = admin.call(
      REMOVE,
      (params) => {
        params.id = id;
        params.cancelRunning = true;
      },
      options,
    );
    return done(call);
  }
  const call = admin.call(
    REMOVE_CLIENT,
    (params) => {
      params.id = id;
    },
    options,
  );
  return done(call);
}

/** The clients' ids, sorted. */
export function listClients(admin: Capability, options?: CallOptions): Promise<string[]> {
  return resultOf(admin.call(LIST_CLIENTS, undefined, options), ({ clients }) => clients.toArray());
}
