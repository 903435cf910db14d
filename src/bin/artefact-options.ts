/**
 * Where a scheduler keeps the files of jobs' results, and how long: how that is written on its
 * command line.
 */
import { described, directory, list, type Parser, ValueError } from "../cli/index.js";
import { UsageError } from "../console/index.js";
import type { ArtefactPlace } from "../scheduler/services/durable-settings.js";
import { readDuration, readSize } from "../text/index.js";

/** What `--artefacts` says; a bucket's store is said by other options. */
type Place =
  | { readonly kind: "dir"; readonly directory: string }
  | { readonly kind: "s3"; readonly bucket: string; readonly prefix: string };

/** `dir:PATH` or `s3://BUCKET/PREFIX`. */
export const artefactPlace: Parser<Place> = described(
  (text) => {
    const [, path] = /^dir:(.+)$/s.exec(text) ?? [];
    if (path !== undefined) return { kind: "dir", directory: directory(path) };
    const [, bucket, rest = ""] = /^s3:\/\/([^/]+)(\/.*)?$/s.exec(text) ?? [];
    if (bucket === undefined) {
      throw new ValueError(`invalid value '${text}', expected dir:PATH or s3://BUCKET/PREFIX`);
    }
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
      throw new ValueError(
        `'${bucket}' is no name of a bucket: 3 to 63 small letters, digits, dots and hyphens`,
      );
    }
    return { kind: "s3", bucket, prefix: prefixOf(rest) };
  },
  { meaning: "dir:PATH, a directory that is made if it does not exist, or s3://BUCKET/PREFIX" },
);

/** Nothing that is written in different ways in a URL. */
function prefixOf(text: string): string {
  const parts = text.split("/").filter((part) => part !== "");
  const odd = parts.find((part) => !/^[\w.-]+$/.test(part) || /^\.\.?$/.test(part));
  if (odd !== undefined || text.length > 500) {
    throw new ValueError(
      `'${odd ?? text}' cannot be part of a prefix: letters, digits, . _ and - can`,
    );
  }
  return parts.join("/");
}

/** `http://HOST:PORT` or `https://…`. */
export const artefactEndpoint: Parser<string> = described(
  (text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    const isPlain = url && url.username === "" && url.search === "" && url.hash === "";
    if (!isPlain || !["http:", "https:"].includes(url.protocol)) {
      throw new ValueError(`invalid value '${text}', expected https://HOST or http://HOST:PORT`);
    }
    return text;
  },
  { meaning: "https://HOST or http://HOST:PORT, as workers and clients find it, too" },
);

interface ArtefactOptions {
  readonly artefacts?: Place;
  readonly artefactsEndpoint?: string;
  readonly artefactsRegion?: string;
}

/** Throws a `UsageError` for options that make no sense together. */
export function artefactSettings(
  { artefacts, artefactsEndpoint, artefactsRegion }: ArtefactOptions,
  env: NodeJS.ProcessEnv = process.env,
): ArtefactPlace | undefined {
  if (artefacts?.kind !== "s3") {
    if (artefactsEndpoint === undefined && artefactsRegion === undefined) return artefacts;
    const flag = artefactsEndpoint === undefined ? "--artefacts-region" : "--artefacts-endpoint";
    throw new UsageError(`${flag} says nothing without --artefacts=s3://BUCKET/PREFIX.`);
  }
  const { bucket, prefix } = artefacts;
  const usual = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL;
  const endpoint = artefactsEndpoint ?? (usual ? artefactEndpoint(usual) : undefined);
  const region = artefactsRegion || env.AWS_REGION || env.AWS_DEFAULT_REGION || "us-east-1";
  return { kind: "s3", place: { bucket, prefix, endpoint, region } };
}

/** What is kept: for so many seconds, and so many bytes together. */
export interface Keeping {
  readonly age?: number;
  readonly size?: number;
}

const limit: Parser<Keeping> = (text) => {
  const age = /^\d+$/.test(text) ? null : readDuration(text);
  if (age !== null) return { age };
  const size = readSize(text, 1);
  if (size === null) throw new ValueError(`invalid value '${text}', expected a time or a size`);
  return { size };
};

/** A time, a size, or both: `7d`, `100G`, `7d,100G`. */
export const keeping: Parser<Keeping> = described(
  (text) => Object.assign({}, ...list(limit)(text)),
  { meaning: "a time, a size (of all together), or both: 7d,100G" },
);
