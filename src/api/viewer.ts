/**
 * Who sees everything and changes nothing: what our schedulers offer beyond the shared contract. A
 * `Viewer` is what the capability file of a viewer leads to, a kind of `Grants`.
 */
import { type Capability, type MethodEntry, method, serve } from "../rpc/index.js";
import { capabilityOf } from "./calls.js";
import { Viewer$Client } from "./generated/extensions.js";
import { type LiveJobsService, liveJobsMethods } from "./live-jobs.js";
import { monitorMethods, type PoolMonitorService } from "./pool-monitor.js";

const [POOL] = Viewer$Client.methods;

/** What the methods throw goes to the caller. */
export interface ViewerService {
  /** A pool's `PoolMonitor`, see `localPool`; owned by the caller. */
  pool(name: string): Capability;
}

/** `extensions`: methods of further interfaces that the object has. */
export function local(service: ViewerService, extensions: readonly MethodEntry[]): Capability {
  return serve("Viewer", [
    method(POOL, (call) => {
      const pool = service.pool(call.params.name);
      call.results();
      call.setCapability(0, pool);
    }),
    ...extensions,
  ]);
}

/** A pool to look at: a `PoolMonitor`, and a `LiveJobs`. */
export function localPool(service: PoolMonitorService & LiveJobsService): Capability {
  return serve("PoolMonitor", [...monitorMethods(service), ...liveJobsMethods(service)]);
}

/**
 * A pool's `PoolMonitor`, usable at once and owned by the caller; broken if there is no such pool.
 */
export function pool(viewer: Capability, name: string): Capability {
  const call = viewer.call(POOL, (params) => {
    params.name = name;
  });
  return capabilityOf(call, 0);
}
