/**
 * A mirror of ready-made addons on loopback, as prebuild-install takes them ("Custom binaries" in
 * its documentation), with that of better-sqlite3 which is on this machine. Compiling it takes a
 * minute, and set-up has done that already where it is needed.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

const PACKAGE = join(import.meta.dirname, "../../node_modules/better-sqlite3");
const ADDON = "build/Release/better_sqlite3.node";

export class AddonMirror {
  /** What was asked for: paths of URLs, which name version, Node's ABI and processor. */
  readonly asked: string[] = [];
  private readonly server: Server;

  private constructor(addon: Buffer | undefined) {
    this.server = createServer(({ url }, response) => {
      this.asked.push(url!);
      response.writeHead(addon ? 200 : 404).end(addon);
    });
  }

  /** A mirror that has the addon if this machine does, which it need not for newer Nodes. */
  static async start(): Promise<AddonMirror> {
    const archive = existsSync(join(PACKAGE, ADDON))
      ? execFileSync("tar", ["-C", PACKAGE, "-cz", ADDON], { maxBuffer: 64 * 1024 * 1024 })
      : undefined;
    return AddonMirror.listening(archive);
  }

  static empty(): Promise<AddonMirror> {
    return AddonMirror.listening(undefined);
  }

  private static async listening(addon: Buffer | undefined): Promise<AddonMirror> {
    const mirror = new AddonMirror(addon);
    await once(mirror.server.listen(0, "127.0.0.1"), "listening");
    return mirror;
  }

  /** The value of npm's option `better_sqlite3_binary_host`. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.close();
  }
}
