/**
 * Docker Swarm: the workers are the tasks of one replicated service, which the operator has made,
 * and whose number of replicas is all that is changed.
 *
 * Swarm itself chooses which tasks it ends when there are to be fewer, and it may take a busy one.
 * So the number is never set below the tasks that there are: workers end themselves, and then the
 * number follows them. The service must not have tasks that have ended started again
 * (`--restart-condition=none`), and gives each worker its task's id
 * (`OCLUSTER_WORKER_ID={{.Task.ID}}`).
 */
import { sleep, unlessAborted } from "../../async/index.js";
import {
  EngineError,
  type ServiceState,
  type ServiceTask,
  SwarmService,
} from "../../docker/index.js";
import type { Instance } from "../decision/index.js";
import { type Driver, DriverError, type Launched } from "../driver.js";
import type { Settings } from "../settings.js";

export interface SwarmOptions {
  /** The service's name. */
  readonly service: string;
}

export function swarmOptions(settings: Settings): SwarmOptions {
  return { service: settings.requiredText("service") };
}

/** How long an engine may take to answer, and Swarm to make tasks, in ms. */
const TIMEOUT_MS = 30_000;
const TASKS_MS = 5_000;
const LOOK_MS = 100;

/** What the service must say for workers to have names by which they are found. */
const WORKER_ID = "OCLUSTER_WORKER_ID={{.Task.ID}}";

export class SwarmDriver implements Driver {
  private readonly service: Pick<SwarmService, "name" | "scale" | "state" | "tasks">;

  constructor(
    { service }: SwarmOptions,
    /** The service, if it is not the engine's. */
    known?: Pick<SwarmService, "name" | "scale" | "state" | "tasks">,
  ) {
    this.service = known ?? new SwarmService(service);
  }

  get title(): string {
    return `Swarm's service "${this.service.name}"`;
  }

  async list(signal: AbortSignal): Promise<Instance[]> {
    this.check(await this.ask(this.service.state(), signal));
    return (await this.live(signal)).map(({ id, state }) => ({
      id,
      phase: state === "running" ? "running" : "pending",
    }));
  }

  async launch(count: number, signal: AbortSignal): Promise<Launched> {
    const { version } = this.check(await this.ask(this.service.state(), signal));
    const before = await this.live(signal);
    const known = new Set(before.map(({ id }) => id));
    await this.ask(this.service.scale(before.length + count, version), signal);
    // Swarm makes them a moment later.
    const end = performance.now() + TASKS_MS;
    for (;;) {
      const ids = (await this.live(signal)).map(({ id }) => id).filter((id) => !known.has(id));
      if (ids.length >= count) return { ids };
      if (performance.now() >= end) {
        const failure = `Swarm has made ${ids.length} of ${count} tasks so far`;
        if (ids.length === 0) throw new DriverError(failure);
        return { ids, failure };
      }
      await sleep(LOOK_MS, signal);
    }
  }

  async settle(signal: AbortSignal): Promise<void> {
    const { replicas, version } = this.check(await this.ask(this.service.state(), signal));
    // Tasks can only have become fewer since then, unless somebody has changed the service.
    const { length } = await this.live(signal);
    if (length < replicas!) await this.ask(this.service.scale(length, version), signal);
  }

  private async live(signal: AbortSignal): Promise<ServiceTask[]> {
    const tasks = await this.ask(this.service.tasks(), signal);
    return tasks.filter(({ desired, state }) => desired === "running" && !ENDED.includes(state));
  }

  /** Throws if workers of such a service could be ended, or not be found. */
  private check(state: ServiceState): ServiceState {
    const { name } = this.service;
    if (state.replicas === undefined) {
      throw new DriverError(`Service ${name} is not replicated; create it with --replicas=0`);
    }
    if (state.restarts !== "none") {
      throw new DriverError(
        `Service ${name} starts workers again that have ended: docker service update --restart-condition=none ${name}`,
      );
    }
    if (!state.env.includes(WORKER_ID)) {
      throw new DriverError(
        `Workers of service ${name} are not found by their names: docker service update --env-add '${WORKER_ID}' ${name}`,
      );
    }
    return state;
  }

  private async ask<T>(request: Promise<T>, signal: AbortSignal): Promise<T> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    try {
      return await unlessAborted(request, deadline);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof EngineError) throw new DriverError(error.message, { cause: error });
      if (!deadline.aborted) throw error;
      throw new DriverError(`The Docker engine has not answered within ${TIMEOUT_MS / 1000} s`);
    }
  }
}

/** States of tasks that have ended. */
const ENDED = ["complete", "failed", "shutdown", "rejected", "orphaned", "remove"];
