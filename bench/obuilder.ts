/**
 * npm run bench:obuilder [-- ROUNDS]
 *
 * Time of a build of ten steps that do nothing, on busybox: ours beside Docker's two builders and
 * buildah, in the same run and on the same disk. Steps have no network, except for buildah's, which
 * needs the host's to do without an OCI runtime. Each round builds steps that nobody has seen (the
 * base image is there), then the same again from the cache; rounds of all builders alternate.
 * Medians, in ms.
 *
 * Ours is called as the worker calls it, in a process that is running; `obuilder build` adds the
 * start of a process, as the others' command lines do. Docker's daemon is running, too.
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Builder, openBuilder, type RuntimeChoice, readSpec } from "../src/obuilder/index.js";
import { DockerEngine } from "../test/support/docker-engine.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../test/support/oci-layout.js";
import { report } from "./report.js";
import { median } from "./statistics.js";

const STEPS = 10;
const ROUNDS = Number(process.argv[2] ?? 5);
if (!(Number.isInteger(ROUNDS) && ROUNDS > 0)) {
  console.error("usage: npm run bench:obuilder [-- ROUNDS]");
  process.exit(2);
}
const run = promisify(execFile);

/**
 * The Debian client is the one that has BuildKit built in; another one may come before it in PATH.
 */
const DOCKER = "/usr/bin/docker";

interface Contestant {
  readonly name: string;
  /** Builds the steps of that name. */
  build(tag: string): Promise<void>;
  close(): Promise<void>;
}

const dir = mkdtempSync(join(tmpdir(), "obuilder-bench-"));
const images = join(dir, "images");
const context = join(dir, "context");

function ours(name: string, builder: Builder): Contestant {
  const log = { heading() {}, note() {}, output() {} };
  return {
    name,
    build: async (tag) => {
      const steps = Array.from({ length: STEPS }, (_, n) => `(run (shell ": ${tag} ${n}"))`);
      const spec = readSpec(`((from busybox) (shell /bin/sh -c) ${steps.join(" ")})`);
      await builder.build({ spec, sourceDir: context, log });
    },
    close: () => builder.close(),
  };
}

async function obuilder(runtime: RuntimeChoice): Promise<Contestant> {
  const store = `overlayfs:${join(dir, `store-${runtime}`)}`;
  const builder = await openBuilder({ store, imageDir: images, fetch: ["local"], runtime });
  return ours(`ours, ${runtime === "auto" ? "fastest runtime" : runtime}`, builder);
}

/** Writes the Dockerfile and gives its path. */
function dockerfile(base: string, tag: string): string {
  const steps = Array.from({ length: STEPS }, (_, n) => `RUN : ${tag} ${n}`);
  const path = join(context, "Dockerfile");
  writeFileSync(path, `FROM ${base}\n${steps.join("\n")}\n`);
  return path;
}

function docker(engine: DockerEngine, buildkit: boolean): Contestant {
  const env = { ...clientEnv(engine), DOCKER_BUILDKIT: buildkit ? "1" : "0" };
  return {
    name: `docker build, ${buildkit ? "BuildKit" : "classic"}`,
    build: async (tag) => {
      dockerfile("busybox:local", tag);
      await run(DOCKER, ["build", "--quiet", "--network=none", context], { env });
    },
    close: async () => {},
  };
}

function importBusybox(engine: DockerEngine): void {
  const archive = withTemporaryRoot(busyboxRoot, (rootfs) =>
    execFileSync("tar", ["-C", rootfs, "-c", "."], { maxBuffer: 64 * 1024 * 1024 }),
  );
  execFileSync(DOCKER, ["import", "--change", "ENV PATH=/bin", "-", "busybox:local"], {
    input: archive,
    stdio: ["pipe", "ignore", "inherit"],
    env: clientEnv(engine),
  });
}

function clientEnv(engine: DockerEngine): NodeJS.ProcessEnv {
  return { ...process.env, DOCKER_HOST: `unix://${engine.socket}` };
}

async function buildah(engine: DockerEngine): Promise<Contestant> {
  const place = ["--root", join(dir, "buildah"), "--runroot", join(dir, "buildah-run")];
  const global = [...place, "--storage-driver", "overlay"];
  // From Docker, as it wants an image with a history.
  const archive = join(dir, "busybox.tar");
  await run(DOCKER, ["save", "--output", archive, "busybox:local"], { env: clientEnv(engine) });
  await run("buildah", [...global, "pull", `docker-archive:${archive}`]);
  const listed = await run("buildah", [...global, "images", "--quiet", "--no-trunc"]);
  const base = listed.stdout.trim().replace(/^sha256:/, "");
  return {
    name: "buildah bud, chroot",
    build: async (tag) => {
      const file = dockerfile(base, tag);
      const options = ["--layers", "--isolation=chroot", "--pull-never"];
      await run("buildah", [...global, "bud", ...options, "-f", file, context]);
    },
    close: async () => {
      await run("buildah", [...global, "rmi", "--all", "--force"]).catch(() => {});
      // Some versions leave their directory mounted on itself.
      await run("umount", [join(dir, "buildah", "overlay")]).catch(() => {});
    },
  };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function compare(contestants: readonly Contestant[]): Promise<void> {
  const uncached = contestants.map((): number[] => []);
  const cached = contestants.map((): number[] => []);
  for (const each of contestants) await each.build("warm-up");
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, each] of contestants.entries()) {
      const tag = `${process.pid}-${round}`;
      try {
        uncached[index]!.push(await timed(() => each.build(tag)));
        cached[index]!.push(await timed(() => each.build(tag)));
      } catch (error) {
        // As buildah now and then; that build has no figure.
        console.error(`${each.name}, round ${round + 1}: ${(error as Error).message}`);
      }
    }
  }
  for (const [index, { name }] of contestants.entries()) {
    report(`${STEPS} steps, median of ${ROUNDS}: ${name}`, {
      "uncached ms": median(uncached[index]!),
      "cached ms": median(cached[index]!),
    });
  }
}

/** What has been started, to be taken down in the opposite order. */
const cleanup: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];

async function started(contestant: Promise<Contestant>): Promise<Contestant> {
  const result = await contestant;
  cleanup.push(() => result.close());
  return result;
}

try {
  mkdirSync(context);
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(join(images, "busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  const engine = await DockerEngine.start();
  cleanup.push(() => engine.stop());
  importBusybox(engine);
  await compare([
    await started(obuilder("auto")),
    await started(obuilder("runc")),
    docker(engine, true),
    docker(engine, false),
    await started(buildah(engine)),
  ]);
} finally {
  for (const undo of cleanup.reverse()) await undo();
}
