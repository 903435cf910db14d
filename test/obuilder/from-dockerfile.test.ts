import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type FromDockerfileOptions,
  specFromDockerfile,
} from "../../src/obuilder/dockerfile/convert.js";
import { DockerfileError, type Problem } from "../../src/obuilder/dockerfile/errors.js";
import { dockerfileOf } from "../../src/obuilder/dockerfile/from-spec.js";
import { toMachine } from "../../src/obuilder/sexp/printer.js";
import type { Op, Spec } from "../../src/obuilder/spec/spec.js";
import { formatSpec, sexpOfOp } from "../../src/obuilder/spec/spec-printer.js";
import { readSpec } from "../../src/obuilder/spec/spec-reader.js";

function convert(lines: string[], options?: FromDockerfileOptions): string {
  return formatSpec(specFromDockerfile(`${lines.join("\n")}\n`, options).spec);
}

/** The operations that one stage with these lines comes to. */
function ops(lines: string[], options?: FromDockerfileOptions): string[] {
  const { spec } = specFromDockerfile(["FROM a", ...lines].join("\n"), options);
  return spec.ops.map((op) => toMachine(sexpOfOp(op)));
}

function problems(lines: string[], options?: FromDockerfileOptions): readonly Problem[] {
  try {
    specFromDockerfile(lines.join("\n"), options);
  } catch (error) {
    if (error instanceof DockerfileError) return error.problems;
    throw error;
  }
  throw new Error("it was converted");
}

test("a Dockerfile with two stages", () => {
  const spec = convert([
    "# syntax=docker/dockerfile:1",
    "ARG DEBIAN=13",
    "FROM debian:$DEBIAN AS Dev",
    "ENV LANG=C.UTF-8",
    "WORKDIR /src",
    "RUN apt-get update && \\",
    "    # the compiler",
    "    apt-get install -y make",
    "COPY app.c Makefile ./",
    "USER 1000:1000",
    'RUN ["make", "-j2", "all"]',
    "RUN make install",
    "",
    "FROM debian:13",
    "COPY --from=dev /src/app /usr/local/bin/app",
  ]);
  expect(spec).toBe(
    [
      "((build dev",
      "        ((from debian:13)",
      "         (env LANG C.UTF-8)",
      "         (workdir /src)",
      "         (shell /bin/sh -c)",
      "         (run (network host)",
      '              (shell "apt-get update &&     apt-get install -y make"))',
      "         (copy (src app.c Makefile) (dst ./))",
      "         (user (uid 1000) (gid 1000))",
      "         (shell make -j2)",
      "         (run (network host)",
      "              (shell all))",
      "         (shell /bin/sh -c)",
      "         (run (network host)",
      '              (shell "make install"))))',
      " (from debian:13)",
      " (copy (from (build dev)) (src /src/app) (dst /usr/local/bin/app))",
      ")",
    ].join("\n"),
  );
  expect(readSpec(spec).children).toHaveLength(1);
});

describe("RUN", () => {
  const flags = "(network host)";

  test("keeps what the shell is to see", () => {
    expect(ops(["RUN  echo \"$A\"  '$B' `date` \\$C "])).toEqual([
      "(shell /bin/sh -c)",
      String.raw`(run${flags}(shell"echo \"$A\"  '$B' ${"`date`"} \\$C"))`,
    ]);
  });

  test("is continued over comments and empty lines, but not behind two backslashes", () => {
    expect(ops(["RUN a \\", "  # not this", "", "  b \\  ", " c \\\\", "RUN d"]).slice(1)).toEqual([
      `(run${flags}(shell"a   b  c \\\\\\\\"))`,
      `(run${flags}(shell d))`,
    ]);
  });

  test("of words needs no shell; what is not quite a list of words is for the shell", () => {
    expect(ops(['RUN ["a"]', 'RUN ["b", 1]', "RUN [ -f x ]"])).toEqual([
      "(shell)",
      `(run${flags}(shell a))`,
      "(shell /bin/sh -c)",
      `(run${flags}(shell"[\\"b\\", 1]"))`,
      `(run${flags}(shell"[ -f x ]"))`,
    ]);
  });

  test("has mounts and networks that a spec has as well", () => {
    const mounts = "--mount=type=cache,target=/c,sharing=locked --mount=type=secret,id=key,uid=0";
    expect(ops([`RUN ${mounts} --network=none x`])[1]).toBe(
      "(run(cache(/c(target /c)(buildkit_options((sharing locked)))))" +
        "(secrets(key(target /run/secrets/key)))(shell x))",
    );
    expect(ops(["RUN --mount=type=cache,id=i,dst=/c --network=default x"])[1]).toBe(
      `(run(cache(i(target /c)))${flags}(shell x))`,
    );
  });

  test("may bring its script along", () => {
    expect(ops(["RUN <<EOF", "set -e", "", "make $X", "EOF", "RUN next"]).slice(1)).toEqual([
      `(run${flags}(shell"set -e\\n\\nmake $X"))`,
      `(run${flags}(shell next))`,
    ]);
    expect(ops(["RUN cat <<-A - <<'B' > f", "\t1", "\tA", "2", "B"])[1]).toBe(
      `(run${flags}(shell"cat <<-A - <<'B' > f\\n1\\nA\\n2\\nB"))`,
    );
    expect(ops(['RUN echo "a <<EOF"'])[1]).toBe(`(run${flags}(shell"echo \\"a <<EOF\\""))`);
  });

  test.each([
    ["--mount=type=bind,target=/x x", /type=bind has no counterpart/],
    ["--mount=target=/x x", /type=bind/],
    ["--mount=type=cache x", /needs a target/],
    ["--mount=type=cache,target=/x,from=s x", /option from of a cache/],
    ["--mount=type=cache,target=/x,uid=5 x", /another user/],
    ["--mount=type=secret,env=X,id=x x", /option env of a secret/],
    ["--network=foo x", /network=foo/],
    ["--security=insecure x", /--security has no counterpart/],
    ["", /needs a command/],
    ["[]", /needs a command/],
    ["<<EOF\n#!/usr/bin/python\nEOF", /#! line/],
    ["<<EOF\nx", /no line EOF at its end/],
  ])("%j has no counterpart", (text, message) => {
    expect(problems(["FROM a", `RUN ${text}`])).toEqual([
      { line: 2, message: expect.stringMatching(message) },
    ]);
  });
});

describe("COPY", () => {
  test("is root's work unless it says otherwise", () => {
    expect(ops(["USER 1:2", "COPY a /x", "COPY b /y", "COPY --chown=1:2 c /z", "RUN d"])).toEqual([
      "(user(uid 1)(gid 2))",
      "(user(uid 0)(gid 0))",
      "(copy(src a)(dst /x))",
      "(copy(src b)(dst /y))",
      "(user(uid 1)(gid 2))",
      "(copy(src c)(dst /z))",
      "(shell /bin/sh -c)",
      "(run(network host)(shell d))",
    ]);
  });

  test.each([
    // Docker copies a directory's contents, a spec the directory under a name of its own.
    ["src/ /app/", ["(src src/)(dst /app)"]],
    ["src/ /app", ["(src src/)(dst /app)"]],
    ["src/ .", ["(src src/)(dst ./.)"]],
    ["src/ /", ["(src src/)(dst /.)"]],
    ["src /app", ["(src src)(dst /app)"]],
    [". .", ["(src .)(dst ./)"]],
    [". /app", ["(src .)(dst /app)"]],
    ["a b/ c d /app/", ["(src a)(dst /app/)", "(src b/)(dst /app)", "(src c d)(dst /app/)"]],
    ['["a b", "/c d/"]', ['(src"a b")(dst"/c d/")']],
    ['"a b" $X /x/', ['(src"a b"value)(dst /x/)']],
    ["--link a /x", ["(src a)(dst /x)"]],
  ])("%s", (text, copies) => {
    const made = ops(["ENV X=value", `COPY ${text}`]).slice(1);
    expect(made).toEqual(copies.map((copy) => `(copy${copy})`));
  });

  test("warns if it matters whether a source is a directory, and that is not known", () => {
    expect(specFromDockerfile("FROM a\nCOPY src lib file /app/").warnings).toEqual([
      { line: 2, message: expect.stringMatching(/src, lib, file is a directory/) },
    ]);
  });

  test.each([
    ["*.c /x/", /pattern \*\.c has no counterpart/],
    ["--chmod=755 a /x", /--chmod has no counterpart/],
    ["--chown=app a /x", /user app has no counterpart/],
    ["--exclude=x a /x", /--exclude/],
    ["../a /x", /leads out of the source/],
    ["a", /at least one source/],
    ["a b /x", /needs a \/ at the end/],
    ["<<EOF /x\ny\nEOF", /here-document/],
  ])("%j has no counterpart", (text, message) => {
    expect(problems(["FROM a", `COPY ${text}`])).toEqual([
      { line: 2, message: expect.stringMatching(message) },
    ]);
  });
});

describe("variables", () => {
  test("of ENV and ARG are put in where Docker does so", () => {
    expect(
      ops(
        [
          "ARG A=1",
          `ENV B=$A C=\${A}x D='$A' E=\\$A F="a b" G=\${N:-none}`,
          `WORKDIR /$B/\${C:+y}`,
        ],
        {
          imageEnv: () => new Map(),
        },
      ),
    ).toEqual([
      "(env A 1)",
      "(env B 1)",
      "(env C 1x)",
      "(env D $A)",
      "(env E $A)",
      '(env F"a b")',
      "(env G none)",
      "(workdir /1/y)",
    ]);
  });

  test("ENV's old form takes the rest of the line", () => {
    expect(ops(["ENV K a  b=c"])).toEqual(['(env K"a  b=c")']);
  });

  test("ENV sees the values from before its line", () => {
    expect(ops(["ENV A=1", "ENV A=2 B=$A"])).toEqual(["(env A 1)", "(env A 2)", "(env B 1)"]);
  });

  test("ARG takes what is given, and gives way to ENV", () => {
    const buildArgs = new Map([["V", "given"]]);
    expect(ops(["ARG V=default", "ARG W", "ENV X=$V$W", "ARG X=no"], { buildArgs })).toEqual([
      "(env V given)",
      "(env X given)",
    ]);
  });

  test("a global ARG is for FROM, and for stages that ask for it", () => {
    expect(convert(["ARG V=1", "FROM a:$V", "ARG V", "ENV W=$V"])).toBe(
      "((from a:1)\n (env V 1)\n (env W 1)\n)",
    );
    expect(problems(["ARG V=1", "FROM a", "ENV W=$V"])[0]!.message).toMatch(/\$V is set by no ARG/);
  });

  test("of the image are known only if told", () => {
    expect(problems(["FROM a", "ENV PATH=/x:$PATH"])).toEqual([
      { line: 2, message: expect.stringMatching(/^\$PATH is set by no ARG or ENV.*image a sets/) },
    ]);
    const imageEnv = (image: string) => (image === "a" ? new Map([["PATH", "/bin"]]) : undefined);
    expect(ops(["ENV PATH=/x:$PATH"], { imageEnv })).toEqual(["(env PATH /x:/bin)"]);
  });

  test.each([`\${A`, `\${A/x/y}`, "'x", '"x', `\${A:?it is wanted}`])("%s is refused", (value) => {
    expect(problems(["FROM a", "ARG A", `WORKDIR ${value}`])).toHaveLength(1);
  });
});

describe("the platform", () => {
  const platform = { os: "linux", architecture: "arm64" };

  test("is known to FROM, and to stages that ask", () => {
    const lines = [
      "FROM --platform=$BUILDPLATFORM a:$TARGETARCH",
      "ARG TARGETPLATFORM",
      "ENV X=$TARGETPLATFORM",
    ];
    expect(convert(lines, { platform })).toBe(
      "((from a:arm64)\n (env TARGETPLATFORM linux/arm64)\n (env X linux/arm64)\n)",
    );
  });

  test("is this machine's, and no other", () => {
    expect(problems(["FROM --platform=linux/amd64 a"], { platform })).toEqual([
      { line: 1, message: expect.stringMatching(/their machine's own, linux\/arm64$/) },
    ]);
  });
});

describe("stages", () => {
  test("that nobody needs are left out; numbers and images name sources, too", () => {
    expect(
      convert([
        "FROM a",
        "FROM b AS unused",
        "COPY --from=0 x y",
        "FROM c",
        "COPY --from=0 x y",
        "COPY --from=busybox:1 /bin/sh /sh",
      ]),
    ).toBe(
      [
        "((build busybox:1",
        "        ((from busybox:1)))",
        " (build 0",
        "        ((from a)))",
        " (from c)",
        " (copy (from (build 0)) (src x) (dst y))",
        " (copy (from (build busybox:1)) (src /bin/sh) (dst /sh))",
        ")",
      ].join("\n"),
    );
  });

  test("that continue another one begin with its operations", () => {
    const spec = convert(["FROM a AS base", "USER 1:2", "RUN one", "FROM base", "RUN two"]);
    const steps = ["(user (uid 1) (gid 2))", "(shell /bin/sh -c)", "(shell one)", "(shell two)"];
    const found = steps.map((step) => spec.indexOf(step));
    expect(found).toEqual([...found].sort((a, b) => a - b));
    expect(found).not.toContain(-1);
    expect(spec).not.toContain("build");
  });

  test("a target other than the last", () => {
    const lines = ["FROM a AS one", "RUN x", "FROM b AS two"];
    expect(convert(lines, { target: "ONE" })).toMatch(/^\(\(from a\)/);
    expect(problems(lines, { target: "three" })).toEqual([
      { line: 3, message: "there is no stage three" },
    ]);
  });
});

describe("users", () => {
  test.each([
    ["root", "(user(uid 0)(gid 0))"],
    ["0", "(user(uid 0)(gid 0))"],
    ["1000:100", "(user(uid 1000)(gid 100))"],
  ])("USER %s", (text, op) => {
    expect(ops(["USER 5:5", `USER ${text}`])[1]).toBe(op);
  });

  test.each(["app", "1000", "1000:app", "1:2:3", ""])("USER %s needs numbers", (text) => {
    expect(problems(["FROM a", `USER ${text}`])).toHaveLength(1);
  });
});

test("all problems are told at once, each with its line", () => {
  expect(
    problems([
      "RUN too early",
      "FROM a",
      "",
      "# a comment",
      "CMD x",
      "RUN y \\",
      "  z",
      "ADD x y",
      "LABEL a=b",
      "FROM scratch",
      "FROM --platform=plan9/vax y",
      "FROM",
    ]),
  ).toEqual([
    { line: 1, message: "RUN before the first FROM" },
    { line: 5, message: "CMD has no counterpart in a spec" },
    { line: 8, message: expect.stringMatching(/^ADD has no counterpart; use COPY/) },
    { line: 9, message: "LABEL has no counterpart in a spec" },
    { line: 10, message: expect.stringMatching(/^FROM scratch/) },
    { line: 11, message: expect.stringMatching(/^--platform=plan9\/vax has no counterpart/) },
    { line: 12, message: "FROM needs an image" },
  ]);
  expect(problems(["# nothing"])).toEqual([{ line: 1, message: "there is no FROM" }]);
});

test("a backquote as escape character leaves Windows paths alone", () => {
  expect(
    convert(["# escape=`", "FROM w", "WORKDIR C:\\src", "USER App", "RUN dir `", " C:\\"]),
  ).toBe(
    [
      "((from w)",
      ' (workdir "C:\\\\src")',
      " (user (name App))",
      " (shell cmd /S /C)",
      " (run (network host)",
      '      (shell "dir  C:\\\\"))',
      ")",
    ].join("\n"),
  );
});

test("a spec that went through a Dockerfile comes back", () => {
  const spec = readSpec(`
    ((build dev ((from a) (workdir /w) (shell /bin/sh -c) (run (network host) (shell make))))
     (from b) (env K "a \\"q\\" $x \\\\ z") (user (uid 1) (gid 2))
     (copy (from (build dev)) (src f) (dst /g)) (copy (src x y) (dst /z/))
     (shell /bin/sh -c)
     (run (cache (c (target /c))) (network host) (secrets (s (target /s))) (shell "echo $K")))`);
  const text = dockerfileOf(spec, { buildkit: true, escape: "unix" }).replace("$x", "\\$x");
  expect(specFromDockerfile(text).spec).toEqual(spec);
});

test("any spec that a Dockerfile can say comes back from one", () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,3}(\/?[a-z0-9_-][a-z0-9._-]{0,3}){0,3}$/);
  const path = word.map((text) => `/${text}`);
  const value = fc.stringMatching(/^[ -#%-~é]{0,12}$/).map((text) => text.replaceAll("\\", "/"));
  const mount = fc.record({ id: word, target: path, buildkitOptions: fc.constant([]) });
  const user = fc.record({
    uid: fc.bigInt({ min: 0n, max: 9_999_999_999n }),
    gid: fc.bigInt({ min: 0n, max: 9_999_999_999n }),
  });
  // Lines that end or begin with blanks, or are empty, are joined in a Dockerfile.
  const command = fc.stringMatching(/^[a-z"'$&|;()=-][ -~]{0,20}[a-z"'$&|;()=]$/);
  const fromBuild = fc.constantFrom("0", "one").map((name) => ({ from: "build", name }) as const);
  const op: fc.Arbitrary<Op> = fc.oneof(
    fc.record({ op: fc.constant("workdir" as const), path }),
    fc.record({ op: fc.constant("env" as const), key: fc.stringMatching(/^[A-Z_]{1,5}$/), value }),
    fc.record({
      op: fc.constant("run" as const),
      cache: fc.array(mount, { maxLength: 2 }),
      network: fc.constant(["host"]),
      secrets: fc.array(mount, { maxLength: 2 }),
      shell: command.filter((text) => !/^--|<<|\\$/.test(text)),
    }),
    fc.record({
      op: fc.constant("copy" as const),
      from: fc.oneof(fc.constant({ from: "context" as const }), fromBuild),
      src: fc.array(word, { minLength: 1, maxLength: 3 }),
      dst: path.map((text) => `${text}/`),
      exclude: fc.constant([]),
    }),
  );
  const shell: Op = { op: "shell", words: ["/bin/sh", "-c"] };
  const body = (ops: fc.Arbitrary<Op>) =>
    fc
      .tuple(word, user, fc.array(ops, { maxLength: 6 }))
      .filter(([, { uid, gid }]) => uid !== 0n || gid !== 0n)
      .map(([from, user, ops]) => ({ from, ops: [{ op: "user", user } as const, shell, ...ops] }));
  const isInner = (candidate: Op) => candidate.op !== "copy" || candidate.from.from === "context";
  fc.assert(
    fc.property(body(op.filter(isInner)), body(op), ({ from, ops }, rest) => {
      const names = rest.ops.flatMap((each) =>
        each.op === "copy" && each.from.from === "build" ? [each.from.name] : [],
      );
      // A Dockerfile has one name space for images and stages.
      fc.pre(!names.includes(from) && !names.includes(rest.from));
      const children = [...new Set(names)].map((name) => ({
        name,
        spec: { children: [], from, ops },
      }));
      const spec: Spec = { children, ...rest };
      const text = dockerfileOf(spec, { buildkit: true, escape: "unix" });
      const found = specFromDockerfile(text).spec;
      expect(found.children.map(({ spec }) => spec)).toEqual(children.map(({ spec }) => spec));
      expect({ ...found, children: [] }).toEqual({ ...spec, children: [] });
    }),
    { numRuns: 300 },
  );
});

test("hostile Dockerfiles take no time to speak of", () => {
  const many = 200_000;
  for (const text of [" ".repeat(many), "\\\n".repeat(many), `FROM a\nRUN ${"\\ ".repeat(many)}`]) {
    try {
      specFromDockerfile(text);
    } catch (error) {
      expect(error).toBeInstanceOf(DockerfileError);
    }
  }
  expect(problems(["FROM a", `ENV A=${`\${A:-`.repeat(many)}`]).length).toBe(1);
  expect(problems(["FROM a", `COPY ${'"'.repeat(many + 1)} x`]).length).toBe(1);
  for (const text of ['\\"', `"'`, "<<A ", "--a ", '--"\\"', "$" + "{", "<<-'"]) {
    for (const keyword of ["RUN", "COPY", "ENV A=", "FROM"]) {
      try {
        specFromDockerfile(`FROM a\n${keyword} ${text.repeat(many)}`);
      } catch (error) {
        expect(error).toBeInstanceOf(DockerfileError);
      }
    }
  }
});

test("thousands of stages that continue each other do not add up", () => {
  const stages = Array.from({ length: 20_000 }, (_, i) => `FROM s${i} AS s${i + 1}\nRUN ${i}`);
  expect(problems(["FROM a AS s0", ...stages])[0]!.message).toMatch(/repeat more than/);
});

test("variables that double each other do not add up", () => {
  const doubled = Array.from({ length: 40 }, () => "ENV A=$A$A");
  const found = problems(["FROM a", "ENV A=xxxxxxxxxx", ...doubled]);
  expect(found[0]!.message).toMatch(/^what variables stand for adds up to more than/);
  expect(found[0]!.line).toBeGreaterThan(20);
});

test("a file as large as no Dockerfile is refused", () => {
  expect(problems(["#".repeat(5_000_000)])).toEqual([
    { line: 1, message: expect.stringMatching(/longer than/) },
  ]);
});
