/**
 * A real scheduler on loopback, and servers of the page that look at it with one or the other
 * capability file; all in this process and one temporary directory.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { Grants, Persistent } from "../../../src/api/index.js";
import { Identity, SturdyRef, writeCapFile } from "../../../src/rpc/index.js";
import { Store } from "../../../src/scheduler/state/store.js";
import { runWeb, type WebServerOptions } from "../../../src/web/server/main.js";
import { Network, type TestClient } from "../../scheduler/network.js";
import { freePort } from "../../support/programs.js";

const OPENAPI = join(import.meta.dirname, "../../../docs/openapi.yaml");

export class House {
  readonly dir = mkdtempSync(join(tmpdir(), "ocluster-web-test-"));
  private readonly identity = Identity.ephemeral();
  private readonly servers: { stop(): Promise<void> }[] = [];
  private current: Network | undefined;
  private schedulerPort = 0;

  /** One for each test of a file, taken down after it. */
  static forEachTest(): { readonly open: typeof House.open } {
    let house: House | undefined;
    afterEach(async () => {
      await house?.close();
      house = undefined;
    });
    return {
      open: async (pools) => {
        house = await House.open(pools);
        return house;
      },
    };
  }

  static async open(pools?: readonly string[]): Promise<House> {
    const house = new House();
    house.schedulerPort = await freePort();
    await house.startScheduler(pools);
    return house;
  }

  get network(): Network {
    return this.current!;
  }

  async startScheduler(
    pools: readonly string[] = ["pool", "other"],
    port = this.schedulerPort,
  ): Promise<void> {
    const secrets = this.current?.secrets;
    this.current = await Network.start({
      durable: this.dir,
      store: Store.open(join(this.dir, "scheduler.db")),
      identity: this.identity,
      port,
      pools,
    });
    for (const [id, secret] of secrets ?? []) this.current.secrets.set(id, secret);
  }

  /** Ends it, as when its machine is restarted: all of its peers lose their connections. */
  async stopScheduler(): Promise<void> {
    await this.network.stop();
  }

  /** Makes a client, and its file. */
  async client(id: string): Promise<TestClient> {
    const client = await this.network.client(id);
    writeCapFile(this.cap(id), await Persistent.save(client.submission));
    return client;
  }

  /** Makes a viewer's file. */
  async viewer(id: string): Promise<string> {
    const uri = await Grants.grant(await this.network.admin(), "viewer", id);
    writeCapFile(this.cap(id), SturdyRef.parse(uri));
    return this.cap(id);
  }

  cap(name: string): string {
    return join(this.dir, `${name}.cap`);
  }

  /** Starts a server for `admin`, or for a client or viewer that was made. */
  async web(name: string, options: Partial<WebServerOptions> = {}): Promise<Visitor> {
    return (await this.start(name, options)).visitor;
  }

  /** The same, with what ends it. */
  async start(
    name: string,
    options: Partial<WebServerOptions> = {},
  ): Promise<{ readonly visitor: Visitor; stop(): Promise<void> }> {
    if (name === "admin") writeCapFile(this.cap("admin"), this.network.ref("admin"));
    const over = new AbortController();
    let isReady!: (link: string) => void;
    const ready = new Promise<string>((resolve) => {
      isReady = resolve;
    });
    const ended = runWeb(
      {
        capFile: this.cap(name),
        listen: { host: "127.0.0.1", port: 0 },
        tls: undefined,
        publicUrl: undefined,
        open: false,
        pageRoot: this.page(),
        openapi: OPENAPI,
        stateDir: join(this.dir, "state"),
        onReady: isReady,
        ...options,
      },
      over.signal,
    );
    const stop = async () => {
      over.abort();
      await ended.catch(() => {});
    };
    this.servers.push({ stop });
    const link = await Promise.race([ready, ended.then(() => "")]);
    return { visitor: new Visitor(link, this.cap(name)), stop };
  }

  async close(): Promise<void> {
    for (const { stop } of this.servers) await stop();
    await this.current?.stop();
    rmSync(this.dir, { recursive: true });
  }

  /** A page, as the build would make one. */
  private page(): string {
    const root = mkdtempSync(join(this.dir, "page-"));
    writeFileSync(join(root, "index.html"), "<!doctype html><title>ocluster</title>");
    return root;
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of JSON; else undefined. */
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect of it
  readonly body: any;
}

/** Somebody with a link. */
export class Visitor {
  readonly url: string;
  readonly secret: string;
  /** `NAME=VALUE`; undefined: not signed in. */
  cookie: string | undefined;

  constructor(
    readonly link: string,
    readonly capFile: string,
  ) {
    const { hash, origin } = new URL(link);
    this.url = origin;
    this.secret = hash.replace("#t=", "");
  }

  /** The same place, for somebody who is not signed in. */
  stranger(): Visitor {
    return new Visitor(this.link, this.capFile);
  }

  async signIn(secret = this.secret): Promise<Answer> {
    const answer = await this.post("/api/v1/session", { secret });
    const cookie = answer.headers.get("set-cookie");
    if (cookie) this.cookie = cookie.split(";", 1)[0]!;
    return answer;
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.ask("GET", path, { headers });
  }

  post(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Answer> {
    const usual = { "Content-Type": "application/json", "X-OCluster-Web": "1" };
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return this.ask("POST", path, { headers: { ...usual, ...headers }, body: text });
  }

  async ask(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(this.url + path, {
      redirect: "error",
      ...this.init(method, init),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") && text;
    const body = isJson ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, body };
  }

  init(method: string, { headers, ...rest }: RequestInit): RequestInit {
    const cookie = this.cookie === undefined ? {} : { Cookie: this.cookie };
    return { method, headers: { ...cookie, ...(headers as Record<string, string>) }, ...rest };
  }
}
