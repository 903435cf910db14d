/*
 * Base images from a directory, from a registry and from an engine.
 */

import { execFile, execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FetchedImage, Fetcher } from "../../src/obuilder/contracts.js";
import { BuildError } from "../../src/obuilder/errors.js";
import { createFetcher } from "../../src/obuilder/fetchers/choose-fetcher.js";
import { DockerFetcher } from "../../src/obuilder/fetchers/docker-fetcher.js";
import { LocalFetcher } from "../../src/obuilder/fetchers/local-fetcher.js";
import { SkopeoFetcher } from "../../src/obuilder/fetchers/skopeo-fetcher.js";
import { DockerEngine, Registry } from "../support/docker-engine.js";
import { type Descriptor, ImageWriter } from "../support/image-writer.js";

let dir: string;
let layer: { readonly id: string; readonly path: string };

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "obuilder-fetch-"));
  layer = { id: "layer", path: join(dir, "layer") };
  mkdirSync(join(layer.path, "rootfs"), { recursive: true });
  mkdirSync(join(dir, "tmp"));
});

afterEach(() => {
  expect(readdirSync(join(dir, "tmp"))).toEqual([]);
  rmSync(dir, { recursive: true });
});

const io = { log: { write: (_: Uint8Array) => {} }, signal: new AbortController().signal };
const fetchWith = (fetcher: Fetcher, image: string, log = io.log): Promise<FetchedImage> =>
  fetcher.fetch(image, layer, { ...io, log });

/** What is in the fetched root. */
const content = (path: string) => readFileSync(join(layer.path, "rootfs", path), "utf8");
const exists = (path: string) => existsSync(join(layer.path, "rootfs", path));

const layout = (name: string) => new ImageWriter(join(dir, "images", name));
const plain = (writer: ImageWriter, text: string): Descriptor =>
  writer.image([writer.layer([{ name: "text", content: text }])], ["A=b=c", "EMPTY="]);

describe("from a directory of layouts", () => {
  const local = () => new LocalFetcher(join(dir, "images"), join(dir, "tmp"));

  it.each([
    ["debian", "13", "debian:13"],
    ["debian", "latest", "debian"],
    ["org/app", "v1", "org/app:v1"],
    ["registry.example:5000/org/app", "v1", "registry.example:5000/org/app:v1"],
    ["debian", "13", "docker.io/library/debian:13"],
    ["debian:13", "13", "debian:13"],
    ["debian:13", "whatever", "debian:13"],
    [".", "debian:13", "debian:13"],
  ])("layout %s with %s is %s", async (name, ref, image) => {
    const writer = layout(name);
    writer.finish({ [ref]: plain(writer, "found") });
    expect(await local().canFetch(image)).toBe(true);
    const { env } = await fetchWith(local(), image);
    expect(env).toEqual([
      ["A", "b=c"],
      ["EMPTY", ""],
    ]);
    expect(content("text")).toBe("found");
  });

  it("has what it has, and nothing else", async () => {
    const writer = layout("debian");
    writer.finish({ "13": plain(writer, "x") });
    expect(await local().canFetch("debian:12")).toBe(false);
    expect(await local().canFetch("debian")).toBe(false);
    await expect(fetchWith(local(), "alpine")).rejects.toThrow(/Image alpine is not in /);
  });

  it("is asked for by an option, and nobody looks anywhere without it", async () => {
    const fetcher = createFetcher({ order: ["local"], tmp: join(dir, "tmp") });
    await expect(fetchWith(fetcher, "alpine")).rejects.toThrow(
      "Cannot fetch image alpine: no image directory is set (--obuilder-image-dir)",
    );
  });

  it.each(["../debian", "a/../../debian", "/etc", "a b", "", "-x", "a//b", "A:b:c", "a\0"])(
    "%j is no name",
    async (image) => {
      await expect(fetchWith(local(), image)).rejects.toThrow(/^Invalid image name/);
    },
  );

  it("finds an image by its digest, whatever it is called", async () => {
    const writer = layout("debian");
    const [old, now] = [plain(writer, "old"), plain(writer, "now")];
    writer.finish({ before: old, "13": now });
    const fetched = await fetchWith(local(), `debian:13@${old.digest}`);
    expect(content("text")).toBe("old");
    expect(fetched.digest).toBe(old.digest);
    expect(await local().resolve("debian:13")).toBe(now.digest);
  });

  it("takes this machine's of several platforms", async () => {
    const writer = layout("many");
    const images = ["s390x", "amd64", "arm64"].map((architecture) =>
      writer.image([writer.layer([{ name: "text", content: architecture }])], [], architecture),
    );
    const mine = { x64: "amd64" }[process.arch as string] ?? process.arch;
    writer.finish({
      latest: writer.multiPlatform(images),
      foreign: writer.multiPlatform([images[0]!]),
    });
    await fetchWith(local(), "many");
    expect(content("text")).toBe(mine);
    await expect(fetchWith(local(), "many:foreign")).rejects.toThrow(
      `is not for linux/${mine}, only for linux/s390x`,
    );
  });

  it("removes what a layer removes", async () => {
    const writer = layout("layered");
    const layers = [
      writer.layer([
        { name: "d/" },
        { name: "d/gone", content: "1" },
        { name: "d/kept", content: "2" },
        { name: "o/" },
        { name: "o/hidden", content: "3" },
      ]),
      writer.layer([
        { name: "d/.wh.gone" },
        { name: "o/" },
        { name: "o/.wh..wh..opq" },
        { name: "o/new", content: "4" },
      ]),
    ];
    writer.finish({ latest: writer.image(layers) });
    await fetchWith(local(), "layered");
    expect([exists("d/gone"), content("d/kept")]).toEqual([false, "2"]);
    expect([exists("o/hidden"), content("o/new")]).toEqual([false, "4"]);
    expect(readdirSync(join(layer.path, "rootfs/d"))).toEqual(["kept"]);
  });

  it("lets no layer write outside of the root", async () => {
    const outside = join(dir, "outside");
    mkdirSync(outside);
    const writer = layout("hostile");
    const up = "../".repeat(12);
    const entries = [
      { name: `${up}${outside.slice(1)}/dotted`, content: "x" },
      { name: `${outside}/absolute`, content: "x" },
      { name: "link", target: outside },
      { name: "link/through", content: "x" },
      { name: "relative", target: `${up}${outside.slice(1)}` },
      { name: "relative/through", content: "x" },
    ];
    writer.finish({ latest: writer.image([writer.layer(entries)]) });
    // Whether that is an error or harmless is up to umoci.
    await fetchWith(local(), "hostile").catch(() => {});
    expect(readdirSync(outside)).toEqual([]);
  });

  it.each(["manifest", "config", "layer"] as const)("refuses a damaged %s", async (what) => {
    const writer = layout("damaged");
    const archive = writer.layer([{ name: "text", content: "x".repeat(2000) }]);
    const image = writer.image([archive], ["A=1"]);
    writer.finish({ latest: image });
    const manifest = JSON.parse(readFileSync(writer.blobPath(image), "utf8"));
    const path = writer.blobPath(
      { manifest: image, config: manifest.config, layer: archive }[what],
    );
    const bytes = readFileSync(path);
    const at = what === "layer" ? 1000 : bytes.indexOf('"', 3) + 1;
    bytes[at] = bytes[at]! ^ 1;
    writeFileSync(path, bytes);
    await expect(fetchWith(local(), "damaged")).rejects.toThrow(
      what === "layer" ? /umoci.*failed/s : /is damaged/,
    );
  });

  it("refuses a variable without a value", async () => {
    const writer = layout("odd");
    writer.finish({ latest: writer.image([writer.layer([])], ["NOVALUE"]) });
    await expect(fetchWith(local(), "odd")).rejects.toThrow(
      new BuildError(
        `Failure("Invalid environment in Docker image \\"NOVALUE\\" (should be 'K=V')")`,
      ),
    );
  });
});

describe("from a registry", () => {
  let registry: Registry;
  let images: string;
  let digests: Record<"one" | "two", string>;
  let dockerConfig: string | undefined;

  beforeAll(async () => {
    registry = await Registry.start();
    images = mkdtempSync(join(tmpdir(), "obuilder-push-"));
    const writer = new ImageWriter(images);
    const [one, two] = [plain(writer, "one"), plain(writer, "two")];
    writer.finish({ one, two });
    digests = { one: one.digest, two: two.digest };
    await push("one", "app:latest");
    await push("two", "app:two");
  });

  afterAll(async () => {
    rmSync(images, { recursive: true });
    await registry.stop();
  });

  beforeEach(() => {
    dockerConfig = process.env.DOCKER_CONFIG;
  });

  afterEach(() => {
    registry.credentials = undefined;
    if (dockerConfig === undefined) delete process.env.DOCKER_CONFIG;
    else process.env.DOCKER_CONFIG = dockerConfig;
  });

  /** Not synchronously: the registry is partly in this process. */
  async function push(ref: string, name: string): Promise<void> {
    const target = `docker://${registry.host}/${name}`;
    const options = ["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false"];
    await promisify(execFile)("skopeo", [...options, `oci:${images}:${ref}`, target]);
  }

  const skopeo = () => new SkopeoFetcher(join(dir, "tmp"));

  it("comes by tag and by digest, and says which it was", async () => {
    expect(await fetchWith(skopeo(), `${registry.host}/app`)).toEqual({
      env: [
        ["A", "b=c"],
        ["EMPTY", ""],
      ],
      digest: digests.one,
    });
    expect(content("text")).toBe("one");
    expect(await skopeo().resolve(`${registry.host}/app:two`, io.signal)).toBe(digests.two);
  });

  it("is what the digest says, whatever the tag is now", async () => {
    await fetchWith(skopeo(), `${registry.host}/app:latest@${digests.two}`);
    expect(content("text")).toBe("two");
  });

  it("says why there is none", async () => {
    await expect(fetchWith(skopeo(), `${registry.host}/nothing`)).rejects.toThrow(
      /"skopeo" .* failed with exit status 1: .*(manifest|name) unknown/s,
    );
  });

  it("uses the credentials of docker login", async () => {
    registry.credentials = "user:secret";
    process.env.DOCKER_CONFIG = join(dir, "docker");
    mkdirSync(process.env.DOCKER_CONFIG);
    await expect(fetchWith(skopeo(), `${registry.host}/app`)).rejects.toThrow(/failed/);
    const auth = Buffer.from("user:secret").toString("base64");
    writeFileSync(
      join(process.env.DOCKER_CONFIG, "config.json"),
      JSON.stringify({ auths: { [registry.host]: { auth } } }),
    );
    await fetchWith(skopeo(), `${registry.host}/app`);
    expect(content("text")).toBe("one");
  });

  it("is not fetched any more when that is cancelled", async () => {
    const cancel = new AbortController();
    cancel.abort(new Error("stopped"));
    await expect(
      skopeo().fetch(`${registry.host}/app`, layer, { ...io, signal: cancel.signal }),
    ).rejects.toThrow("stopped");
  });
});

describe("from an engine", () => {
  let engine: DockerEngine;
  let dockerHost: string | undefined;

  beforeAll(async () => {
    engine = await DockerEngine.start();
    dockerHost = process.env.DOCKER_HOST;
    process.env.DOCKER_HOST = `unix://${engine.socket}`;
    const root = mkdtempSync(join(tmpdir(), "obuilder-import-"));
    writeFileSync(join(root, "text"), "imported");
    const archive = execFileSync("tar", ["-C", root, "-c", "text"]);
    const change = ["--change", "ENV A=b=c", "--change", "ENV EMPTY="];
    execFileSync("docker", ["import", ...change, "-", "app:local"], {
      input: archive,
      stdio: ["pipe", "ignore", "inherit"],
    });
    rmSync(root, { recursive: true });
  });

  afterAll(async () => {
    if (dockerHost === undefined) delete process.env.DOCKER_HOST;
    else process.env.DOCKER_HOST = dockerHost;
    await engine.stop();
  });

  it("is what a container of it would have, and leaves no container", async () => {
    const docker = new DockerFetcher();
    expect(await docker.canFetch()).toBe(true);
    const written: string[] = [];
    const log = { write: (data: Uint8Array) => void written.push(Buffer.from(data).toString()) };
    const { env, digest } = await fetchWith(docker, "app:local", log);
    // It does not say what to run, which is nobody's mistake.
    expect(written.join("")).not.toMatch(/no command specified/i);
    expect(env).toEqual([
      ["A", "b=c"],
      ["EMPTY", ""],
    ]);
    expect(content("text")).toBe("imported");
    expect(await engine.containers()).toEqual([]);
    // It never was in a registry, so the engine knows it by its configuration alone.
    expect(await docker.resolve("app:local", io.signal)).toBe(digest);
    await fetchWith(docker, `app:local@${digest}`);
  });

  it("says why there is none", async () => {
    const written: Buffer[] = [];
    const log = { write: (data: Uint8Array) => void written.push(Buffer.from(data)) };
    await expect(
      new DockerFetcher().fetch("127.0.0.1:1/nothing", layer, { ...io, log }),
    ).rejects.toThrow(
      /^Failure\("\\"docker\\" \\"create\\" \\"--\\" \\"127.0.0.1:1\/nothing\\" failed with exit status 1"\)$/,
    );
    expect(Buffer.concat(written).toString()).toMatch(/connection refused/);
  });
});
