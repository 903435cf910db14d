/** The kinds of drivers, by the name of the section of a group that is for them. */
import { dirname, resolve } from "node:path";
import { readSettings } from "../config-file.js";
import type { Driver } from "../driver.js";
import type { Settings } from "../settings.js";
import { CommandDriver, commandOptions } from "./command.js";
import { KubernetesDriver } from "./kubernetes.js";
import { KubernetesApi, type KubernetesServer } from "./kubernetes-api.js";
import { JobManifest } from "./kubernetes-manifest.js";
import { SlurmDriver, slurmOptions } from "./slurm.js";
import { SwarmDriver, swarmOptions } from "./swarm.js";

type Open = (settings: Settings, group: string, pool: string) => Driver;

const KINDS: Readonly<Record<string, Open>> = {
  slurm: (settings, group, pool) => new SlurmDriver(slurmOptions(settings, group, pool)),
  swarm: (settings) => new SwarmDriver(swarmOptions(settings)),
  kubernetes: openKubernetes,
  command: (settings, group, pool) => new CommandDriver(commandOptions(settings, group, pool)),
};

/**
 * The driver of a group, by the one section of its settings that names it. Throws `ConfigError`.
 */
export function driverOf(settings: Settings, group: string, pool: string): Driver {
  const found = Object.keys(KINDS).flatMap((kind) => {
    const section = settings.section(kind);
    return section ? [{ section, open: KINDS[kind]! }] : [];
  });
  const [only] = found;
  if (!only || found.length > 1) {
    throw settings.error("", `expected one of ${Object.keys(KINDS).join(", ")}`);
  }
  const driver = only.open(only.section, group, pool);
  only.section.done();
  return driver;
}

/** What each pod has of its service account. */
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

function openKubernetes(settings: Settings, group: string, pool: string): Driver {
  const manifest = resolve(dirname(settings.file), settings.requiredText("manifest"));
  const namespace = settings.text("namespace") ?? process.env.POD_NAMESPACE ?? "default";
  return new KubernetesDriver(
    { namespace, group, pool, manifest: JobManifest.of(readSettings(manifest), group) },
    new KubernetesApi(serverOf(settings)),
  );
}

function serverOf(settings: Settings): KubernetesServer {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = process.env;
  const inCluster = host && `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const server = settings.text("server") ?? inCluster;
  if (server === undefined) {
    throw settings.error("server", "is missing, and this is no pod of a cluster");
  }
  if (!/^https?:/.test(server) || !URL.canParse(server)) {
    throw settings.error("server", "expected an address such as https://10.0.0.1:6443");
  }
  const given = settings.text("server") !== undefined;
  return {
    url: new URL(server),
    tokenFile: settings.text("token-file") ?? (given ? undefined : `${ACCOUNT}/token`),
    caFile: settings.text("ca-file") ?? (given ? undefined : `${ACCOUNT}/ca.crt`),
  };
}
