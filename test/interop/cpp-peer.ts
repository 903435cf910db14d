/**
 * The C++ peer as tests and benchmarks use it: built when needed, started, stopped.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { Address, Identity } from "../../src/rpc/index.js";
import { formatAddress } from "../../src/rpc/index.js";

// From the repository's root, where tests and benchmarks run: the latter are bundled, and not where
// their source is.
const OUT = resolve("node_modules/.cache/interop");
const BUILD = resolve("test/interop/build.sh");

/** Builds the program unless it is up to date (some 10 s). Rejects with the compiler's words. */
export async function buildCppPeer(): Promise<void> {
  await promisify(execFile)(BUILD, [OUT]);
}

/**
 * PEM files for `--tls`: the C++ peer's key, its certificate, and the one certificate that it
 * trusts.
 */
export class TlsFiles implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), "interop-tls-"));
  readonly arguments: readonly string[];

  constructor(own: Identity, trusted: Identity) {
    const write = (name: string, content: string): string => {
      writeFileSync(join(this.#dir, name), content);
      return join(this.#dir, name);
    };
    this.arguments = [
      "--tls",
      write("key.pem", own.keyPem),
      write("certificate.pem", own.certificatePem),
      write("trusted.pem", trusted.certificatePem),
    ];
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true });
  }
}

/** A server process. */
export class CppServer {
  private constructor(
    readonly process: ChildProcess,
    readonly address: Address,
  ) {}

  /** Starts `peer serve` with these options; ready when it listens. See README.md. */
  static async start(...options: readonly string[]): Promise<CppServer> {
    const child = spawn(join(OUT, "peer"), ["serve", "tcp:127.0.0.1:0", ...options], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface(child.stdout);
    const [line] = await Promise.race([
      once(lines, "line"),
      once(child, "exit").then(([code]) => {
        throw new Error(`the C++ server ended with status ${code}`);
      }),
    ]);
    const port = Number(/^listening (\d+)$/.exec(String(line))?.[1]);
    return new CppServer(child, { kind: "tcp", host: "127.0.0.1", port });
  }

  /** Ends it without a warning. */
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill("SIGKILL");
    await once(this.process, "exit");
  }
}

/** A worker or a client of a cluster, as a process that says in lines what happens to it. */
export class CppMember implements AsyncDisposable {
  private readonly lines: AsyncIterator<string>;

  private constructor(private readonly child: ChildProcess) {
    this.lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
  }

  /** Starts `peer ROLE WHAT ADDRESS`; see README.md. */
  static start(
    role: "worker" | "client",
    what: string,
    address: Address,
    ...options: readonly string[]
  ): CppMember {
    const args = [role, what, formatAddress(address), ...options];
    return new CppMember(spawn(join(OUT, "peer"), args, { stdio: ["pipe", "pipe", "inherit"] }));
  }

  /** The next line that it says; undefined if it has ended. */
  async says(): Promise<string | undefined> {
    const { done, value } = await this.lines.next();
    return done ? undefined : value;
  }

  tell(order: string): void {
    this.child.stdin!.write(`${order}\n`);
  }

  /** Ends it without a warning, if it has not ended. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/**
 * Runs `peer COMMAND WHAT ADDRESS`; gives what it prints. Rejects with its complaint if it ends
 * with an error.
 */
export async function runCppClient(
  command: "run" | "load",
  what: string,
  address: Address,
  ...options: readonly string[]
): Promise<string> {
  const args = [command, what, formatAddress(address), ...options];
  const { stdout } = await promisify(execFile)(join(OUT, "peer"), args);
  return stdout;
}
