/**
 * A Dockerfile, built by a Docker engine, and built here from the spec that it becomes: the same files come out.
 */

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DirectoryContext } from "../../src/obuilder/dockerfile/build-context.js";
import { specFromDockerfile } from "../../src/obuilder/dockerfile/convert.js";
import { IgnoreFile } from "../../src/text/ignore-file.js";
import { TextLog, Workshop } from "../support/builder.js";
import { DockerEngine } from "../support/docker-engine.js";
import { busyboxWithMountPoints, withTemporaryRoot } from "../support/oci-layout.js";
import { describeTree } from "../support/tree.js";

const DOCKERFILE = `
ARG TAG=latest
FROM busybox:$TAG AS tools
ENV PATH=/opt/bin:$PATH GREETING="hello \\
there"
WORKDIR /src
COPY tool/ /opt/bin/
COPY notes.txt lib ./
RUN tool > made && \\
    # what it had to say
    echo "$GREETING" >> made
USER 1000:1000
WORKDIR /tmp
RUN ["sh", "-c", "id -u > uid; id -g > gid; pwd > cwd"]

FROM busybox
ARG WHO=nobody
ENV WHO2=$WHO
SHELL ["/bin/sh", "-e", "-c"]
RUN echo "$WHO $WHO2" > /who
COPY --from=tools /src/made /product/
COPY --from=tools --chown=7:8 /src/made /tmp/uid /tmp/gid /tmp/cwd /owned/
COPY --chown=5:6 . /all
COPY lib /renamed
COPY lib/ /opt/
RUN echo one > /script; \\
    echo two >> /script
`;

const CONTEXT: Record<string, string> = {
  "tool/tool": "#!/bin/sh\necho made by the tool\n",
  "tool/.keep": "",
  "notes.txt": "notes\n",
  "lib/a": "a\n",
  "lib/deep/b": "b\n",
  "lib/deep/junk.o": "left out",
  ".git/config": "left out",
  "node_modules/x/y": "left out",
  ".dockerignore": "# not for the builder\n.git\nnode_modules\n**/*.o\nDockerfile\n.dockerignore\n",
};

let engine: DockerEngine;
let workshop: Workshop;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "obuilder-from-dockerfile-"));
  for (const [path, content] of Object.entries({ ...CONTEXT, Dockerfile: DOCKERFILE })) {
    mkdirSync(dirname(join(dir, "context", path)), { recursive: true });
    writeFileSync(join(dir, "context", path), content);
  }
  chmodSync(join(dir, "context/tool/tool"), 0o755);
  symlinkSync("a", join(dir, "context/lib/link"));
  workshop = new Workshop();
  workshop.image("busybox", "latest", busyboxWithMountPoints, ["PATH=/bin"]);
  engine = await DockerEngine.start();
  const root = withTemporaryRoot(busyboxWithMountPoints, (rootfs) =>
    execFileSync("tar", ["-C", rootfs, "-c", "."], { maxBuffer: 64 * 1024 * 1024 }),
  );
  docker(["import", "-c", "ENV PATH=/bin", "-", "busybox:latest"], { input: root });
});

afterAll(async () => {
  await engine?.stop();
  workshop?.remove();
  rmSync(dir, { recursive: true });
});

/** Calls Debian's client, which has a builder; another one in PATH may have none. */
function docker(args: string[], options: { input?: Buffer } = {}): string {
  const env = { ...process.env, DOCKER_HOST: `unix://${engine.socket}`, DOCKER_BUILDKIT: "1" };
  return execFileSync("/usr/bin/docker", args, { ...options, env, stdio: "pipe" }).toString();
}

/** The root of what the engine makes of the Dockerfile. */
function builtByDocker(): string {
  const context = join(dir, "context");
  docker([
    "build",
    "--network=none",
    "--tag=built",
    "--file",
    join(context, "Dockerfile"),
    context,
  ]);
  const container = docker(["create", "built", "sh"]).trim();
  docker(["export", "--output", join(dir, "root.tar"), container]);
  docker(["rm", container]);
  const root = join(dir, "docker-root");
  mkdirSync(root);
  execFileSync("tar", ["-C", root, "-xf", join(dir, "root.tar")]);
  return root;
}

async function builtHere(use: (root: string) => void): Promise<void> {
  const sourceDir = join(dir, "context");
  const ignored = new IgnoreFile(readFileSync(join(sourceDir, ".dockerignore"), "utf8"));
  const { spec } = specFromDockerfile(DOCKERFILE, {
    context: new DirectoryContext(sourceDir, ignored),
    imageEnv: () => new Map([["PATH", "/bin"]]),
  });
  const store = `rsync:${workshop.path("store")}`;
  const builder = await workshop.open({ store, rsyncMode: "copy" });
  try {
    const id = await builder.build({ spec, sourceDir, log: new TextLog() });
    use(join(workshop.path("store"), "result", id, "rootfs"));
  } finally {
    await builder.close();
  }
}

/**
 * Without what an engine or a runtime puts into each container, and without the owners of links: the image's tar unpacks
 * them here, and busybox's has no mind for these.
 */
function tree(root: string): string[] {
  const ofContainers = /^\w+ \S+ \S+ (\.dockerenv|(dev|proc|sys|etc)(\/\S*)?)( |$)/;
  return describeTree(root)
    .split("\n")
    .filter((line) => !ofContainers.test(line))
    .map((line) => line.replace(/^(link \d+) \d+:\d+/, "$1"));
}

it("comes to the same files", async () => {
  const byDocker = tree(builtByDocker());
  expect(byDocker.join("\n")).toMatch(/^file 644 5:6 all\/lib\/deep\/b /m);
  await builtHere((root) => expect(tree(root)).toEqual(byDocker));
});
