/**
 * A real object store: Ceph's gateway with one monitor and one daemon that keeps all in memory, in
 * a directory of its own and on loopback. Its Debian packages are large, so that it is for long
 * runs.
 */
import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ensurePackages } from "../../scripts/lib/debian.mjs";
import { freePort } from "./programs.js";

export const CEPH_KEYS = { accessKeyId: "CEPHTEST", secretAccessKey: "a-secret-of-the-test" };

/** How long each of its parts may take to be there, in ms: some 20 s in all. */
const PATIENCE_MS = 120_000;

export class Ceph {
  private readonly pids: number[] = [];
  private gateway: number | undefined;

  private constructor(
    private readonly dir: string,
    private readonly port: number,
  ) {}

  /** Installs what is missing, and starts it. */
  static async start(): Promise<Ceph> {
    ensurePackages("objectStore");
    const dir = mkdtempSync(join(tmpdir(), "ocluster-ceph-"));
    const ceph = new Ceph(dir, await freePort());
    try {
      await ceph.#startCluster();
      await ceph.startGateway();
      return ceph;
    } catch (error) {
      await ceph.stop();
      throw error;
    }
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The gateway is killed. */
  async stopGateway(): Promise<void> {
    await endOf(this.gateway!);
    this.gateway = undefined;
  }

  async startGateway(): Promise<void> {
    const frontend = `beast endpoint=127.0.0.1:${this.port}`;
    this.gateway = this.#start("radosgw", [
      ...["-n", "client.rgw", `--rgw_frontends=${frontend}`, `--rgw_data=${join(this.dir, "run")}`],
      "-f",
    ]);
    await until(() => answers(this.port), "the gateway");
  }

  /** Has a user with `CEPH_KEYS`. */
  addUser(): void {
    const { accessKeyId, secretAccessKey } = CEPH_KEYS;
    this.#run("radosgw-admin", [
      ...["-n", "client.rgw", "user", "create", "--uid=test", "--display-name=test"],
      ...[`--access-key=${accessKeyId}`, `--secret-key=${secretAccessKey}`],
    ]);
  }

  async stop(): Promise<void> {
    if (this.gateway !== undefined) await this.stopGateway();
    for (const pid of this.pids.reverse()) await endOf(pid);
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #startCluster(): Promise<void> {
    const { dir } = this;
    for (const name of ["mon", "osd", "run"]) mkdirSync(join(dir, name));
    const fsid = randomUUID();
    const osd = randomUUID();
    const address = `[v2:127.0.0.1:${await freePort()}/0,v1:127.0.0.1:${await freePort()}/0]`;
    writeFileSync(join(dir, "ceph.conf"), configuration(dir, fsid, address));
    const keyring = join(dir, "all.keyring");
    const caps = {
      "mon.": ["mon", "allow *"],
      "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
      "client.rgw": ["mon", "allow rw", "osd", "allow rwx"],
      "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
    };
    for (const [index, [name, words]] of Object.entries(caps).entries()) {
      const given = words.flatMap((word, at) => (at % 2 === 0 ? ["--cap", word] : [word]));
      const create = index === 0 ? ["--create-keyring"] : [];
      execFileSync("ceph-authtool", [...create, keyring, "--gen-key", "-n", name, ...given], {
        stdio: "ignore",
      });
    }
    const map = join(dir, "monmap");
    execFileSync(
      "monmaptool",
      ["--create", "--clobber", "--fsid", fsid, "--addv", "a", address, map],
      { stdio: "ignore" },
    );
    this.#run("ceph-mon", ["--mkfs", "-i", "a", "--monmap", map, "--keyring", keyring]);
    this.pids.push(this.#start("ceph-mon", ["-i", "a", "-f"]));
    this.#run("ceph", ["--connect-timeout=60", "osd", "new", osd]);
    this.#run("ceph-osd", ["-i", "0", "--mkfs", "--osd-uuid", osd]);
    this.pids.push(this.#start("ceph-osd", ["-i", "0", "-f"]));
    await until(
      () => / 1 up/.test(this.#run("ceph", ["--connect-timeout=60", "osd", "stat"])),
      "the storage daemon",
    );
  }

  #run(program: string, args: readonly string[]): string {
    return execFileSync(program, ["-c", join(this.dir, "ceph.conf"), ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  #start(program: string, args: readonly string[]): number {
    const log = openSync(join(this.dir, `${program}.out`), "a");
    const child = spawn(program, ["-c", join(this.dir, "ceph.conf"), ...args], {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child.unref();
    return child.pid!;
  }
}

function configuration(dir: string, fsid: string, address: string): string {
  return `[global]
fsid = ${fsid}
mon host = ${address}
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv4 = true
keyring = ${dir}/all.keyring
mon data = ${dir}/mon
osd data = ${dir}/osd
run dir = ${dir}/run
admin socket = ${dir}/run/$name.asok
pid file = ${dir}/run/$name.pid
log file = ${dir}/$name.log
osd objectstore = memstore
memstore device bytes = 2147483648
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
mon allow pool size one = true
osd class load list = *
osd class default list = *
`;
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline)
      throw new Error(`${what} is not there after ${PATIENCE_MS} ms`);
    await pause(200);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host: "127.0.0.1", port, path: "/" }, (response) => {
      response.resume();
      resolve(true);
    });
    asked.on("error", () => resolve(false));
    asked.end();
  });
}

async function endOf(pid: number): Promise<void> {
  process.kill(pid, "SIGKILL");
  await until(() => !isRunning(pid), `the end of process ${pid}`);
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
