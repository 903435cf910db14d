/**
 * A service of a Docker Swarm, as far as its number of tasks is concerned.
 */
import { answer, EngineError } from "./errors.js";
import { connectEngine } from "./requests.js";

/** A service as the engine describes it. */
export interface ServiceState {
  /** Grows with each change; an update names the one that it is of. */
  readonly version: number;
  /** How many tasks there shall be; undefined: it has another mode. */
  readonly replicas: number | undefined;
  /** When a task that has ended is started again: `none`, `on-failure`, `any`. */
  readonly restarts: string;
  readonly env: readonly string[];
}

export interface ServiceTask {
  readonly id: string;
  /** As the engine calls it: `new`, `pending`, `preparing`, `running`, `complete`, `failed`, … */
  readonly state: string;
  /** What it shall come to: `running`, `shutdown`, … */
  readonly desired: string;
}

/** As much of the engine's answers as matters here. */
interface RawService {
  readonly Version: { readonly Index: number };
  readonly Spec: {
    readonly Mode?: { readonly Replicated?: { readonly Replicas?: number } };
    readonly TaskTemplate: {
      readonly RestartPolicy?: { readonly Condition?: string };
      readonly ContainerSpec?: { readonly Env?: readonly string[] };
    };
  };
}
interface RawTask {
  readonly ID: string;
  readonly DesiredState: string;
  readonly Status: { readonly State: string };
}

/** All methods reject with an `EngineError`. */
export class SwarmService {
  readonly #docker = connectEngine();

  constructor(
    /** Name or id. */
    readonly name: string,
  ) {}

  async state(): Promise<ServiceState> {
    const { Spec, Version } = await this.#inspect();
    const { Mode, TaskTemplate } = Spec;
    return {
      version: Version.Index,
      replicas: Mode?.Replicated && (Mode.Replicated.Replicas ?? 0),
      restarts: TaskTemplate.RestartPolicy?.Condition ?? "any",
      env: TaskTemplate.ContainerSpec?.Env ?? [],
    };
  }

  /** Those that shall run: what has ended is left out. */
  async tasks(): Promise<ServiceTask[]> {
    const filters = JSON.stringify({ service: [this.name], "desired-state": ["running"] });
    const tasks = (await answer(this.#docker.listTasks({ filters }))) as unknown as RawTask[];
    return tasks.map(({ DesiredState, ID, Status }) => ({
      id: ID,
      state: Status.State,
      desired: DesiredState,
    }));
  }

  /**
   * Sets how many tasks there shall be, and nothing else. Rejects if `version` is not the newest.
   */
  async scale(replicas: number, version: number): Promise<void> {
    const { Spec, Version } = await this.#inspect();
    if (Version.Index !== version) {
      throw EngineError.refused(`service ${this.name} has been changed meanwhile`);
    }
    const changed = { ...Spec, Mode: { Replicated: { Replicas: replicas } }, version };
    await answer(this.#docker.getService(this.name).update(changed));
  }

  async #inspect(): Promise<RawService> {
    return (await answer(this.#docker.getService(this.name).inspect())) as RawService;
  }
}
