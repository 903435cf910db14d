/**
 * What a compose file says about a service, as what Docker's engine is told to make its container.
 */
import type Docker from "dockerode";
import type { Service } from "./compose.js";

/** Elements that say how compose is to go about it, and nothing about a container. */
const ABOUT_COMPOSE = ["build", "depends_on", "ports", "profiles", "restart"];

/** Options for `createContainer`. Throws if the service has elements that are not known here. */
export function containerOf(service: Service): Docker.ContainerCreateOptions {
  const host: Record<string, unknown> = {};
  const options: Record<string, unknown> = { HostConfig: host };
  for (const [element, value] of Object.entries(service)) {
    const known = ELEMENTS[element];
    if (known) known(value, options, host);
    else if (!ABOUT_COMPOSE.includes(element)) throw new Error(`What is ${element}?`);
  }
  return options;
}

type Options = Record<string, unknown>;

const ELEMENTS: Readonly<Record<string, (value: unknown, own: Options, host: Options) => void>> = {
  image: (value, own) => (own.Image = value),
  // An empty one, or none, is that of the image.
  command: (value, own) => {
    if ((value as string[] | undefined)?.length) own.Cmd = value;
  },
  entrypoint: (value, own) => (own.Entrypoint = value),
  user: (value, own) => (own.User = value),
  healthcheck: (value, own) => {
    const { disable, ...others } = value as { readonly disable?: boolean };
    if (!disable || Object.keys(others).length > 0) throw new Error("What is this health check?");
    own.Healthcheck = { Test: ["NONE"] };
  },
  stop_grace_period: (value, own) => {
    const [, hours] = /^(\d+)h$/.exec(value as string)!;
    own.StopTimeout = 3600 * Number(hours);
  },
  init: (value, _own, host) => (host.Init = value),
  read_only: (value, _own, host) => (host.ReadonlyRootfs = value),
  network_mode: (value, _own, host) => (host.NetworkMode = value),
  cap_add: (value, _own, host) => (host.CapAdd = value),
  cap_drop: (value, _own, host) => (host.CapDrop = value),
  cgroup: (value, _own, host) => (host.CgroupnsMode = value),
  volumes: (value, _own, host) => (host.Binds = value),
  security_opt: (value, _own, host) => {
    // Docker's client turns this one into two others.
    const all = value as string[];
    host.SecurityOpt = all.filter((option) => option !== "systempaths=unconfined");
    if (all.includes("systempaths=unconfined")) {
      host.MaskedPaths = [];
      host.ReadonlyPaths = [];
    }
  },
};
