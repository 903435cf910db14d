/*
 * Texts that no runtime takes as they are: each is refused in words, by every runtime alike, and
 * nothing has run.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Builder, readSpec } from "../../src/obuilder/index.js";
import { TextLog, Workshop } from "../support/builder.js";

let workshop: Workshop;

beforeAll(() => {
  workshop = new Workshop();
});

afterAll(() => workshop.remove());

describe.each(["crun", "runc"] as const)("%s", (runtime) => {
  let builder: Builder;

  beforeAll(async () => {
    const choice = runtime === "crun" ? "auto" : runtime;
    const store = `overlayfs:${workshop.path(runtime)}`;
    builder = await workshop.open({ store, runtime: choice });
  });

  afterAll(() => builder.close());

  /** Builds operations that may have bytes of any kind, written as `\xNN` is in JavaScript. */
  async function build(ops: string): Promise<string> {
    const log = new TextLog();
    const text = Buffer.from(`((from busybox) (shell /bin/sh -c) ${ops})`, "latin1");
    const secrets = [["s", Buffer.from("value")]] as const;
    const request = { spec: readSpec(text), sourceDir: workshop.path("source"), log, secrets };
    await builder.build(request);
    return log.text;
  }

  it.each([
    [
      "a command with other bytes",
      '(run (shell "echo caf\xe9"))',
      "command is no UTF-8, at byte 8",
    ],
    ["one cut short", '(run (shell "echo \xc3"))', "command is no UTF-8, at byte 5"],
    ["a command with a NUL", '(run (shell "echo a\\000; false"))', "command has a NUL, at byte 6"],
    ["a shell", '(shell "/bin/s\xe9") (run (shell true))', "command is no UTF-8, at byte 6"],
    ["a value", '(env K "v\xe9") (run (shell true))', 'variable "K" is no UTF-8, at byte 1'],
    ["a value cut", '(env K "v\\000w") (run (shell true))', 'variable "K" has a NUL, at byte 1'],
    ["a variable", '(env "\xe9" v) (run (shell true))', "name of a variable is no UTF-8"],
    ["a variable cut", '(env "K\\000" v) (run (shell true))', "name of a variable has a NUL"],
    ["no name", '(env "" v) (run (shell true))', "has a variable without a name"],
    ["a directory", '(workdir "/\xe9") (run (shell true))', "working directory is no UTF-8"],
    ["a directory cut", '(workdir "/a\\000b") (run (shell true))', "working directory has a NUL"],
    [
      "a cache's target",
      '(run (cache (c (target "/\xe9"))) (shell true))',
      "target of a cache is no UTF-8",
    ],
    [
      "a cache's target cut",
      '(run (cache (c (target "/c\\000/d"))) (shell true))',
      "target of a cache has a NUL",
    ],
    [
      "a secret's target",
      '(run (secrets (s (target "/\xe9"))) (shell true))',
      "target of a secret is no UTF-8",
    ],
    [
      "a secret's target cut",
      '(run (secrets (s (target "/s\\000/d"))) (shell true))',
      "target of a secret has a NUL",
    ],
    ["a source cut", '(copy (src "f\\000x") (dst /f))', "source of a copy has a NUL, at byte 1"],
    ["a destination cut", '(copy (src .) (dst "/d\\000/x"))', "destination of a copy has a NUL"],
    ["a name left out", '(copy (src .) (dst /d) (exclude "a\\000"))', "from a copy has a NUL"],
    ["a user", '(user (name "\xe9")) (run (shell true))', 'Windows user "\\233"'],
    ["a network", '(run (network "h\\000") (shell true))', "Unsupported network"],
  ])("%s", async (_, ops, message) => {
    await expect(build(ops)).rejects.toMatchObject({
      name: "BuildError",
      message: expect.stringContaining(message),
    });
  });

  it("text of any language is as good as it ever was", async () => {
    const utf8 = Buffer.from("größer 🐫").toString("latin1");
    const ops = `(env K "${utf8}") (workdir "/${utf8}") (run (cache (${runtime} (target "/c/${utf8}")))
      (shell "echo $K ${utf8}; pwd; cd /c; echo *; printf '\\\\351' | wc -c"))`;
    expect(await build(ops)).toBe("größer 🐫 größer 🐫\n/größer 🐫\ngrößer 🐫\n1\n");
  });
});
