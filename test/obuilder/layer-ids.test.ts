import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  afterOp,
  type Context,
  initialContext,
  resolveDestination,
  withImageEnv,
} from "../../src/obuilder/build/context.js";
import { copyManifests } from "../../src/obuilder/build/copy-manifest.js";
import {
  buildHeading,
  finishedNote,
  fromHeading,
  opHeading,
} from "../../src/obuilder/build/headings.js";
import { baseKey, copyKey, type LayerKey, runKey } from "../../src/obuilder/build/layer-ids.js";
import type { CopyOp, Secret, Spec } from "../../src/obuilder/spec/spec.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";
import { buildCases } from "../support/golden.js";
import {
  type BuildCase,
  bytesOf,
  DEFAULT_SHELL,
  pairsOf,
  textOf,
  writeListing,
} from "../support/obuilder-cases.js";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "obuilder-ids-"));
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

/**
 * Goes through a spec as a build does and gathers headings and keys. Of a copy from a build only
 * the id is taken on trust from the data, as there are no roots here to copy from.
 */
class Walk {
  readonly headings: string[] = [];
  readonly keys: (LayerKey | "copied from a build")[] = [];

  constructor(
    private readonly data: BuildCase,
    private readonly source: string,
  ) {}

  async build(spec: Spec): Promise<void> {
    for (const child of spec.children) {
      this.headings.push(buildHeading(child.name));
      await this.build(child.spec);
      this.headings.push(finishedNote(child.name));
    }
    this.headings.push(fromHeading(spec.from));
    let base = this.step(baseKey(spec.from));
    const env = pairsOf(this.data.images?.[spec.from]?.env ?? []);
    let context = withImageEnv(initialContext(this.data.shell ?? DEFAULT_SHELL), env);
    for (const op of spec.ops) {
      this.headings.push(opHeading(context.workdir, op));
      if (op.op === "run") {
        const { network, shell: cmd } = op;
        const secrets = op.secrets.map((secret) => this.secret(secret)).reverse();
        base = this.step(
          runKey({ base, ...context, env: context.env.list, cmd, network, secrets }),
        );
      } else if (op.op === "copy") {
        base = this.step(await this.copyKey(base, context, op));
      }
      context = afterOp(context, op);
    }
  }

  private step(key: LayerKey | "copied from a build"): string {
    this.keys.push(key);
    return key === "copied from a build"
      ? this.data.expected.steps[this.keys.length - 1]!.id
      : key.id;
  }

  private async copyKey(base: string, { workdir, user }: Context, op: CopyOp) {
    if (op.from.from === "build") return "copied from a build";
    const dst = resolveDestination(workdir, op.dst);
    const manifests = await copyManifests({ root: this.source, ...op, dst });
    return copyKey({ base, user, manifests, dst });
  }

  private secret({ id, target }: Secret): { value: Buffer; target: string } {
    const given = this.data.secrets!.find(([name]) => textOf(name) === id)!;
    return { value: bytesOf(given[1]), target };
  }
}

describe("golden cases: headings, hashed texts, ids", () => {
  test.each(buildCases())("$name: $about", async (data) => {
    writeListing(dir, data.source);
    const walk = new Walk(data, dir);
    await walk.build(readSpec(bytesOf(data.spec)));

    const lines = data.expected.log.map(([, text]) => text);
    expect(walk.headings).toEqual(lines.filter((text) => !text.startsWith("---> ")));
    const wanted = data.expected.steps.map(({ id, hashed }) => ({ id, hashed: textOf(hashed) }));
    expect(walk.keys.length).toBe(wanted.length);
    walk.keys.forEach((key, i) => {
      if (key !== "copied from a build") expect(key).toEqual(wanted[i]);
    });
  });
});

describe("work directories", () => {
  const after = (workdir: string, path: string) =>
    afterOp({ ...initialContext([]), workdir }, { op: "workdir", path }).workdir;

  test.each([
    ["/", "src", "/src"],
    ["/a", "b", "/a/b"],
    ["/a/", "b", "/a/b"],
    ["/a", "/b", "/b"],
    ["/a", "", "/a/"],
    ["/a", "../b/./c//", "/a/../b/./c//"],
    ["/a", "C:/x", "C:/x"],
    ["/a", "z:\\x", "z:\\x"],
    ["/a", "C:x", "/a/C:x"],
    ["/a", "CC:/x", "/a/CC:/x"],
    ["/a", "é:/x", "/a/é:/x"],
    ["C:/x", "y", "C:/x/y"],
  ])("%j, then %j, is %j", (workdir, path, expected) => {
    expect(after(workdir, path)).toBe(expected);
  });

  test("for a destination, a Windows path is a relative one", () => {
    expect(resolveDestination("/a", "C:/x")).toBe("/a/C:/x");
    expect(resolveDestination("/a", "/x/")).toBe("/x/");
    expect(resolveDestination("/a", "")).toBe("/a/");
  });
});

test("setting a variable removes the first one of that name, and comes to the front", () => {
  const context = withImageEnv(initialContext([]), [
    ["A", "1"],
    ["B", "2"],
    ["A", "3"],
  ]);
  const set = afterOp(context, { op: "env", key: "A", value: "4" });
  expect(set.env.list).toEqual([
    ["A", "4"],
    ["B", "2"],
    ["A", "3"],
  ]);
});
