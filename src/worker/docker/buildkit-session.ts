/**
 * A BuildKit session: while a build runs, the engine asks its client for the build context, for secrets and for registry
 * passwords, by gRPC over a connection that the client opened. So a job's secrets go from memory to the engine and into no
 * file or argument.
 *
 * The protocol is BuildKit's `session` package; the methods served here are `moby.upload.v1.Upload/Pull`,
 * `moby.buildkit.secrets.v1.Secrets/GetSecret`, `moby.filesync.v1.Auth/Credentials` and gRPC's health check, without
 * which BuildKit gives the session up after some seconds.
 *
 * The context could as well be the body of the request for a build, if it were not for engines with containerd's image
 * store: until version 27 they lose it there.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { addAbortSignal, type Duplex, type Readable, type Writable } from "node:stream";
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  type MethodDefinition,
  Server,
  ServerCredentials,
  status,
} from "@grpc/grpc-js";
import type Docker from "dockerode";
import type { RegistryAuth } from "../../docker/index.js";
import { encodeMessage, Message } from "./protobuf.js";

export interface SessionSources {
  /** A tar archive. It is read once, and destroyed with the session. */
  readonly context: Readable;
  /** By their ids. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** What to log in to a registry with, if anything. */
  registryAuth(host: string): Promise<RegistryAuth | undefined>;
}

/** A session that a build can name by its id, until it is closed. */
export interface BuildKitSession {
  readonly id: string;
  /** What to name as the build's remote context. */
  readonly contextUrl: string;
  close(): void;
}

export async function openSession(
  docker: Docker,
  sources: SessionSources,
): Promise<BuildKitSession> {
  const id = randomUUID();
  const methods = sessionMethods(sources);
  const { context } = sources;
  const socket = await upgrade(docker, id, [...Object.keys(methods), PULL]);
  // The session ends with the build, whose own answer says how that went.
  socket.on("error", () => {});
  const server = new Server();
  for (const [path, answer] of Object.entries(methods)) {
    server.addService({ call: unary(path) }, { call: answer });
  }
  server.addService(
    { pull: { ...unary(PULL), requestStream: true, responseStream: true } },
    { pull: uploadOf(context) },
  );
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket);
  return {
    id,
    contextUrl: `http://buildkit-session/${id}`,
    close() {
      context.destroy();
      server.forceShutdown();
      socket.destroy();
    },
  };
}

const PULL = "/moby.upload.v1.Upload/Pull";

/** Sends an archive as `BytesMessage`s, at the pace at which it is taken. */
function uploadOf(archive: Readable): handleBidiStreamingCall<Buffer, Buffer> {
  return (call) => {
    call.resume(); // The engine has nothing to say.
    const cancelled = new AbortController();
    call.once("cancelled", () => cancelled.abort());
    upload(archive, call, cancelled.signal).catch(({ message }: Error) =>
      call.emit("error", { code: status.ABORTED, details: message }),
    );
  };
}

/**
 * Writes an archive as messages and ends the stream. The archive is destroyed if it is not read to its end: when it fails, or
 * when `signal` is aborted, after which a stream that is full may never drain. Exported for tests.
 */
export async function upload(
  archive: Readable,
  stream: Writable,
  signal: AbortSignal,
): Promise<void> {
  addAbortSignal(signal, archive);
  for await (const data of archive as AsyncIterable<Buffer>) {
    if (!stream.write(encodeMessage({ 1: data }))) await once(stream, "drain", { signal });
  }
  stream.end();
}

type Answer = handleUnaryCall<Buffer, Buffer>;

function sessionMethods({ secrets, registryAuth }: SessionSources): Record<string, Answer> {
  return {
    "/moby.buildkit.secrets.v1.Secrets/GetSecret": ({ request }, callback) => {
      const id = new Message(request).text(1);
      const value = secrets.get(id);
      if (value === undefined) {
        callback({ code: status.NOT_FOUND, details: `secret ${id}: not found` });
      } else {
        callback(null, encodeMessage({ 1: value }));
      }
    },
    "/moby.filesync.v1.Auth/Credentials": async ({ request }, callback) => {
      const auth = await registryAuth(new Message(request).text(1));
      callback(null, auth ? encodeMessage(credentials(auth)) : Buffer.alloc(0));
    },
    "/grpc.health.v1.Health/Check": (_call, callback) => callback(null, SERVING),
  };
}

/** moby.filesync.v1.CredentialsResponse; a secret without a name is a token. */
function credentials({ identitytoken, password, username }: RegistryAuth): Record<number, string> {
  return identitytoken === undefined ? { 1: username, 2: password } : { 2: identitytoken };
}

/** grpc.health.v1.HealthCheckResponse { status: SERVING } */
const SERVING = Buffer.from([0x08, 0x01]);

/** A method that takes a message and answers with one, as bytes. */
function unary(path: string): MethodDefinition<Buffer, Buffer> {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

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
