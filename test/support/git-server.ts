/**
 * Git repositories over HTTP on loopback: `git http-backend` behind a server of Node's, as web
 * servers run it.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const IDENTITY = {
  GIT_AUTHOR_NAME: "Author",
  GIT_AUTHOR_EMAIL: "author@example.org",
  GIT_COMMITTER_NAME: "Author",
  GIT_COMMITTER_EMAIL: "author@example.org",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
};

/** Files of a commit: content, or a symlink's target. */
export type Tree = Readonly<Record<string, string | { readonly link: string }>>;

export class GitServer {
  /** `user:password` that requests must carry, if set. */
  credentials: string | undefined;
  /** Called for each request; a promise that never resolves makes a server that does not answer. */
  onRequest: (request: IncomingMessage) => void | Promise<void> = () => {};
  readonly requests: string[] = [];

  private constructor(
    readonly path: string,
    private readonly server: Server,
  ) {}

  static async start(): Promise<GitServer> {
    const root = mkdtempSync(join(tmpdir(), "ocluster-git-server-"));
    const server = createServer();
    const self = new GitServer(root, server);
    server.on("request", (request, response) => void self.#answer(request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return self;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    rmSync(this.path, { recursive: true, force: true });
  }

  /** The URL of a repository, with credentials if given. */
  url(name: string, credentials?: string): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://${credentials === undefined ? "" : `${credentials}@`}127.0.0.1:${port}/${name}`;
  }

  git(name: string, ...args: string[]): string {
    return execFileSync("git", ["-C", join(this.path, name), ...args], {
      encoding: "utf8",
      env: { ...process.env, ...IDENTITY },
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  }

  /** Makes a repository with a first commit on `master`, and returns the commit. */
  create(name: string, tree: Tree, format: "sha1" | "sha256" = "sha1"): string {
    mkdirSync(join(this.path, name));
    this.git(name, "init", "--quiet", "--initial-branch=master", `--object-format=${format}`);
    this.git(name, "config", "uploadpack.allowReachableSHA1InWant", "true");
    return this.commit(name, tree);
  }

  /** Adds a commit, on the branch that is checked out, and returns its hash. */
  commit(name: string, tree: Tree): string {
    for (const [path, content] of Object.entries(tree)) {
      const file = join(this.path, name, path);
      mkdirSync(dirname(file), { recursive: true });
      if (typeof content === "string") writeFileSync(file, content);
      else execFileSync("ln", ["-sfn", content.link, file]);
    }
    this.git(name, "add", "--all");
    this.git(name, "commit", "--quiet", "--allow-empty", "--message", "a change");
    return this.git(name, "rev-parse", "HEAD");
  }

  /** Adds a commit on a new branch that starts at `base`, and returns its hash. */
  branch(name: string, branch: string, base: string, tree: Tree): string {
    this.git(name, "checkout", "--quiet", "-b", branch, base);
    const commit = this.commit(name, tree);
    this.git(name, "checkout", "--quiet", "master");
    return commit;
  }

  /** Adds a submodule, or moves one to another commit, and returns the commit. */
  submodule(name: string, path: string, url: string, commit: string): string {
    const key = path.replaceAll("/", "-");
    writeFileSync(
      join(this.path, name, ".gitmodules"),
      `[submodule "${key}"]\n\tpath = ${path}\n\turl = ${url}\n`,
    );
    mkdirSync(join(this.path, name, path), { recursive: true }); // else it would count as deleted
    this.git(name, "add", ".gitmodules");
    this.git(name, "update-index", "--add", "--cacheinfo", `160000,${commit},${path}`);
    this.git(name, "commit", "--quiet", "--message", "a submodule");
    return this.git(name, "rev-parse", "HEAD");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests.push(`${request.method} ${request.url}`);
    await this.onRequest(request);
    const expected = this.credentials && Buffer.from(this.credentials).toString("base64");
    if (expected && request.headers.authorization !== `Basic ${expected}`) {
      response.writeHead(401, { "WWW-Authenticate": 'Basic realm="git"' }).end();
      return;
    }
    const { pathname, search } = new URL(request.url!, "http://localhost");
    const backend = spawn("git", ["http-backend"], {
      env: {
        PATH: process.env.PATH,
        GIT_PROJECT_ROOT: this.path,
        GIT_HTTP_EXPORT_ALL: "1",
        REQUEST_METHOD: request.method,
        // The repositories here are not bare.
        PATH_INFO: pathname.replace(/^(\/[^/]+)/, "$1/.git"),
        QUERY_STRING: search.slice(1),
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
        HTTP_GIT_PROTOCOL: request.headers["git-protocol"] as string | undefined,
      },
      stdio: ["pipe", "pipe", "ignore"],
    });
    backend.stdin.on("error", () => {}); // It may end before it has read the request.
    request.pipe(backend.stdin);
    let head = Buffer.alloc(0);
    for await (const data of backend.stdout as AsyncIterable<Buffer>) {
      if (response.headersSent) {
        response.write(data);
        continue;
      }
      head = Buffer.concat([head, data]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) continue;
      for (const line of head.subarray(0, end).toString().split("\r\n")) {
        const [name, value] = line.split(": ", 2) as [string, string];
        if (name === "Status") response.statusCode = Number.parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.write(head.subarray(end + 4));
    }
    response.end();
  }
}
