/**
 * The page: files that the build has made, with their compressed forms beside them. Names of
 * `assets/` have a hash in them, so that browsers keep these for ever; everything else that is no
 * API is `index.html`, in which the page finds its own way.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { ApiError } from "./errors.js";
import type { Call } from "./http.js";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};

/** By the name in `Accept-Encoding`; the smallest first. */
const ENCODINGS = [
  ["br", ".br"],
  ["gzip", ".gz"],
] as const;

interface StaticFile {
  readonly type: string;
  readonly etag: string;
  readonly isImmutable: boolean;
  /** By encoding; "" as it is. */
  readonly forms: ReadonlyMap<string, Buffer>;
}

export class StaticFiles {
  /** By path. All of them are in memory: they are few, and a release has other names. */
  private readonly files = new Map<string, StaticFile>();

  /** @param root the directory that the build has made; without one there is no page */
  constructor(root: string) {
    if (!existsSync(join(root, "index.html"))) return;
    for (const path of readdirSync(root, { recursive: true, encoding: "utf8" })) {
      const type = TYPES[extname(path)];
      if (type === undefined) continue;
      const plain = readFileSync(join(root, path));
      const forms = new Map([["", plain]]);
      for (const [name, suffix] of ENCODINGS) {
        const file = join(root, path + suffix);
        if (existsSync(file)) forms.set(name, readFileSync(file));
      }
      const etag = createHash("sha256").update(plain).digest("base64url").slice(0, 22);
      this.files.set(path, { type, etag, forms, isImmutable: path.startsWith("assets/") });
    }
  }

  /** Answers a request for a path that is none of the API's. Throws an `ApiError`. */
  send({ headers, request, response }: Call, path: string): void {
    if (request.method !== "GET" && request.method !== "HEAD") {
      throw new ApiError("method_not_allowed", "Use GET here.", { Allow: "GET, HEAD" });
    }
    const file = this.files.get(path.slice(1)) ?? this.page(path);
    const [encoding, body] = chosen(file, headers["accept-encoding"]);
    const etag = `"${file.etag}${encoding === "" ? "" : `-${encoding}`}"`;
    response.setHeader("Content-Type", file.type);
    response.setHeader("ETag", etag);
    response.setHeader("Vary", "Accept-Encoding");
    response.setHeader(
      "Cache-Control",
      file.isImmutable ? "public, max-age=31536000, immutable" : "no-cache",
    );
    if (headers["if-none-match"]?.split(/, */).includes(etag)) {
      response.writeHead(304).end();
      return;
    }
    if (encoding !== "") response.setHeader("Content-Encoding", encoding);
    response.setHeader("Content-Length", body.length);
    response.writeHead(200).end(request.method === "HEAD" ? undefined : body);
  }

  private page(path: string): StaticFile {
    if (path.startsWith("/assets/")) {
      throw new ApiError("not_found", "There is no such file: load the page anew.");
    }
    const page = this.files.get("index.html");
    if (page) return page;
    throw new ApiError(
      "not_found",
      "The page was not built: `npm run build` does that. The API is at /api/v1/.",
    );
  }
}

function chosen({ forms }: StaticFile, accepted = ""): readonly [string, Buffer] {
  const names = accepted.split(",").flatMap((one) => {
    const [name = "", ...params] = one.split(";").map((part) => part.trim().toLowerCase());
    return params.some((param) => /^q=0(\.0*)?$/.test(param)) ? [] : [name];
  });
  for (const [name] of ENCODINGS) {
    const form = forms.get(name);
    if (form && names.includes(name)) return [name, form];
  }
  return ["", forms.get("")!];
}
