/**
 * Dockerfiles, built by a Docker engine, and built here from the specs that they become: the same
 * files come out.
 */
import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { engineFacts } from "../../src/obuilder/fetchers/docker-fetcher.js";
import { formatSpec } from "../../src/obuilder/spec/spec-printer.js";
import { BothBuilders } from "../support/both-builders.js";
import { TextLog } from "../support/builder.js";
import { DockerEngine } from "../support/docker-engine.js";

let engine: DockerEngine;
let both: BothBuilders;

beforeAll(async () => {
  engine = await DockerEngine.start();
  both = new BothBuilders(engine.socket);
  both.image({ name: "busybox", env: ["PATH=/bin"] });
  both.image({
    name: "with-users",
    env: ["PATH=/bin"],
    fill: (rootfs) => {
      appendFileSync(join(rootfs, "etc/passwd"), "app:x:1000:1001::/home/app:/bin/sh\n");
      appendFileSync(join(rootfs, "etc/group"), "app:x:1001:\nstaff:x:50:\n");
      mkdirSync(join(rootfs, "data"));
      writeFileSync(join(rootfs, "data/kept"), "kept\n");
    },
  });
});

afterAll(async () => {
  await both?.close();
  await engine?.stop();
});

interface Case {
  readonly dockerfile: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly prepare?: (context: string) => void;
  /** Lines that the tree must have, so that nothing is compared with nothing. */
  readonly has: RegExp;
}

const CASES: Readonly<Record<string, Case>> = {
  "stages, owners, links, what is ignored": {
    dockerfile: `
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
`,
    files: {
      "tool/tool": "#!/bin/sh\necho made by the tool\n",
      "tool/.keep": "",
      "notes.txt": "notes\n",
      "lib/a": "a\n",
      "lib/deep/b": "b\n",
      "lib/deep/junk.o": "left out",
      ".git/config": "left out",
      "node_modules/x/y": "left out",
      ".dockerignore": "# no\n.git\nnode_modules\n**/*.o\nDockerfile\n.dockerignore\n",
    },
    prepare: (context) => {
      chmodSync(join(context, "tool/tool"), 0o755);
      symlinkSync("a", join(context, "lib/link"));
    },
    has: /^file 644 5:6 \S+ \S+ \S+|^file 644 5:6 all\/lib\/deep\/b /m,
  },
  "users by name, directories of their own, modes": {
    dockerfile: `
FROM with-users
COPY --chown=app a /by-name
COPY --chown=1000 a /by-number
COPY --chown=:staff a /by-group
COPY --chown=app:staff d /tree/
COPY --chmod=750 d /modes/
COPY --chmod=600 a /data
USER app
WORKDIR /w/one/two
RUN id -u > uid; id -g > gid; echo $HOME > home
USER 1000
RUN id -g > /tmp/gid
USER app:staff
WORKDIR /w/last
`,
    files: { a: "a\n", "d/b": "b\n", "d/e/c": "c\n" },
    has: /^dir 755 1000:50 w\/last$/m,
  },
  "archives, patterns, links": {
    dockerfile: `
FROM busybox
ADD t.tar.gz plain.gz /unpacked/
ADD --chown=5:6 t.tar.gz /owned/
COPY *.txt /texts/
COPY d[a-z]r* /merged/
COPY link /linked
COPY link /into/
COPY nothing* a.txt /some/
WORKDIR /never/used
WORKDIR /at/the/end
`,
    files: { "a.txt": "a\n", "b.txt": "b\n", "dir/x": "x\n", "dir/.y": "y\n", plain: "plain\n" },
    prepare: (context) => {
      symlinkSync("a.txt", join(context, "link"));
      symlinkSync("dir", join(context, "dar"));
      const tar = (...args: string[]) => execFileSync("tar", ["-C", context, ...args]);
      chmodSync(join(context, "dir/x"), 0o600);
      tar(
        "--owner=12",
        "--group=13",
        "--numeric-owner",
        "-czf",
        join(context, "t.tar.gz"),
        "dir",
        "dar",
      );
      chmodSync(join(context, "dir/x"), 0o644);
      execFileSync("gzip", [join(context, "plain")]);
    },
    has: /^file 600 12:13 owned\/dir\/x /m,
  },
  "what is not known to be a file or a directory": {
    dockerfile: `
FROM busybox AS made
RUN mkdir -p /out/dir/.deep /out/jars && echo a > /out/dir/a && echo b > /out/dir/.deep/b && \\
    echo one > /out/jars/app-1.jar && echo other > /out/jars/notes && ln -s dir /out/link
FROM busybox
COPY --from=made /out/dir /from-dir/
COPY --from=made /out/dir/a /from-file/
COPY --from=made /out/dir/a /tmp
COPY --from=made /out/dir /out/jars/notes /both/
COPY --from=made /out/jars/*.jar /app/app.jar
COPY --from=made /out/*i* /globbed/
COPY --from=made --chown=3:4 /out/jars/* /owned/
`,
    has: /^file 644 0:0 app\/app.jar /m,
  },
  "from nothing": {
    dockerfile: `
FROM busybox AS made
RUN mkdir /out && echo a > /out/a && echo b > /b
FROM scratch AS parts
WORKDIR /parts
COPY --from=made /out/ .
COPY --from=made /b /deep/er/
FROM scratch
COPY --from=parts / /
COPY --from=parts --chown=1:2 /parts/a /renamed
ADD t.tar /
`,
    files: { t: "t\n" },
    prepare: (context) => {
      const tar = ["-C", context, "--owner=1", "--group=1", "-cf", join(context, "t.tar"), "t"];
      execFileSync("tar", tar);
    },
    has: /^file 644 1:2 renamed /m,
  },
  "mounts of RUN": {
    dockerfile: `
FROM busybox AS made
RUN mkdir /out && echo made > /out/made
FROM with-users
# Older engines leave mount points behind that newer ones remove.
RUN mkdir -p /deep/er /a /src/x && touch /a/file
WORKDIR /src
RUN --mount=type=bind,target=. cat lib/a > /seen && pwd > /cwd && ls > /ls
RUN --mount=target=/data,source=lib,rw cat /data/a > /seen2; rm /data/a; ls /data > /ls2
RUN --mount=from=made,source=/out,target=/deep/er cp /deep/er/made /copied
RUN --mount=type=tmpfs,target=/data echo lost > /data/lost; ls -a /data > /ls3
RUN --mount=source=one,target=/a/file cat /a/file > /seen4
USER app
RUN --mount=target=/src/x,source=lib cat /src/x/a > /tmp/seen5; ls /src > /tmp/ls5
`,
    files: { "lib/a": "a\n", one: "one\n", ".dockerignore": "Dockerfile\n.dockerignore\n" },
    has: /^file 644 0:0 data\/kept /m,
  },
};

it.each(Object.entries(CASES))(
  "%s: comes to the same files",
  async (_, { dockerfile, files = {}, prepare, has }) => {
    const context = both.context({ ...files, Dockerfile: dockerfile });
    prepare?.(context);
    const made = both.convert(context);
    const byDocker = both.builtByDocker(context);
    expect(byDocker.join("\n")).toMatch(has);
    const log = new TextLog();
    const here = await both.builtHere(context, made, log).catch((error) => {
      throw new Error(`${error}\n${log.text}\n${formatSpec(made.spec)}`);
    });
    expect(here).toEqual(byDocker);
  },
);

it("knows of the engine's images what they set and who their users are, and leaves no container", async () => {
  vi.stubEnv("DOCKER_HOST", `unix://${engine.socket}`);
  try {
    const { env, user, accounts } = await engineFacts("with-users");
    expect({ env, user }).toEqual({ env: [["PATH", "/bin"]], user: "" });
    expect(accounts!.passwd).toContain("\napp:x:1000:1001:");
    expect(accounts!.group).toContain("\nstaff:x:50:");
    await expect(engineFacts("nowhere")).rejects.toThrow("No such image");
  } finally {
    vi.unstubAllEnvs();
  }
  expect(await engine.containers()).toEqual([]);
});
