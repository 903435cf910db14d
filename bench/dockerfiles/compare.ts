/*
 * Dockerfiles of a corpus that can be built where there is no network: by a Docker engine, and from
 * their specs, on images of busybox that stand for their base images. The trees are compared.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FromDockerfile } from "../../src/obuilder/dockerfile/convert.js";
import { DockerfileError } from "../../src/obuilder/dockerfile/errors.js";
import type { Spec } from "../../src/obuilder/spec/spec.js";
import { BothBuilders } from "../../test/support/both-builders.js";
import { DockerEngine } from "../../test/support/docker-engine.js";
import type { Sample } from "./corpus.js";

export type Verdict =
  | "the same files"
  | "other files, as a warning says"
  | "other files"
  | "built by Docker alone"
  | "not built by Docker"
  | "not converted";

/** Programs that busybox has not, or that want the network. */
const HOPELESS =
  /\b(?:apt|apt-get|apk|yum|dnf|microdnf|pip3?|npm|yarn|pnpm|npx|curl|wget|git|go|cargo|make|cmake|gem|bundle|composer|mvn|gradlew?|dotnet|conda|mamba|zypper|pacman|python3?|uv|docker-php-ext\w*)\b/;

/** Calls `tell` with what became of each sample that is worth a try. */
export async function compareAll(
  corpus: readonly Sample[],
  tell: (sample: Sample, verdict: Verdict, details: readonly string[]) => void,
): Promise<void> {
  const engine = await DockerEngine.start();
  const both = new BothBuilders(engine.socket);
  try {
    both.image({ name: "busybox", env: ["PATH=/bin"] });
    for (const sample of corpus) {
      if (HOPELESS.test(commandsOf(sample))) continue;
      const { verdict, details } = await compare(sample, both);
      tell(sample, verdict, details);
    }
  } finally {
    await both.close();
    await engine.stop();
  }
}

async function compare(
  sample: Sample,
  both: BothBuilders,
): Promise<{ verdict: Verdict; details: readonly string[] }> {
  const empty = mkdtempSync(join(tmpdir(), "obuilder-corpus-"));
  try {
    const context = sample.context ?? empty;
    if (!sample.context) writeFileSync(join(context, "Dockerfile"), sample.text);
    let made: FromDockerfile;
    try {
      for (const image of imagesOf(both.convert(context).spec)) both.alias("busybox", image);
      made = both.convert(context);
    } catch (error) {
      const isRefused = error instanceof DockerfileError;
      return {
        verdict: isRefused ? "not converted" : "not built by Docker",
        details: [`${error}`],
      };
    }
    const byDocker = attempt(() => both.builtByDocker(context));
    if (byDocker instanceof Error) {
      return { verdict: "not built by Docker", details: [byDocker.message.slice(-500)] };
    }
    const here = await both.builtHere(context, made).catch((error: Error) => error);
    if (here instanceof Error) return { verdict: "built by Docker alone", details: [here.message] };
    const missing = byDocker.filter((line) => !here.includes(line));
    const extra = here.filter((line) => !byDocker.includes(line));
    if (missing.length + extra.length === 0) return { verdict: "the same files", details: [] };
    const isSaid = made.warnings.some(({ message }) =>
      /keeps? modes?|has mode|stay in the layer|lose their owners/.test(message),
    );
    return {
      verdict: isSaid ? "other files, as a warning says" : "other files",
      details: [
        ...missing.map((line) => `Docker: ${line}`),
        ...extra.map((line) => `here: ${line}`),
      ],
    };
  } finally {
    rmSync(empty, { recursive: true, force: true });
  }
}

function commandsOf({ text }: Sample): string {
  const lines = text
    .toString("utf8")
    .replace(/\\\r?\n/g, " ")
    .split("\n");
  return lines.filter((line) => /^\s*RUN\s/i.test(line)).join("\n");
}

function imagesOf({ from, children }: Spec): string[] {
  return [from, ...children.flatMap(({ spec }) => imagesOf(spec))];
}

function attempt<T>(action: () => T): T | Error {
  try {
    return action();
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    return new Error(stderr?.toString() || (error as Error).message);
  }
}
