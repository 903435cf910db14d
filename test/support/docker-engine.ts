/**
 * A Docker engine and registries of a test's own, on loopback and in a temporary directory.
 *
 * The engine has no bridge, so that it does not meddle with the host's network: RUN steps use the
 * host's or none.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { LoopDisk } from "./loop-disk.js";
import { busyboxRoot, withTemporaryRoot } from "./oci-layout.js";
import { freePort } from "./programs.js";

/** The root file system of another Debian with a newer engine to test with, if any. */
const ENGINE_ROOT = process.env.OCLUSTER_ENGINE_ROOT;

/** Whether engines here keep their images in containerd's store. */
export const CONTAINERD_STORE = Boolean(ENGINE_ROOT);

export class DockerEngine {
  readonly docker: Docker;

  private constructor(
    private readonly dir: string,
    private readonly child: ChildProcess,
    private readonly disk: LoopDisk | undefined,
  ) {
    this.docker = new Docker({ socketPath: this.socket });
  }

  get socket(): string {
    return join(this.dir, "docker.sock");
  }

  /** Where the engine keeps everything. */
  get dataRoot(): string {
    return dataRootIn(this.dir);
  }

  /**
   * Starts one. With OCLUSTER_ENGINE_ROOT it is a newer one, from the root file system of another
   * Debian in that directory (`debootstrap --variant=minbase --include=docker.io,ca-certificates
   * trixie DIR`), with containerd's image store.
   */
  static start(storageDriver: "overlay2" | "vfs" = "overlay2"): Promise<DockerEngine> {
    if (ENGINE_ROOT && storageDriver === "overlay2") return DockerEngine.startInRoot(ENGINE_ROOT);
    return DockerEngine.launch([], {}, [`--storage-driver=${storageDriver}`]);
  }

  /** The same on a disk of its own, of that size (as truncate(1) has it). */
  static async startOnDisk(size: string): Promise<DockerEngine> {
    const dir = mkdtempSync(join(tmpdir(), "ocluster-docker-"));
    const disk = new LoopDisk("ext4", dataRootIn(dir), size);
    return DockerEngine.launch([], {}, [], { dir, disk });
  }

  /** Of the machine, the engine sees the temporary directory and the kernel's directories. */
  private static startInRoot(root: string): Promise<DockerEngine> {
    const script = [
      "set -e",
      'mount --bind "$0" "$0"',
      'mount -t proc proc "$0/proc"',
      'for dir in /sys /dev "$1"; do mount --rbind "$dir" "$0$dir"; done',
      'shift; exec chroot "$0" "$@"',
    ].join("\n");
    // The mounts are gone with the engine.
    const command = ["unshare", "--mount", "sh", "-c", script, root, tmpdir()];
    return DockerEngine.launch(command, { features: { "containerd-snapshotter": true } }, []);
  }

  private static async launch(
    prefix: readonly string[],
    config: object,
    options: readonly string[],
    on: { readonly dir: string; readonly disk?: LoopDisk } = {
      dir: mkdtempSync(join(tmpdir(), "ocluster-docker-")),
    },
  ): Promise<DockerEngine> {
    const { dir, disk } = on;
    writeFileSync(join(dir, "config.json"), JSON.stringify(config));
    const [program, ...args] = [...prefix, "dockerd"];
    const child = spawn(
      program!,
      [
        ...args,
        `--config-file=${join(dir, "config.json")}`,
        `--data-root=${dataRootIn(dir)}`,
        `--exec-root=${join(dir, "exec")}`,
        `--pidfile=${join(dir, "pid")}`,
        `--host=unix://${join(dir, "docker.sock")}`,
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--experimental", // for --squash
        ...options,
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.stderr!.setEncoding("utf8").on("data", (text: string) => {
        said = (said + text).slice(-20_000);
        if (/API listen on/.test(said)) resolve();
      });
      child.once("error", reject);
      child.once("close", () => reject(new Error(`dockerd ended:\n${said}`)));
    });
    return new DockerEngine(dir, child, disk);
  }

  /** Makes the engine a Swarm of its own. Services must be gone when it is stopped. */
  async startSwarm(): Promise<void> {
    await this.docker.swarmInit({
      AdvertiseAddr: "127.0.0.1",
      ListenAddr: `127.0.0.1:${await freePort()}`,
    });
  }

  async stop(): Promise<void> {
    const ended = once(this.child, "close");
    this.child.kill("SIGTERM");
    await ended;
    try {
      execFileSync("umount", [join(this.dir, "exec/netns/default")], { stdio: "ignore" });
    } catch {
      // It is mounted once a container has used the host's network.
    }
    this.disk?.remove();
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Makes the image `name` from busybox and pushes it, so that builds can pull it. */
  async pushBusybox(name: string): Promise<void> {
    const archive = withTemporaryRoot(
      (rootfs) => busyboxRoot(rootfs),
      (rootfs) => execFileSync("tar", ["-C", rootfs, "-c", "."], { maxBuffer: 64 * 1024 * 1024 }),
    );
    const [repo, tag] = [
      name.slice(0, name.lastIndexOf(":")),
      name.slice(name.lastIndexOf(":") + 1),
    ];
    const changes = "ENV PATH=/bin";
    const file = archive as unknown as NodeJS.ReadableStream; // It takes buffers, whatever its types say.
    await drain(await this.docker.importImage(file, { repo, tag, changes }));
    const authconfig = { username: "", password: "", serveraddress: "" };
    await drain(await this.docker.getImage(name).push({ authconfig }));
  }

  /** Ids of all containers. */
  async containers(): Promise<string[]> {
    return (await this.docker.listContainers({ all: true })).map(({ Id }) => Id);
  }
}

function dataRootIn(dir: string): string {
  return join(dir, "data");
}

async function drain(stream: NodeJS.ReadableStream): Promise<void> {
  let text = "";
  for await (const data of stream) text += String(data);
  if (text.includes('"error"')) throw new Error(text);
}

/** A registry, behind a server that can ask for a password and can fail. */
export class Registry {
  /** `user:password` that requests must carry, if set. */
  credentials: string | undefined;
  /** Answers a request instead of the registry if it returns a status. */
  interfere: (request: IncomingMessage) => number | undefined = () => undefined;

  private constructor(
    private readonly dir: string,
    private readonly child: ChildProcess,
    private readonly front: Server,
    /** Where the registry itself listens. */
    private readonly backPort: number,
  ) {
    front.on("request", (incoming, response) => this.#answer(incoming, response));
  }

  static async start(): Promise<Registry> {
    const dir = mkdtempSync(join(tmpdir(), "ocluster-registry-"));
    const port = await freePort();
    const config = [
      "version: 0.1",
      "log: {level: error}",
      `storage: {filesystem: {rootdirectory: ${dir}}}`,
      `http: {addr: "127.0.0.1:${port}"}`,
    ];
    writeFileSync(join(dir, "config.yml"), `${config.join("\n")}\n`);
    const child = spawn("docker-registry", ["serve", join(dir, "config.yml")], { stdio: "ignore" });
    await answering(port, child);
    const front = createServer().listen(0, "127.0.0.1");
    await once(front, "listening");
    return new Registry(dir, child, front, port);
  }

  /** `127.0.0.1:PORT`, the first part of image names. */
  get host(): string {
    return `127.0.0.1:${(this.front.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.front.closeAllConnections();
    this.front.close();
    const ended = once(this.child, "close");
    this.child.kill("SIGKILL");
    await ended;
    rmSync(this.dir, { recursive: true, force: true });
  }

  #answer(incoming: IncomingMessage, response: ServerResponse): void {
    const expected = this.credentials && Buffer.from(this.credentials).toString("base64");
    const status =
      expected && incoming.headers.authorization !== `Basic ${expected}`
        ? 401
        : this.interfere(incoming);
    if (status !== undefined) {
      incoming.resume();
      response.writeHead(status, { "WWW-Authenticate": 'Basic realm="registry"' }).end();
      return;
    }
    const { headers, method, url } = incoming;
    // With the front's name in the `Host` header, which the registry puts into its redirections.
    const onward = request({ host: "127.0.0.1", port: this.backPort, headers, method, path: url });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    incoming.pipe(onward);
  }
}

/** Waits until something speaks HTTP at `port`. */
async function answering(port: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const answered = await new Promise<boolean>((resolve) => {
      const probe = request({ host: "127.0.0.1", port, path: "/v2/" }, (response) => {
        response.resume();
        resolve(true);
      });
      probe.on("error", () => resolve(false));
      probe.end();
    });
    if (answered) return;
  }
  throw new Error(`The registry ended with status ${child.exitCode}`);
}
