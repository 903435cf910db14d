/**
 * A Git server over HTTP whose answer to a fetch never ends: progress messages, or the data of one
 * object as fast as Git takes it: of zeros, or of noise, which cannot be compressed.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createDeflate } from "node:zlib";

/** The commit that the server says it has. */
export const ENDLESS_COMMIT = "1".repeat(40);

/** Bytes in a packet; it takes twice as many. */
const PACKET = 32 * 1024;

const PROGRESS = 2;
const DATA = 1;

export class EndlessGitServer {
  readonly url: string;
  /** Resolves when the first fetch is being answered. */
  readonly fetching: Promise<void>;

  private constructor(
    private readonly server: Server,
    fetching: Promise<void>,
  ) {
    const { port } = server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}/endless.git`;
    this.fetching = fetching;
  }

  static async start(what: "progress" | "zeros" | "noise"): Promise<EndlessGitServer> {
    let onFetch!: () => void;
    const fetching = new Promise<void>((resolve) => {
      onFetch = resolve;
    });
    const server = createServer((request, response) => {
      request.resume();
      if (request.method === "GET") {
        const type = "application/x-git-upload-pack-advertisement";
        response.setHeader("Content-Type", type).end(ADVERTISEMENT);
        return;
      }
      response.setHeader("Content-Type", "application/x-git-upload-pack-result");
      response.write(packet("NAK\n"));
      onFetch();
      void (what === "progress" ? sendProgress(response) : sendData(response, FILL[what]));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new EndlessGitServer(server, fetching);
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

function packet(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as Buffer);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, "0")), bytes]);
}

function banded(band: number, content: string | Buffer): Buffer {
  return packet(Buffer.concat([Buffer.from([band]), Buffer.from(content as Buffer)]));
}

const FLUSH = Buffer.from("0000");

const ADVERTISEMENT = Buffer.concat([
  packet("# service=git-upload-pack\n"),
  FLUSH,
  packet(`${ENDLESS_COMMIT} HEAD\0side-band-64k symref=HEAD:refs/heads/master agent=git/2\n`),
  packet(`${ENDLESS_COMMIT} refs/heads/master\n`),
  FLUSH,
]);

async function sendProgress(response: ServerResponse): Promise<void> {
  response.write(banded(PROGRESS, "Counting objects: 1\r"));
  // And nothing more, but the connection stays.
}

/** Large enough that nobody sees that it comes again and again. */
const FILL = { zeros: Buffer.alloc(256 * 1024), noise: randomBytes(256 * 1024) };

/** A pack with one blob, so large that it never ends. */
async function sendData(response: ServerResponse, fill: Buffer): Promise<void> {
  const header = Buffer.from("PACK\0\0\0\u0002\0\0\0\u0001", "latin1");
  const blobOf2To60 = Buffer.from([0xb0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
  response.write(banded(DATA, Buffer.concat([header, blobOf2To60])));
  const deflate = createDeflate({ level: 0 });
  response.once("close", () => deflate.destroy());
  const feed = () => {
    while (deflate.write(fill));
    deflate.once("drain", feed);
  };
  feed();
  try {
    for await (const data of deflate as AsyncIterable<Buffer>) {
      for (let at = 0; at < data.length; at += PACKET) {
        const more = response.write(banded(DATA, data.subarray(at, at + PACKET)));
        if (!more) await once(response, "drain");
      }
    }
  } catch {
    // The client has gone.
  }
}
