/**
 * A BuildKit session: while a build runs, the engine asks its client for the build context, for
 * secrets and for registry passwords, by gRPC over a connection that the client opened. So a job's
 * secrets go from memory to the engine and into no file or argument.
 *
 * The protocol is BuildKit's `session` package; the methods served here are
 * `moby.filesync.v1.FileSync/DiffCopy`, `moby.buildkit.secrets.v1.Secrets/GetSecret`,
 * `moby.filesync.v1.Auth/Credentials` and gRPC's health check, without which BuildKit gives the
 * session up after some seconds.
 */
import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import type { RegistryAuth } from "../../docker/index.js";
import { quoted } from "../../text/index.js";
import { sendFiles } from "./file-sync.js";
import {
  GRPC_STATUS,
  type GrpcCall,
  GrpcError,
  type GrpcMethod,
  serveGrpc,
  unary,
} from "./grpc.js";
import { encodeMessage, Message } from "./protobuf.js";
import type { SessionDirectory } from "./session-files.js";

export interface SessionSources {
  /** By the names that the engine has for them: `context`, `dockerfile`. */
  readonly directories: ReadonlyMap<string, SessionDirectory>;
  /** By their ids. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** What to log in to a registry with, if anything. */
  registryAuth(host: string): Promise<RegistryAuth | undefined>;
}

/** A session that a build can name by its id, until it is closed. */
export interface BuildKitSession {
  readonly id: string;
  /** What to name as the build's remote context. */
  readonly remote: "client-session";
  close(): void;
}

export async function openSession(
  docker: Docker,
  sources: SessionSources,
): Promise<BuildKitSession> {
  const id = randomUUID();
  const methods = sessionMethods(sources);
  const socket = await upgrade(docker, id, [...methods.keys()]);
  // The session ends with the build, whose own answer says how that went.
  socket.on("error", () => {});
  const { close } = serveGrpc(socket, methods);
  return { id, remote: "client-session", close };
}

/** The methods of a session, by their paths. Exported for tests. */
export function sessionMethods({
  directories,
  registryAuth,
  secrets,
}: SessionSources): ReadonlyMap<string, GrpcMethod> {
  return new Map<string, GrpcMethod>([
    ["/moby.filesync.v1.FileSync/DiffCopy", (call) => sendDirectory(directories, call)],
    [
      "/moby.buildkit.secrets.v1.Secrets/GetSecret",
      unary((request) => {
        const id = new Message(request).text(1);
        const value = secrets.get(id);
        if (!value) throw new GrpcError(GRPC_STATUS.notFound, `secret ${id}: not found`);
        return encodeMessage({ 1: value });
      }),
    ],
    [
      "/moby.filesync.v1.Auth/Credentials",
      unary(async (request) => {
        const auth = await registryAuth(new Message(request).text(1));
        return auth ? encodeMessage(credentials(auth)) : Buffer.alloc(0);
      }),
    ],
    ["/grpc.health.v1.Health/Check", unary(() => SERVING)],
  ]);
}

/**
 * What is wanted of which directory is in the call's headers (BuildKit's
 * session/filesync/filesync.go).
 */
async function sendDirectory(
  directories: ReadonlyMap<string, SessionDirectory>,
  call: GrpcCall,
): Promise<void> {
  const name = call.header("dir-name")[0] ?? "";
  const directory = directories.get(name);
  if (!directory) {
    throw new GrpcError(GRPC_STATUS.notFound, `There is no directory ${quoted(name)}`);
  }
  const request = {
    excludes: decodedHeader(call, "exclude-patterns"),
    includes: decodedHeader(call, "include-patterns"),
    followed: decodedHeader(call, "followpaths"),
  };
  await sendFiles((signal) => directory(request, signal), call);
}

/** Newer engines write texts that are not all ASCII as in the query of a URL, and say so. */
function decodedHeader(call: GrpcCall, name: string): string[] {
  const values = call.header(name);
  if (call.header(`${name}-encoded`)[0] !== "1") return values;
  return values.map((value) => new URLSearchParams(`v=${value}`).get("v")!);
}

/** moby.filesync.v1.CredentialsResponse; a secret without a name is a token. */
function credentials({ identitytoken, password, username }: RegistryAuth): Record<number, string> {
  return identitytoken === undefined ? { 1: username, 2: password } : { 2: identitytoken };
}

/** grpc.health.v1.HealthCheckResponse { status: SERVING } */
const SERVING = Buffer.from([0x08, 0x01]);

/** Turns an HTTP connection to the engine into one that the engine makes calls over. */
function upgrade(docker: Docker, id: string, methods: string[]): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    docker.modem.dial(
      {
        method: "POST",
        path: "/session",
        hijack: true,
        headers: {
          Upgrade: "h2c",
          "X-Docker-Expose-Session-Uuid": id,
          "X-Docker-Expose-Session-Name": "ocluster",
          // Names what this session's files may be compared with: never those of another job, which
          // only look the same.
          "X-Docker-Expose-Session-Sharedkey": id,
          "X-Docker-Expose-Session-Grpc-Method": methods,
        },
        statusCodes: { 101: true, 200: true, 500: "server error" },
      },
      (error: unknown, socket: unknown) => {
        if (error) reject(error);
        else resolve(socket as Duplex);
      },
    );
  });
}
