/**
 * The program `obuilder` as its users meet it: what it prints where, and how it ends. Real builds,
 * on a base image of the test's own.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { baseKey } from "../../src/obuilder/build/layer-ids.js";
import { Workshop } from "../support/builder.js";
import { busyboxRoot } from "../support/oci-layout.js";
import { type Ended, Program, type ProgramOptions, run, stopAll } from "../support/programs.js";
import { Pty } from "../support/pty.js";

/** Of the image `busybox`: it depends on nothing but the name. */
const BASE = baseKey("busybox").id;

let workshop: Workshop;
let store: string[];
let count = 0;

beforeAll(() => {
  workshop = new Workshop();
  writeFileSync(join(workshop.path("source"), "greeting"), "hello\n");
});

afterEach(stopAll);
afterAll(() => workshop.remove());

/** A store for one test, with options to build in it. */
function newStore(): void {
  store = [
    `--store=overlayfs:${workshop.path(`store-${++count}`)}`,
    `--obuilder-image-dir=${workshop.path("images")}`,
    "--obuilder-fetch=local",
  ];
}

/** The store alone, for commands that only look. */
const justStore = () => store[0]!;

const obuilder = (args: readonly string[], options: ProgramOptions = {}): Promise<Ended> =>
  run("obuilder", args, { cwd: workshop.dir, ...options });

function writeSpec(ops: string, name = "test.spec"): string {
  writeFileSync(workshop.path(name), ops.startsWith("((") ? ops : onBusybox(ops));
  return name;
}

const onBusybox = (ops: string) => `((from busybox) (shell /bin/sh -c) ${ops})`;

const build = (ops: string, ...args: string[]): Promise<Ended> =>
  obuilder(["build", "-f", writeSpec(ops), ...store, ...args, "source"]);

/** The id in the last line. */
const idOf = ({ stdout }: Ended): string => /Got: "([0-9a-f]{64})"\n$/.exec(stdout)![1]!;

const fails = (stdout: string, stderr: string, code = 1) => ({
  stdout,
  stderr,
  code,
  signal: null,
});

describe("build", () => {
  beforeAll(newStore);

  it("prints the log and the id, and says what it found when it is asked again", async () => {
    const ops = '(copy (src greeting) (dst /in)) (run (shell "cat /in; echo oops >&2"))';
    const first = await build(ops);
    const [copy, id] = [...first.stdout.matchAll(/saved as "([0-9a-f]{64})"/g)]
      .map((match) => match[1]!)
      .slice(1);
    const log = (note: (id: string) => string) =>
      [
        "(from busybox)",
        note(BASE),
        "/: (shell /bin/sh -c)",
        "/: (copy (src greeting) (dst /in))",
        note(copy!),
        '/: (run (shell "cat /in; echo oops >&2"))',
        "hello",
        "oops",
        note(id!),
        `Got: "${id}"`,
        "",
      ].join("\n");
    expect(first).toEqual({
      code: 0,
      signal: null,
      stderr: "",
      stdout: log((layer) => `---> saved as "${layer}"`),
    });
    expect((await build(ops)).stdout).toBe(log((layer) => `---> using "${layer}" from cache`));
  });

  it("colours headings and notes where it is asked to, but not what steps print", async () => {
    const { stdout } = await build("(run (shell ls))", "--color=always");
    const lines = stdout.split("\n");
    expect(lines[0]).toBe("\x1b[94m(from busybox)\x1b[0m");
    expect(lines[1]).toMatch(/^\x1b\[33m---> .*\x1b\[0m$/);
    expect(lines).toContain("bin");
  });

  it("has ids in short form on a terminal, but the last, which is its result", async () => {
    const id = idOf(await build("(run (shell ls))"));
    const words = ["build", "-f", workshop.path("test.spec"), ...store, workshop.path("source")];
    const pty = Pty.run(Pty.program("obuilder", words), { columns: 100 });
    const shown = await pty.sees(/Got: .*\r\n/);
    expect(shown).toContain(`---> using "${id.slice(0, 12)}…" from cache`);
    expect(shown).toMatch(new RegExp(`Got: "${id}"\r\n$`));
    expect(await pty.ended).toBe(0);
  });

  it("reads the spec from standard input, and gives steps none of it", async () => {
    const args = ["build", "-f", "-", ...store, "source"];
    const ended = await obuilder(args, { input: onBusybox("(run (shell cat))") });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(ended.stdout).toMatch(/\n\/: \(run \(shell cat\)\)\n---> saved as ".*"\nGot: ".*"\n$/);
  });

  it("mounts secrets", async () => {
    writeFileSync(workshop.path("token"), "hush\n");
    const ops = '(run (secrets (t (target /run/t))) (shell "cat /run/t"))';
    expect((await build(ops, "--secret", "t:token")).stdout).toContain("\nhush\n");
    const without = await build(ops);
    expect(without).toMatchObject({
      code: 1,
      stderr: "Build step failed: Couldn't find value for requested secret 't'\n",
    });
  });

  it("ends with 1 when a step fails, and says why", async () => {
    const ended = await build('(run (shell "echo some output; exit 3"))');
    expect(ended).toMatchObject({
      code: 1,
      stderr:
        'Build step failed: "/bin/sh" "-c" "echo some output; exit 3" failed with exit status 3\n',
    });
    expect(ended.stdout).toMatch(/\nsome output\n$/);
  });

  it("ends with 1 when there is no such image", async () => {
    const ended = await build("((from nowhere))");
    const images = workshop.path("images");
    expect(ended).toEqual(
      fails("(from nowhere)\n", `Build step failed: Image nowhere is not in ${images}\n`),
    );
  });

  it.each([
    [
      "((from busybox)\n (rum (shell x)))",
      "no matching variant found: (Rum(shell x))\n" +
        "  at line 2, column 2 of test.spec\n" +
        "  expected: one of comment, workdir, shell, run, copy, user, env\n",
    ],
    [
      "((run (shell x)))",
      "Invalid spec item: (run (shell x))\n" +
        "  at line 1, column 2 of test.spec\n" +
        "  expected: (build NAME SPEC) or (from IMAGE), before any operation\n",
    ],
    [
      "((from busybox)",
      "Sexplib.Sexp.gen_load_sexp: EOF in test.spec while in state Parsing_list\n" +
        "  at line 1, column 16 of test.spec\n",
    ],
    [
      '((from busybox)\n (env k "\\400"))',
      "escape sequence in quoted string out of range\n  at line 2, column 13 of test.spec\n",
    ],
  ])(
    "says what is wrong with %j on standard output, where people look for it",
    async (spec, said) => {
      expect(await build(spec)).toEqual(fails(said, ""));
    },
  );

  it("cancels the step on Ctrl-C, and leaves nothing of it", async () => {
    const spec = writeSpec('(run (shell "echo started; sleep 31415"))');
    const program = new Program("obuilder", ["build", "-f", spec, ...store, "source"], {
      cwd: workshop.dir,
    });
    await program.sees("stdout", /^started$/m);
    const ended = await program.stop("SIGINT");
    expect(ended).toMatchObject({ code: 1, signal: null, stderr: "Cancelled at user's request\n" });
    expect(commandLines().filter((line) => line.includes("sleep 31415"))).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(workshop.dir);
  });
});

/** Of all processes. */
function commandLines(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return ""; // gone meanwhile
      }
    });
}

describe("looking after a store", () => {
  beforeAll(newStore);

  it("there is nothing to look at before the first build", async () => {
    expect(await obuilder(["du", justStore()])).toEqual(
      fails("", `There is no store ${justStore().slice("--store=".length)} yet\n`, 123),
    );
    const plan = await obuilder([
      "plan",
      "-f",
      writeSpec("(run (shell ls))"),
      justStore(),
      "--obuilder-fetch=local",
      "source",
    ]);
    expect(plan.stdout).toContain(`---> "${BASE}" is to be built\n`);
    expect(plan.stdout).toMatch(/\n---> to be built; its id depends on what is not built yet\n$/);
  });

  it("healthcheck tries a build, and leaves the base image alone behind", async () => {
    expect(await obuilder(["healthcheck", ...store])).toEqual({
      code: 0,
      signal: null,
      stdout: "Healthcheck passed\n",
      stderr: "",
    });
    const { stdout } = await obuilder(["du", justStore()]);
    expect(stdout).toMatch(
      new RegExp(`^LAYER .*\n${BASE} .*\n1 layers?, .*\n.*% of the space is free\n$`),
    );
  });

  it("healthcheck says what is wrong", async () => {
    mkdirSync(workshop.path("no-images"), { recursive: true });
    const options = [justStore().replace(/$/, "-bare"), "--obuilder-fetch=local"];
    const args = ["healthcheck", ...options, `--obuilder-image-dir=${workshop.path("no-images")}`];
    const { stderr, ...ended } = await obuilder(args);
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    const [first, advice, ...rest] = stderr.split("\n");
    expect(first).toBe(`Healthcheck failed: Image busybox is not in ${workshop.path("no-images")}`);
    expect(advice).toMatch(
      /builds on the image busybox.* network.* --obuilder-image-dir=DIR.* --obuilder-fetch=docker/,
    );
    expect(rest).toEqual([""]);
  });

  it("plan tells the ids that a build will have, and which of them are there", async () => {
    const spec = '(run (shell "echo planned"))';
    const plan = () => obuilder(["plan", "-f", writeSpec(spec), justStore(), "source"]);
    await build('(comment "for the image")');
    const before = await plan();
    const id = idOf(await build(spec));
    const said = (base: string, step: string) =>
      [
        "(from busybox)",
        `---> "${BASE}" ${base}`,
        "/: (shell /bin/sh -c)",
        '/: (run (shell "echo planned"))',
        `---> "${id}" ${step}`,
        "",
      ].join("\n");
    const [cached, missing] = ["is in the cache", "is to be built"];
    expect(before).toEqual({ code: 0, signal: null, stderr: "", stdout: said(cached, missing) });
    expect((await plan()).stdout).toBe(said(cached, cached));
    // An image that is in a directory need not be in the store, too.
    const elsewhere = `--store=overlayfs:${workshop.path("elsewhere")}`;
    const args = ["plan", "-f", writeSpec(spec), ...store.slice(1), elsewhere, "source"];
    expect((await obuilder(args)).stdout).toBe(said(missing, missing));
    expect(existsSync(workshop.path("elsewhere"))).toBe(false);
  });

  it("delete removes a layer, after those that were made from it", async () => {
    const parent = idOf(await build('(run (shell "echo parent"))'));
    const child = idOf(await build('(run (shell "echo parent")) (run (shell "echo child"))'));
    expect(await obuilder(["delete", ...store, parent])).toEqual({
      code: 0,
      signal: null,
      stdout: `Removing ${child}\nRemoving ${parent}\n`,
      stderr: "",
    });
    const { stdout } = await obuilder(["du", justStore()]);
    expect(stdout).not.toContain(parent);
    expect(stdout).toContain(BASE);
  });

  it("delete says so when there is no such layer", async () => {
    const id = "0".repeat(64);
    const { code, stdout, stderr } = await obuilder(["delete", ...store, id]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `Removing ${id}\n` });
    expect(stderr).toMatch(
      new RegExp(`^\\S+ \\S+ +obuilder \\[WARNING\\] ID "${id}" not in database!\n$`),
    );
  });

  it.each([
    [["delete", "0".repeat(64)], ""],
    [["clean"], "Removed 0 items\n"],
    [["prune", "--keep=1"], ""],
  ])("%j does not make a store that is not there", async (args, said) => {
    const missing = `overlayfs:${workshop.path("missing/store")}`;
    const { code, stdout, stderr } = await obuilder([...args, `--store=${missing}`]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: said });
    expect(stderr).toMatch(
      new RegExp(`^\\S+ \\S+ +obuilder \\[WARNING\\] There is no store ${missing} yet\n$`),
    );
    expect(existsSync(workshop.path("missing"))).toBe(false);
  });

  it("delete does not take a path for a layer", async () => {
    const ended = await obuilder(["delete", ...store, "../../source"]);
    expect(ended).toMatchObject({ code: 124, stdout: "" });
    expect(ended.stderr).toMatch(
      /^obuilder: argument ID: invalid value '..\/..\/source', expected/,
    );
    expect(readdirSync(workshop.path("source"))).toEqual(["greeting"]);
  });

  it("prune removes the longest unused layers, until few enough are left or enough is free", async () => {
    for (const word of ["one", "two", "three"]) await build(`(run (shell "echo ${word}"))`);
    const { stdout } = await obuilder(["prune", "--keep=2", ...store]);
    expect(stdout).toMatch(
      /^(Removing [0-9a-f]{64}\n)+Removed \d+ items; 2 are left, \d+\.\d% of the space is free\n$/,
    );
    expect((await obuilder(["prune", "--until=0", ...store])).stdout).toMatch(
      /^Removed 0 items; 2 are left, /,
    );
    expect((await obuilder(["prune", "--until=100%", ...store])).stdout).toMatch(
      /\nRemoved 2 items; 0 are left, /,
    );
  });

  it("clean removes all there is", async () => {
    const id = idOf(await build('(run (shell "echo to go"))'));
    expect((await obuilder(["clean", ...store])).stdout).toBe(
      `Removing ${id}\nRemoving ${BASE}\nRemoved 2 items\n`,
    );
    expect((await obuilder(["clean", ...store])).stdout).toBe("Removed 0 items\n");
  });
});

describe("dockerfile", () => {
  const SPEC = '((from a) (env P "x\\"y") (run (cache (c (target /c))) (shell "make &&\n  test")))';

  it.each([
    [[], 'FROM a\nENV P="x\\"y"\nRUN make && \\\n    test\n\n'],
    [
      ["--buildkit"],
      'FROM a\nENV P="x\\"y"\nRUN --mount=type=cache,id=c,target=/c,uid=0 make && \\\n    test\n\n',
    ],
    [["--escape=windows"], '#escape=`\nFROM a\nENV P="x`"y"\nRUN make && `\n    test\n\n'],
    [["--escape", "unix"], 'FROM a\nENV P="x\\"y"\nRUN make && \\\n    test\n\n'],
  ])("%j", async (options, stdout) => {
    const args = ["dockerfile", "-f", writeSpec(SPEC), ...options];
    expect(await obuilder(args)).toEqual({ code: 0, signal: null, stdout, stderr: "" });
  });

  it("knows two ways to escape", async () => {
    const args = ["dockerfile", "-f", writeSpec(SPEC), "--escape=dos"];
    expect(await obuilder(args)).toEqual(
      fails(
        "",
        "obuilder: option '--escape': invalid value 'dos', expected one of unix, windows\n" +
          "Usage: obuilder dockerfile -f=FILE [OPTION]…\n" +
          "Try 'obuilder dockerfile --help' or 'obuilder --help' for more information.\n",
        124,
      ),
    );
  });

  it("says when BuildKit's syntax cannot say it", async () => {
    const spec = writeSpec("((from a) (user (name App)) (run (cache (c (target /c))) (shell x)))");
    const ended = await obuilder(["dockerfile", "--buildkit", "-f", spec]);
    expect(ended).toMatchObject({ code: 123, stdout: "" });
    expect(ended.stderr).toMatch(
      /^The cache "c" is mounted for user App, .* leave --buildkit out /,
    );
  });

  it("reports what is wrong with a spec as build does", async () => {
    const ended = await obuilder(["dockerfile", "-f", writeSpec("((from a) (copy (src x)))")]);
    expect(ended).toMatchObject({ code: 1, stderr: "" });
    expect(ended.stdout).toMatch(/^the following record elements were undefined: dst: /);
  });
});

describe("from-dockerfile", () => {
  /** There is no Docker engine here. */
  const unknownImage = (file: string) =>
    `${file}:1: warning: the image busybox is not known here; if it sets USER, WORKDIR, SHELL or ONBUILD, ` +
    "write these behind FROM, or have the Docker engine pull it first\n";

  it("prints a spec that build takes", async () => {
    newStore();
    writeFileSync(workshop.path("source/Dockerfile"), "FROM busybox\nRUN echo converted\n");
    const { stdout, stderr, code } = await obuilder(["from-dockerfile", "source/Dockerfile"]);
    expect({ stderr, code }).toEqual({ stderr: unknownImage("source/Dockerfile"), code: 0 });
    expect(stdout).toBe(
      '((from busybox)\n (shell /bin/sh -c)\n (run (network host)\n      (shell "echo converted"))\n)\n',
    );
    expect((await build(stdout)).stdout).toContain("\nconverted\n");
  });

  it("looks into the context, and knows the images of a store", async () => {
    newStore();
    await build("(run (shell ls))");
    mkdirSync(workshop.path("context/lib"), { recursive: true });
    writeFileSync(workshop.path("context/lib/x.o"), "");
    writeFileSync(workshop.path("context/.dockerignore"), ".git\n**/*.o\n");
    const lines = ["FROM busybox", "ENV PATH=/opt:$PATH", "COPY lib /lib/", ""];
    const args = ["from-dockerfile", "--context=context", justStore(), "-"];
    expect(await obuilder(args, { input: lines.join("\n") })).toEqual({
      code: 0,
      signal: null,
      stdout:
        "((from busybox)\n (env PATH /opt:/bin:/usr/bin)\n (copy (src lib) (dst /lib) (exclude x.o))\n)\n",
      stderr:
        unknownImage("standard input") +
        "standard input:3: warning: a spec has no patterns; **/*.o (.dockerignore:2) became what it matches now: x.o\n",
    });
  });

  it("takes build arguments, and a stage that is not the last", async () => {
    const args = ["from-dockerfile", "--target=one", "--build-arg=V=2", "-"];
    const input = "ARG V=1\nFROM a:$V AS one\nFROM b\n";
    expect(await obuilder(args, { input })).toMatchObject({
      code: 0,
      stdout: "((from a:2)\n)\n",
    });
  });

  it("knows the users of a store, of a directory of images, and those it is told", async () => {
    newStore();
    await build("(run (shell ls))");
    const input = "FROM busybox\nRUN adduser -D other\nUSER me\nRUN id\n";
    const numbers = async (...args: string[]) => {
      const { stdout, stderr } = await obuilder(["from-dockerfile", ...args, "-"], { input });
      return /\(user \(uid \d+\) \(gid \d+\)\)/.exec(stdout)?.[0] ?? stderr;
    };
    expect(await numbers()).toMatch(/3: user me is not known|4: user me is not known/);
    expect(await numbers("--user=me=5:6")).toBe("(user (uid 5) (gid 6))");
    const known =
      "FROM busybox\nUSER 0:root\nUSER root:root\nCOPY --chown=:root . /x\nENV A=$PATH\n";
    for (const where of [justStore(), `--obuilder-image-dir=${workshop.path("images")}`]) {
      const { stdout } = await obuilder(["from-dockerfile", where, "-"], { input: known });
      expect(stdout).toContain("(env A /bin:/usr/bin)");
    }
  });

  it("names the line of each thing that it cannot say", async () => {
    writeFileSync(
      workshop.path("source/Dockerfile"),
      "FROM busybox\nVOLUMES /v\nADD http://x /x\n",
    );
    expect(await obuilder(["from-dockerfile", "source/Dockerfile"])).toEqual(
      fails(
        "",
        "source/Dockerfile:2: there is no instruction VOLUMES\n" +
          "source/Dockerfile:3: ADD of http://x: a spec copies files only, and a layer's id could not tell when they " +
          "change there; RUN wget or curl, or COPY a file that was fetched before\n",
      ),
    );
  });
});

describe("import-image", () => {
  const images = () => `--obuilder-image-dir=${workshop.path("images")}`;
  const importing = (args: string[]) => obuilder(["import-image", images(), ...args]);
  /** Says what a step on the image sees. */
  const seen = async (image: string) => {
    newStore();
    const spec = `((from ${image}) (shell /bin/sh -c) (run (shell "cat /mark; echo $PATH")))`;
    return (await build(spec)).stdout;
  };

  it("makes an image of a directory, and of an archive in place of it", async () => {
    const root = workshop.path("root");
    busyboxRoot(root);
    writeFileSync(join(root, "mark"), "first\n");
    expect(await importing(["org/made:1", "--env=PATH=/bin", root])).toEqual({
      code: 0,
      signal: null,
      stdout: expect.stringMatching(/^Imported org\/made:1: sha256:[0-9a-f]{64}\n$/),
      stderr: "",
    });
    expect(await seen("org/made:1")).toContain("\nfirst\n/bin\n");
    writeFileSync(join(root, "mark"), "second\n");
    execFileSync("tar", ["-C", root, "-czf", workshop.path("root.tar.gz"), "."]);
    expect((await importing(["org/made:1", "root.tar.gz"])).code).toBe(0);
    expect(await seen("org/made:1")).toContain("\nsecond\n/usr/local/sbin:/usr/local/bin:");
    // Nothing is left of what was in its place.
    expect(readdirSync(workshop.path("images")).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("refuses what is no root, and names that it would not be found by", async () => {
    writeFileSync(workshop.path("text"), "no archive");
    expect(await importing(["x", workshop.path("text")])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/text is no archive of a root file system/),
    });
    expect((await importing(["busybox", workshop.path("root")])).stderr).toMatch(
      /busybox has an image latest, which would hide the new one; remove it, or choose another tag/,
    );
    expect((await importing(["../x", workshop.path("root")])).stderr).toMatch(/Invalid image name/);
  });
});
