/**
 * Variables and words, as Docker reads them.
 */
import { describe, expect, test } from "vitest";
import { convert, ops, problems } from "./convert.js";

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
      "(shell /bin/sh -c)",
      "(run(shell :))",
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
    expect(problems(["FROM a", "ENV HOME=/x:$HOME"])).toEqual([
      { line: 2, message: expect.stringMatching(/^\$HOME is set by no ARG or ENV.*image a sets/) },
    ]);
    const imageEnv = (image: string) => (image === "a" ? new Map([["PATH", "/bin"]]) : undefined);
    expect(ops(["ENV PATH=/x:$PATH"], { imageEnv })).toEqual(["(env PATH /x:/bin)"]);
  });

  test("of the image that nobody knows are a guess only if it is PATH, which a step looks at", () => {
    const usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    expect(ops(["ENV PATH=/x:$PATH", "ENV PATH=/y:$PATH"])).toEqual([
      "(shell /bin/sh -c)",
      expect.stringContaining(`(run(shell"[ \\"$PATH\\" = '${usual}' ] || { echo`),
      `(env PATH /x:${usual})`,
      `(env PATH /y:/x:${usual})`,
    ]);
    expect(convert(["FROM golang:1.22", "ENV PATH=/x:$PATH"])).toContain(
      `/x:/go/bin:/usr/local/go/bin:${usual}`,
    );
  });

  test.each([
    ["#*/", "usr/a.b.c"],
    ["##*/", "a.b.c"],
    ["%.*", "/usr/a.b"],
    ["%%.*", "/usr/a"],
    ["%?c", "/usr/a.b"],
    ["/a/x", "/usr/x.b.c"],
    ["//./", "/usr/abc"],
    ["/s*\\./-", "/u-c"],
    ["#x", "/usr/a.b.c"],
  ])("can be edited: %s", (edit, value) => {
    expect(ops(["ENV A=/usr/a.b.c", `ENV B=\${A${edit}}`])[1]).toBe(`(env B ${value})`);
  });

  test.each([`\${A`, `\${A^x}`, "'x", '"x', `\${A:?it is wanted}`])("%s is refused", (value) => {
    expect(problems(["FROM a", "ARG A", `WORKDIR ${value}`])).toHaveLength(1);
  });
});

describe("words", () => {
  test("of one ARG are all looked at before one is set; those before FROM one by one", () => {
    const imageEnv = () => new Map<string, string>();
    expect(ops(["ARG X=1 Y=$X"], { imageEnv })).toEqual(["(env X 1)", '(env Y"")']);
    expect(convert(["ARG X=a Y=$X", "FROM $Y"])).toBe("((from a)\n)");
  });

  test("have the shell's own parameters in them, which are nothing", () => {
    expect(ops([`ENV A=a$1b$@c$$d$\{1}e$#f$-g$*h$!i$?j$0k$12l`])).toEqual(["(env A abcdefghijkl)"]);
    expect(ops(["ENV 1=x", "ENV A=$1"])).toEqual(["(env 1 x)", "(env A x)"]);
  });

  test("have names of letters, not only of ASCII", () => {
    expect(ops(["ENV A=1 Aé=2", `ENV B=$Aé C=$\{A}é D=$A€`]).slice(2)).toEqual([
      "(env B 2)",
      '(env C"1\\195\\169")',
      '(env D"1\\226\\130\\172")',
    ]);
  });

  test("lose an escape character at their end", () => {
    expect(ops(["ENV B=b\\\\", "ENV A='a'\\"])).toEqual(['(env B"b\\\\")', "(env A a)"]);
  });

  test("of a JSON form are what stands before the closing bracket", () => {
    expect(ops(['RUN ["a", "b ]"] # note', 'RUN ["c"']).slice(0, 2)).toEqual([
      "(shell a)",
      '(run(network host)(shell"b ]"))',
    ]);
    expect(ops(['SHELL ["x"] y', "RUN z"])[0]).toBe("(shell x)");
  });

  test("of flags may be quoted", () => {
    expect(ops(['COPY --chown="1:2" a /b', "COPY --from=x\\y a /b"])).toEqual([
      "(user(uid 1)(gid 2))",
      "(copy(src a)(dst /b))",
      "(user(uid 0)(gid 0))",
      "(copy(from(build xy))(src a)(dst /b))",
    ]);
    expect(ops(['RUN --mount=type=cache,\\"id=a,b\\",target=/c x'])[1]).toMatch(
      /cache\("a,b"|cache\(a,b/,
    );
  });
});
