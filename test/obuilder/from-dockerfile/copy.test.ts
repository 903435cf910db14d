/**
 * COPY: where files and directories go.
 */
import { describe, expect, test } from "vitest";
import {
  type BuildContext,
  UNKNOWN_CONTEXT,
} from "../../../src/obuilder/dockerfile/build-context.js";
import { specFromDockerfile } from "../../../src/obuilder/dockerfile/convert.js";
import { NO_SETTINGS } from "../../../src/obuilder/dockerfile/image-settings.js";
import { toMachine } from "../../../src/obuilder/sexp/printer.js";
import { sexpOfOp } from "../../../src/obuilder/spec/spec-printer.js";
import { convert, ops, problems, warnings } from "./convert.js";

const known: BuildContext = { ...UNKNOWN_CONTEXT, kindOf: () => "file" };

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
    ['["a b", "$X", "/x/"] # not a word', ['(src"a b"value)(dst /x/)']],
    // A path begins at the top of the context, and does not leave it.
    ["/a ../b ./c/../d /x/", ["(src /a b d)(dst /x/)"]],
    ["--link a /x", ["(src a)(dst /x)"]],
  ])("%s", (text, copies) => {
    const kindOf = (path: string) => (/^(?:src|\.|b)\/?$/.test(path) ? "dir" : "file");
    const context: BuildContext = { ...UNKNOWN_CONTEXT, kindOf };
    const made = ops(
      ["ENV X=value", `COPY ${text}`],
      text.includes("../b") ? { context: known } : { context },
    ).slice(1);
    expect(made).toEqual(copies.map((copy) => `(copy${copy})`));
  });

  test("of what may be a file or a directory goes to a destination that is made before, where it does not matter", () => {
    expect(
      ops(["WORKDIR /w", "COPY src lib app/", "COPY file ./", "COPY x /y", "COPY z /"]),
    ).toEqual([
      "(workdir /w)",
      "(shell /bin/sh -c)",
      '(run(shell"mkdir -p /w/app"))',
      "(copy(src src)(dst app))",
      "(copy(src lib)(dst app))",
      "(copy(src file)(dst ./.))",
      "(copy(src x)(dst /y))",
      "(copy(src z)(dst /.))",
    ]);
    expect(ops(["COPY --chown=1:2 src /a/b/"])[1]).toMatch(
      /^\(run\(shell"for d in \/a \/a\/b; do .*chown 1:2/,
    );
  });

  test("of a text writes it, with its variables if its name has no quotes", () => {
    const made = ops([
      "ENV A=1",
      "COPY --chown=3:4 <<x <<'y' /d/",
      "a $A \\$A 'b'",
      "x",
      "a $A",
      "y",
    ]);
    expect(made[2]).toContain("f=/d/x\\ncat > \\\"$f\\\" <<'END'\\na 1 $A 'b'\\nEND\\nchown 3:4");
    expect(made[3]).toContain("f=/d/y\\ncat > \\\"$f\\\" <<'END'\\na $A\\nEND\\n");
    expect(ops(["COPY --chmod=700 <<x /f", "x"])[1]).toBe(
      '(run(shell"set -e; umask 022\\nf=/f; [ ! -d \\"$f\\" ] || f=$f/x\\n: > \\"$f\\"\\nchmod 700 \\"$f\\""))',
    );
  });

  test("with a mode is followed by a command that sets it", () => {
    const options = { context: known };
    expect(ops(["COPY --chmod=4755 a b /x/"], options)[2]).toBe(
      '(run(shell"chmod 4755 /x/a /x/b"))',
    );
    expect(ops(["COPY --chmod=+x a /x"], options)[2]).toBe(
      '(run(shell"f=/x; [ ! -d \\"$f\\" ] || f=$f/a; chmod a+x \\"$f\\""))',
    );
    expect(ops(["COPY --chmod=600 a /x/"]).at(-1)).toMatch(
      /chmod -R 600 \/x\/a; else find \/x -mindepth 1/,
    );
  });

  test("of parents puts a source below its directories", () => {
    const options = { context: known };
    expect(ops(["COPY --parents a/b/c d /x"], options)).toEqual([
      "(copy(src a/b/c)(dst /x/a/b/))",
      "(copy(src d)(dst /x/))",
    ]);
  });

  test("of what a pattern matches in a stage is of what is found at the stage's end", () => {
    const lines = ["FROM a AS s", "RUN x", "FROM s AS t", "RUN y", "FROM b"];
    const spec = convert([...lines, "COPY --from=s /o/*.jar /app/", "COPY --from=s /o/[^a]b /c"]);
    expect(spec).toMatch(/for f in o\/\*\.jar o\/\.\[!\.\]\*\.jar; do/);
    expect(spec).toMatch(/for f in o\/\[!a\]b; do[\s\S]*matches \$# paths and not one file/);
    expect(spec).toContain("(src /.from-dockerfile/1/) (dst /app))");
    expect(spec).toContain("(src /.from-dockerfile/2/c) (dst /c))");
    // Who continues the stage has nothing of that.
    expect(convert([...lines, "COPY --from=s /o/* /", "FROM t"])).not.toContain("for f in");
    const whole = [...lines, "COPY --from=s /o/*.jar /app/", "COPY --from=s / /all"];
    expect(convert(whole)).toMatch(/\(src \/\)\s+\(dst \/all\)\s+\(exclude \.from-dockerfile\)/);
  });

  test("of what a pattern matches in an image is, too", () => {
    const spec = convert(["FROM b", "COPY --from=image /o/* /app/"]);
    expect(spec).toMatch(/\(build image\s+\(\(from image\)\s+\(user[\s\S]*for f in o\/\*/);
  });

  test.each([
    ["*.c /x/", /pattern \*\.c matches is not known here; give the build context/],
    ["--chmod=9 a /x", /--chmod=9 has no counterpart/],
    ["--chown=app a /x", /user app is not known/],
    ["--exclude=x a /x", /--exclude/],
    ["a", /at least one source/],
    ["a b /x", /needs a \/ at the end/],
    ['"a b" /x', /missing " in "a/],
  ])("%j has no counterpart", (text, message) => {
    expect(problems(["FROM a", `COPY ${text}`])).toEqual([
      { line: 2, message: expect.stringMatching(message) },
    ]);
  });
});

describe("a file's destination", () => {
  const copied = (...lines: string[]) => {
    const made = ops([...lines, "COPY f /d/e"], {
      context: known,
      imageSettings: () => NO_SETTINGS,
    });
    return [made.at(-1), warnings([...lines, "COPY f /d/e"], { context: known }).length];
  };

  test.each([
    ["WORKDIR /d/e"],
    ["WORKDIR /d/e/../e/g", "RUN :"],
    ["WORKDIR /d", "WORKDIR e/g", "RUN :", "WORKDIR /"],
    ["COPY f /d/e/"],
    ["COPY f /d/e/f"],
    ["RUN mkdir -p -m 755 /x /d/e"],
    ["RUN mkdir /d && cd /d && mkdir /d/e && touch x"],
    ["RUN rm -rf /d && mkdir -p /d/e"],
    ["WORKDIR /d", "RUN mkdir e"],
  ])("is a directory that is known: %s", (...lines) => {
    expect(copied(...lines)).toEqual(["(copy(src f)(dst /d/e/))", 0]);
  });

  test.each([
    ["RUN mkdir -p /d/e; true"],
    ["RUN mkdir -p $D/e"],
    ["RUN mkdir -p /d/e || true"],
    ["RUN mkdir -p /d/e && rm -r /d/e"],
    ["RUN mkdir -p /d/e && mv /d /x && mkdir /d"],
    ["RUN mkdir -p /d/e && cd /d && rm -r e"],
    ["RUN cd /d && mkdir e"],
    ["RUN echo mkdir -p /d/e"],
    [],
  ])("may be a directory, as the builder will see: %s", (...lines) => {
    expect(copied(...lines)).toEqual(["(copy(src f)(dst /d/e))", 0]);
  });

  test("is the working directory where it is nothing", () => {
    const lines = ["ARG E=", "WORKDIR /w", "COPY f $E", 'COPY ["f", ""]'];
    expect(ops(lines, { context: known }).slice(-2)).toEqual([
      "(copy(src f)(dst ./))",
      "(copy(src f)(dst ./))",
    ]);
  });

  test("of what another stage has is a directory's or a file's, as far as is known", () => {
    const from = ["FROM a AS s", "WORKDIR /w/out", "COPY f /w/f", "FROM b", "WORKDIR /d"];
    const options = { context: known, imageSettings: () => NO_SETTINGS };
    const copies = (line: string) => {
      const { spec } = specFromDockerfile([...from, line].join("\n"), options);
      return toMachine(sexpOfOp(spec.ops.findLast(({ op }) => op === "copy")!));
    };
    expect(copies("COPY --from=s /w/out /d/")).toBe("(copy(from(build s))(src /w/out)(dst /d))");
    expect(copies("COPY --from=s /w/f /d")).toBe("(copy(from(build s))(src /w/f)(dst /d/))");
    expect(copies("COPY --from=s /w/x.jar /d")).toBe("(copy(from(build s))(src /w/x.jar)(dst /d))");
  });
});

describe("ADD", () => {
  const context: BuildContext = {
    ...UNKNOWN_CONTEXT,
    kindOf: () => "file",
    archive: (path) => path.endsWith("z") && "-z",
  };

  test("copies files, and unpacks archives", () => {
    expect(ops(["ADD a /b"], { context })).toEqual(["(copy(src a)(dst /b))"]);
    const [copied, , unpacked] = ops(["WORKDIR /w", "ADD --chown=5:6 x/t.gz ."], { context }).slice(
      1,
    );
    expect(copied).toBe("(copy(src x/t.gz)(dst /.from-dockerfile/))");
    expect(unpacked).toMatch(
      /tar -z -xf \/\.from-dockerfile\/t\.gz -C \/w\\n.*rm -r \/\.from-dockerfile"/,
    );
  });

  test("goes by the name of what is not there yet", () => {
    expect(ops(["ADD a.tar.xz /b"]).at(-1)).toMatch(/tar -J -xf/);
    expect(ops(["ADD a.gz /b"])).toEqual(["(copy(src a.gz)(dst /b))"]);
    expect(warnings(["ADD a.tar /b"])).toHaveLength(1);
  });

  test.each([
    ["https://example.org/x /x", /a layer's id could not tell when they change there; RUN wget/],
    ["--checksum=sha256:0 http://example.org/x /x", /RUN wget/],
    ["--keep-git-dir https://example.org/x.git#main /x", /RUN git clone/],
    ["git@example.org:x/y /x", /RUN git clone/],
  ])("of what is elsewhere is refused, with what can be done: %s", (text, message) => {
    expect(problems(["FROM a", `ADD ${text}`])).toEqual([
      { line: 2, message: expect.stringMatching(message) },
    ]);
  });
});
