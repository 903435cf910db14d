/**
 * Words and files, as a Docker engine's own builder has them: of Dockerfiles that become specs, and
 * of specs that become Dockerfiles.
 */

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DirectoryContext } from "../../src/obuilder/dockerfile/build-context.js";
import { specFromDockerfile } from "../../src/obuilder/dockerfile/convert.js";
import { DockerfileError } from "../../src/obuilder/dockerfile/errors.js";
import { dockerfileOf } from "../../src/obuilder/dockerfile/from-spec.js";
import type { ImageSettings } from "../../src/obuilder/dockerfile/image-settings.js";
import type { EnvOp, Op, Spec } from "../../src/obuilder/spec/spec.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import { IgnoreFile } from "../../src/text/ignore-file.js";
import { TextLog, Workshop } from "../support/builder.js";
import { DockerEngine } from "../support/docker-engine.js";
import { busyboxWithMountPoints, withTemporaryRoot } from "../support/oci-layout.js";

const UNIX = { buildkit: false, escape: "unix" } as const;

let engine: DockerEngine;
let workshop: Workshop;
let context: string;

beforeAll(async () => {
  workshop = new Workshop();
  workshop.image("busybox", "latest", busyboxWithMountPoints, ["PATH=/bin"]);
  engine = await DockerEngine.start();
  const root = withTemporaryRoot(busyboxWithMountPoints, (rootfs) =>
    execFileSync("tar", ["-C", rootfs, "-c", "."], { maxBuffer: 64 * 1024 * 1024 }),
  );
  await docker(["import", "-c", "ENV PATH=/bin", "-", "busybox:latest"], root);
});

afterAll(async () => {
  await engine?.stop();
  workshop?.remove();
});

beforeEach(() => {
  context = mkdtempSync(join(tmpdir(), "obuilder-dockerfile-"));
  return () => rmSync(context, { recursive: true });
});

/** Rejects if the client fails. The engine's own output is read meanwhile. */
async function docker(args: string[], input?: Buffer, buildkit = true): Promise<string> {
  const DOCKER_BUILDKIT = buildkit ? "1" : "0";
  const env = { ...process.env, DOCKER_HOST: `unix://${engine.socket}`, DOCKER_BUILDKIT };
  const running = promisify(execFile)("/usr/bin/docker", args, {
    env,
    maxBuffer: 64 * 1024 * 1024,
  });
  running.child.stdin!.end(input);
  return (await running).stdout;
}

/** Builds an image of that name and returns its configuration. */
async function built(
  dockerfile: string,
  image: string,
  buildkit = true,
): Promise<Record<string, unknown>> {
  writeFileSync(join(context, "Dockerfile"), dockerfile);
  await docker(
    ["build", "--network=none", "--no-cache", `--tag=${image}`, context],
    undefined,
    buildkit,
  );
  return JSON.parse(
    await docker(["image", "inspect", "--format={{json .Config}}", image]),
  ) as never;
}

/** What a command prints in a container of that image. */
function printed(image: string, command: string): Promise<string> {
  return docker(["run", "--rm", "--network=none", image, "sh", "-c", command]);
}

function settingsOf(config: Record<string, unknown>): ImageSettings {
  return {
    user: String(config.User ?? ""),
    workdir: String(config.WorkingDir ?? ""),
    shell: (config.Shell as string[] | null) ?? [],
    onbuild: (config.OnBuild as string[] | null) ?? [],
  };
}

/** Builds the spec here, and returns what it printed. */
async function outputHere(spec: Spec): Promise<string> {
  const builder = await workshop.open({
    store: `rsync:${workshop.path("store")}`,
    rsyncMode: "copy",
  });
  const log = new TextLog();
  try {
    await builder.build({ spec, sourceDir: context, log });
  } finally {
    await builder.close();
  }
  return log.text;
}

/** Forms of `${…}` that only newer engines know: the engine here may be Debian's 20.10. */
const NEWER_FORM = /\$\{[^:}]*[-+?#%/]/;

const ODD = [..."ab1/.,:=-_ \t'\"`\\$\\{}()[]<>*?&|;#!@~%^é€😀"];

describe("from a Dockerfile", () => {
  it("words mean what they mean to Docker", async () => {
    const word = fc.string({
      unit: fc.constantFrom(...ODD, "$A", "$é", "${A", ":-", "}"),
      maxLength: 9,
    });
    const isWell = (line: string) => {
      try {
        specFromDockerfile(`FROM busybox\nENV A=1\n${line}`, { imageEnv: () => new Map() });
        return !/\\\s*$/.test(line) && !NEWER_FORM.test(line);
      } catch (error) {
        if (!(error instanceof DockerfileError)) throw error;
        return false;
      }
    };
    const lines = fc
      .sample(word, 600)
      .map((text, i) => `ENV V${i}=${text}`)
      .filter(isWell);
    expect(lines.length).toBeGreaterThan(200);
    const text = ["FROM busybox", "ENV A=1", ...lines, ""].join("\n");
    const { spec } = specFromDockerfile(text, { imageEnv: () => new Map([["PATH", "/bin"]]) });
    const here = new Map([["PATH", "/bin"]]);
    for (const { key, value } of spec.ops as EnvOp[]) here.set(key, value);
    const there = ((await built(text, "words")).Env as string[]).map((variable) => {
      const equals = variable.indexOf("=");
      return [variable.slice(0, equals), variable.slice(equals + 1)] as const;
    });
    expect([...here].sort()).toEqual(there.sort());
  });

  it("the user, the directory and ONBUILD of an image are as in Docker, with both of its builders", async () => {
    const base = [
      "FROM busybox",
      "RUN mkdir -p -m 777 /home/u",
      "USER 1000:1000",
      "WORKDIR /home/u",
    ];
    const config = await built(
      [...base, "ONBUILD RUN touch t || touch /tmp/t", ""].join("\n"),
      "base",
    );
    const report = 'echo "is $(id -u) $(pwd) $(ls t /tmp/t 2>/dev/null)"';
    const dockerfile = `FROM base\nRUN ${report} | tee /tmp/said\n`;
    for (const buildkit of [true, false]) {
      await built(dockerfile, "said", buildkit);
      expect(await printed("said", "cat /tmp/said")).toBe("is 1000 /home/u t\n");
    }
    const { spec, warnings } = specFromDockerfile(dockerfile, {
      imageSettings: () => settingsOf(config),
    });
    expect(warnings).toEqual([]);
    const [run] = base.slice(1).map((line) => line.replace("RUN ", ""));
    const prepared: Op[] = readSpec(`((from x) (shell /bin/sh -c) (run (shell "${run}")))`)
      .ops as Op[];
    const whole = { ...spec, from: "busybox", ops: [...prepared, ...spec.ops] };
    expect(await outputHere(whole)).toBe("is 1000 /home/u t\n");
  });

  it("a file goes into a directory that is there", async () => {
    writeFileSync(join(context, "a.txt"), "A");
    const lines = [
      "WORKDIR /app",
      "COPY a.txt /app",
      "RUN mkdir -p /etc/app",
      "COPY a.txt /etc/app",
    ];
    const report = "ls -d /app/a.txt /etc/app/a.txt";
    const dockerfile = ["FROM busybox", ...lines, `RUN ${report}`, ""].join("\n");
    await built(dockerfile, "into");
    expect(await printed("into", report)).toBe("/app/a.txt\n/etc/app/a.txt\n");
    const { spec } = specFromDockerfile(dockerfile, {
      context: new DirectoryContext(context, new IgnoreFile("")),
    });
    expect(await outputHere(spec)).toBe("/app/a.txt\n/etc/app/a.txt\n");
  });
});

describe("to a Dockerfile", () => {
  it("words mean themselves", async () => {
    const name = fc.string({
      unit: fc.constantFrom(...ODD.filter((c) => c !== "=")),
      minLength: 1,
      maxLength: 4,
    });
    const value = fc.string({ unit: fc.constantFrom(...ODD), maxLength: 12 });
    const workdir = `/w ${ODD.filter((c) => c !== "/").join("")} `;
    const shell = ["/bin/sh", "-c", `eval "$0" # ${ODD.join("")}`];
    // The classic builder makes a container of each instruction.
    for (const [buildkit, count] of [[true, 200] as const, [false, 10] as const]) {
      const pairs = fc.sample(fc.tuple(name, value), count);
      const env = new Map(pairs.map(([key, text]) => [`V${key}`, text]));
      const ops = [...env].map(([key, value]): Op => ({ op: "env", key, value }));
      ops.push({ op: "workdir", path: workdir }, { op: "shell", words: shell });
      const text = dockerfileOf({ children: [], from: "busybox", ops }, UNIX);
      const config = await built(text, "themselves", buildkit);
      const expected = ["PATH=/bin", ...[...env].map(([key, value]) => `${key}=${value}`)];
      expect((config.Env as string[]).sort()).toEqual(expected.sort());
      expect([config.WorkingDir, config.Shell]).toEqual([workdir, shell]);
    }
  });

  it("commands and copies do the same", async () => {
    mkdirSync(join(context, "odd"));
    const names = ["a b", "c$d", "e'f", 'g"h', "i[j]", "k*", "--l", "<<m", "n\\o", "#p"];
    for (const file of names) writeFileSync(join(context, "odd", file), file);
    writeFileSync(join(context, "odd", "k1"), "not asked for");
    const quoted = (text: string) => JSON.stringify(text);
    const spec = readSpec(`((build "Odd one" ((from busybox) (shell /bin/sh -c)
        (copy (src ${names.map((file) => quoted(`odd/${file}`)).join(" ")}) (dst "/x $y/"))))
      (from busybox)
      (comment "note\\nRUN echo injected > /injected")
      (shell /bin/sh -c)
      (copy (from (build "Odd one")) (src "/x $y") (dst "/z z"))
      (env A "one\\n$PATH")
      (run (shell "echo '=1' &&\\n  echo '=2'\\necho \\"=$A\\"\\necho '=3\\n  =4'"))
      (run (shell "echo '= a  b'\\\\\\n  c # d\\necho =5"))
      (run (shell "cat <<E\\n=6\\nE"))
      (shell /bin/sh -c "eval \\"$0\\"")
      (run (shell "echo =7; ls -A '/z z' | sed s/^/=/; ls /injected 2>&1 | grep -c '^/' | sed s/^/=/")))`);
    const marked = (log: string) => [...log.matchAll(/^ *=.*$/gm)].map(([line]) => line);
    const here = marked(await outputHere(spec));
    writeFileSync(join(context, "Dockerfile"), dockerfileOf(spec, UNIX));
    const there = await docker(
      ["build", "--network=none", "--no-cache", context],
      undefined,
      false,
    );
    expect(marked(there)).toEqual(here);
    expect(here).toHaveLength(10 + names.length);
  });
});
