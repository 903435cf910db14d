/**
 * Debian's docker-compose, to look at compose files and command lines; nothing is started with it.
 * Up to Debian 12 it is the first version, in Python, which does not know of newer elements of the
 * format.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { unpackedPackage } from "./debian-package.js";

const ROOT = join(import.meta.dirname, "../..");

/** What the first version imports, and all that these need. */
const PYTHON_PACKAGES = [
  ...["attr", "certifi", "chardet", "charset-normalizer", "distro", "distutils", "docker"],
  ...["dockerpty", "docopt", "dotenv", "idna", "jsonschema", "lib2to3", "pyrsistent", "requests"],
  ...["six", "texttable", "urllib3", "websocket", "yaml"],
].map((name) => `python3-${name}`);

/** Elements of the format that came after the first version. */
const NEWER = { file: ["name"], service: ["cgroup"] } as const;

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Python takes seconds to start on a busy machine; what was asked once is known. */
const known = new Map<string, Outcome>();

/** Runs it in the project's directory. */
export function compose(
  args: readonly string[],
  { env = {}, input }: { readonly env?: NodeJS.ProcessEnv; readonly input?: string } = {},
): Outcome {
  const question = JSON.stringify([args, env, input]);
  const before = known.get(question);
  if (before) return before;
  const root = unpackedPackage("docker-compose", PYTHON_PACKAGES);
  const path = ["usr/libexec/docker/cli-plugins", "usr/bin"]
    .map((dir) => join(root, dir, "docker-compose"))
    .find((file) => existsSync(file))!;
  const outcome = spawnSync(path, args, {
    cwd: ROOT,
    env: {
      ...process.env,
      ...env,
      PYTHONPATH: join(root, "usr/lib/python3/dist-packages"),
      PYTHONWARNINGS: "ignore",
    },
    encoding: "utf8",
    ...(input !== undefined && { input }),
  });
  known.set(question, outcome);
  return outcome;
}

/** A service as a compose file has it; its command with variables filled in. */
export interface Service {
  readonly [element: string]: unknown;
}

/**
 * The services of a compose file, by name; `env` has its variables. Throws if compose finds
 * something wrong with it.
 */
export function composeServices(
  path: string,
  env: Readonly<Record<string, string>> = {},
): Readonly<Record<string, Service>> {
  const file = join(ROOT, path);
  const given = readFileSync(file, "utf8");
  const isFirst = /version 1\./.test(compose(["--version"]).stdout);
  const { services } = parse(given) as ComposeFile;
  const profiles = Object.values(services).flatMap(({ profiles }) => (profiles ?? []) as string[]);
  const { status, stdout, stderr } = compose(
    [`--project-directory=${dirname(file)}`, "--file=-", "config"],
    {
      env: { COMPOSE_PROFILES: profiles.join(","), ...env },
      input: isFirst ? withoutNewer(given) : given,
    },
  );
  if (status !== 0) throw new Error(`${path}: ${stderr}`);
  const checked = parse(stdout) as ComposeFile;
  return Object.fromEntries(
    Object.entries(checked.services).map(([name, { command }]) => [
      name,
      { ...services[name], command },
    ]),
  );
}

interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>;
}

function withoutNewer(text: string): string {
  const file = parse(text);
  for (const element of NEWER.file) delete file[element];
  for (const service of Object.values<Record<string, unknown>>(file.services)) {
    for (const element of NEWER.service) delete service[element];
  }
  return stringify(file);
}
