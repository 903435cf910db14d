/**
 * Dockerfiles built twice: by a Docker engine, and here from the spec that `from-dockerfile` makes.
 * What comes out are lists of files that can be compared.
 */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseImageName } from "../../src/docker/index.js";
import { DirectoryContext } from "../../src/obuilder/dockerfile/build-context.js";
import {
  type FromDockerfile,
  type FromDockerfileOptions,
  specFromDockerfile,
} from "../../src/obuilder/dockerfile/convert.js";
import { NO_SETTINGS } from "../../src/obuilder/dockerfile/image-settings.js";
import type { Builder } from "../../src/obuilder/index.js";
import { IgnoreFile } from "../../src/text/index.js";
import { TextLog, Workshop } from "./builder.js";
import { busyboxWithMountPoints, withTemporaryRoot, writeOciLayout } from "./oci-layout.js";
import { describeTree } from "./tree.js";

export interface BaseImage {
  readonly name: string;
  readonly env: readonly string[];
  readonly fill?: (rootfs: string) => void;
}

/** Calls Debian's client, which has a builder; another one in PATH may have none. */
const CLIENT = "/usr/bin/docker";

/** Enough for a root of busybox. */
const MAX_BUFFER = 64 * 1024 * 1024;

export class BothBuilders {
  readonly #socket: string;
  readonly #workshop = new Workshop();
  readonly #dir = mkdtempSync(join(tmpdir(), "obuilder-both-"));
  readonly #env = new Map<string, ReadonlyMap<string, string>>();
  readonly #accounts = new Map<string, { passwd: string; group: string }>();
  #builder: Builder | undefined;

  /** `socket`: where the engine listens. */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Gives both builders an image: busybox, and what `fill` makes of it. */
  image({ name, env, fill = () => {} }: BaseImage): void {
    const root = (rootfs: string) => {
      busyboxWithMountPoints(rootfs);
      fill(rootfs);
    };
    withTemporaryRoot(root, (rootfs) => {
      const numeric = ["--numeric-owner", "--owner=0", "--group=0"];
      const input = execFileSync("tar", ["-C", rootfs, ...numeric, "-c", "."], {
        maxBuffer: MAX_BUFFER,
      });
      const changes = env.flatMap((variable) => ["-c", `ENV ${variable}`]);
      this.docker(["import", ...changes, "-", name], input);
      const read = (file: string) => readFileSync(join(rootfs, "etc", file), "utf8");
      this.#accounts.set(name, { passwd: read("passwd"), group: read("group") });
      const layout = join(this.#workshop.path("images"), name);
      rmSync(layout, { recursive: true, force: true });
      mkdirSync(layout, { recursive: true });
      writeOciLayout(layout, { rootfs, env: [...env], tag: name.split(":")[1] ?? "latest" });
    });
    this.#env.set(
      name,
      new Map(env.map((text) => [text.split("=", 1)[0]!, text.slice(text.indexOf("=") + 1)])),
    );
  }

  /** The spec, as it is made where the images are known. */
  convert(context: string, options: FromDockerfileOptions = {}): FromDockerfile {
    const ignoreFile = join(context, ".dockerignore");
    const ignored = existsSync(ignoreFile) ? readFileSync(ignoreFile, "utf8") : "";
    return specFromDockerfile(readFileSync(join(context, "Dockerfile")), {
      context: new DirectoryContext(context, new IgnoreFile(ignored)),
      imageEnv: (image) => this.#env.get(nameOf(image)),
      imageSettings: (image) => (this.#env.has(nameOf(image)) ? NO_SETTINGS : undefined),
      imageAccounts: (image) => this.#accounts.get(nameOf(image)),
      ...options,
    });
  }

  /**
   * The files of what the engine makes of a directory's Dockerfile. Throws what the client says if
   * that fails.
   */
  builtByDocker(context: string): string[] {
    this.docker(["build", "--network=none", "--tag=built", context]);
    const container = this.docker(["create", "built", "sh"]).trim();
    const root = join(this.#dir, "docker-root");
    try {
      mkdirSync(root);
      this.docker(["export", "--output", join(this.#dir, "root.tar"), container]);
      execFileSync("tar", ["-C", root, "--numeric-owner", "-xpf", join(this.#dir, "root.tar")]);
      return filesIn(root);
    } finally {
      this.docker(["rm", container]);
      this.docker(["rmi", "--no-prune", "built"]);
      rmSync(root, { recursive: true, force: true });
    }
  }

  /** The files of what is built here from the spec; `log` gets what it prints. */
  async builtHere(
    context: string,
    { spec, root }: FromDockerfile,
    log: TextLog = new TextLog(),
  ): Promise<string[]> {
    const store = `rsync:${this.#workshop.path("store")}`;
    this.#builder ??= await this.#workshop.open({ store, rsyncMode: "copy" });
    const id = await this.#builder.build({ spec, sourceDir: context, log });
    return filesIn(join(this.#workshop.path("store"), "result", id, "rootfs", root));
  }

  /** Gives an image another name, too. */
  alias(image: string, name: string): void {
    if (this.#env.has(nameOf(name))) return;
    this.docker(["tag", image, name]);
    const { repository, tag = "latest" } = parseImageName(name);
    const link = join(this.#workshop.path("images"), `${repository}:${tag}`);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(this.#workshop.path("images"), image), link);
    this.#env.set(nameOf(name), this.#env.get(image)!);
    this.#accounts.set(nameOf(name), this.#accounts.get(image)!);
  }

  /** A new directory with these files; a name with a slash at its end is a directory. */
  context(files: Readonly<Record<string, string>>): string {
    const dir = mkdtempSync(join(this.#dir, "context-"));
    for (const [path, content] of Object.entries(files)) {
      const full = join(dir, path);
      mkdirSync(path.endsWith("/") ? full : join(full, ".."), { recursive: true });
      if (!path.endsWith("/")) writeFileSync(full, content);
    }
    return dir;
  }

  docker(args: string[], input?: Buffer): string {
    const env = { ...process.env, DOCKER_HOST: `unix://${this.#socket}`, DOCKER_BUILDKIT: "1" };
    return execFileSync(CLIENT, args, {
      env,
      stdio: "pipe",
      maxBuffer: MAX_BUFFER,
      ...(input ? { input } : {}),
    }).toString();
  }

  async close(): Promise<void> {
    await this.#builder?.close();
    this.#workshop.remove();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** By which `image` knows it. */
function nameOf(image: string): string {
  return image.replace(/:latest$/, "");
}

/**
 * Without what an engine or a runtime puts into each container, and without the owners of links:
 * the image's tar unpacks them here, and busybox's has no mind for these.
 */
function filesIn(root: string): string[] {
  const ofContainers =
    /^\w+ \S+ \S+ (\.dockerenv|(dev|proc|sys)(\/\S*)?|etc(\/(hosts|hostname|resolv\.conf|mtab))?)( |$)/;
  return describeTree(root)
    .split("\n")
    .filter((line) => !ofContainers.test(line))
    .map((line) => line.replace(/^(link \d+) \d+:\d+/, "$1"));
}
