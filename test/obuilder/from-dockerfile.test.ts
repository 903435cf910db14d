import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BuildContext, UNKNOWN_CONTEXT } from "../../src/obuilder/dockerfile/build-context.js";
import {
  type FromDockerfileOptions,
  specFromDockerfile,
} from "../../src/obuilder/dockerfile/convert.js";
import { DockerfileError, type Problem } from "../../src/obuilder/dockerfile/errors.js";
import { dockerfileOf } from "../../src/obuilder/dockerfile/from-spec.js";
import { type ImageSettings, NO_SETTINGS } from "../../src/obuilder/dockerfile/image-settings.js";
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

/** What is said about one stage with these lines, of an image that sets nothing. */
function warnings(lines: string[], options?: FromDockerfileOptions): readonly Problem[] {
  const text = ["FROM a", ...lines].join("\n");
  return specFromDockerfile(text, { imageSettings: () => NO_SETTINGS, ...options }).warnings;
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
    expect(ops(['RUN ["a"]', 'RUN ["b", 1', "RUN [ -f x ]"])).toEqual([
      "(shell)",
      `(run${flags}(shell a))`,
      "(shell /bin/sh -c)",
      `(run${flags}(shell"[\\"b\\", 1"))`,
      `(run${flags}(shell"[ -f x ]"))`,
    ]);
  });

  test.each(['["b", 1]', "[[]] x", '[{"a":"]"}]', "[null]"])(
    "of a list that is not one of words is refused, as by Docker: %s",
    (list) => {
      const line = 2;
      const message = expect.stringMatching(/^a list must have strings/);
      expect(problems(["FROM a", `RUN ${list}`])).toEqual([{ line, message }]);
    },
  );

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
    for (const [word, mark] of [
      ["<<'a b'", "a b"],
      ['<<E"O"F', "EOF"],
      ["<<EOF-1.x/y", "EOF-1.x/y"],
      ["<<1", "1"],
      ["3<<\\$X", "$X"],
      ["<<-'E'F", "EF"],
    ]) {
      expect(ops([`RUN ${word}`, "x", mark!, "RUN y"]).slice(1)).toEqual([
        `(run${flags}(shell x))`,
        `(run${flags}(shell y))`,
      ]);
    }
    for (const text of ["it's <<EOF", "a<<EOF", "echo <<<EOF", "<<''"]) {
      expect(ops([`RUN ${text}`])).toHaveLength(2);
    }
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

test("mounts of a RUN do not hide each other", () => {
  const mounts = "--mount=type=cache,id=i,target=/c/d --mount=type=cache,id=o,target=/c/";
  expect(ops([`RUN ${mounts} --network=none x`])[1]).toBe(
    "(run(cache(o(target /c/))(i(target /c/d)))(shell x))",
  );
  const secret = "--mount=type=secret,id=s,target=/c/../c/s";
  expect(problems(["FROM a", `RUN ${mounts} ${secret} x`])).toEqual([
    {
      line: 2,
      message: expect.stringMatching("secret /c/../c/s would be hidden by the cache /c/,"),
    },
  ]);
  expect(ops([`RUN ${mounts} --mount=type=secret,id=s,target=/cs x`])).toHaveLength(2);
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
    ['["a b", "$X", "/x/"] # not a word', ['(src"a b"value)(dst /x/)']],
    ["--link a /x", ["(src a)(dst /x)"]],
  ])("%s", (text, copies) => {
    const made = ops(["ENV X=value", `COPY ${text}`]).slice(1);
    expect(made).toEqual(copies.map((copy) => `(copy${copy})`));
  });

  test("warns if it matters whether a source is a directory, and that is not known", () => {
    expect(warnings(["COPY src lib file /app/"])).toEqual([
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
    ['"a b" /x', /missing " in "a/],
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

describe("what is known of an image", () => {
  const settings: ImageSettings = {
    user: "1000:1000",
    workdir: "/home/u",
    shell: ["/bin/ash", "-c"],
    onbuild: ["COPY . .", "RUN <<EOF\nmake\nEOF"],
  };

  test("becomes operations, and its ONBUILD the first instructions", () => {
    expect(ops(["RUN x", "USER 0"], { imageSettings: () => settings })).toEqual([
      "(workdir /home/u)",
      "(user(uid 1000)(gid 1000))",
      "(user(uid 0)(gid 0))",
      "(copy(src .)(dst ./))",
      "(user(uid 1000)(gid 1000))",
      "(shell /bin/ash -c)",
      "(run(network host)(shell make))",
      "(run(network host)(shell x))",
      "(user(uid 0)(gid 0))",
    ]);
  });

  test("may be a user whom a spec cannot have, which matters only to a command", () => {
    const imageSettings = () => ({ ...NO_SETTINGS, user: "node" });
    expect(ops(["USER 1:1", "RUN x"], { imageSettings })[0]).toBe("(user(uid 1)(gid 1))");
    expect(problems(["FROM a", "COPY x /x", "RUN x"], { imageSettings })).toEqual([
      {
        line: 3,
        message: expect.stringMatching(/^the image a sets USER node.*write USER UID:GID/),
      },
    ]);
  });

  test("is told to be nothing, once for each image", () => {
    const text = "FROM a AS x\nFROM x\nFROM a\nFROM b";
    expect(specFromDockerfile(text).warnings).toEqual([
      { line: 1, message: expect.stringMatching(/^the image a is not known here/) },
      { line: 4, message: expect.stringMatching(/^the image b is not known here/) },
    ]);
  });

  test("cannot be an ONBUILD that a spec has no counterpart for", () => {
    const imageSettings = () => ({ ...NO_SETTINGS, onbuild: ["ADD x /x"] });
    expect(problems(["FROM a"], { imageSettings })).toEqual([
      { line: 1, message: expect.stringMatching(/^ONBUILD ADD of a: ADD has no counterpart/) },
    ]);
  });
});

test("ONBUILD is for the stages that continue one, and not for theirs", () => {
  const lines = ["FROM a AS b", "ONBUILD RUN x", "RUN y", "FROM b AS c", "RUN z", "FROM c"];
  const commands = (target: string) =>
    [...convert(lines, { target }).matchAll(/shell (\w)\)/g)].map(([, command]) => command);
  expect([commands("b"), commands("c"), commands("2")]).toEqual([
    ["y"],
    ["y", "x", "z"],
    ["y", "x", "z"],
  ]);
  expect(problems(["FROM a", "ONBUILD FROM b"])).toEqual([
    { line: 2, message: "ONBUILD FROM is not allowed" },
  ]);
});

test("what is about running the image is left out, which is said", () => {
  const lines = [
    ...["LABEL a=b", "EXPOSE 80", 'ENTRYPOINT ["x"]', "CMD y", "VOLUME /v", "STOPSIGNAL 9"],
    ...["HEALTHCHECK --interval=1s CMD z", "MAINTAINER me"],
  ];
  expect(ops(lines)).toEqual([]);
  expect(
    warnings(lines).map(({ line, message }) => `${line} ${message.split(" ", 4).join(" ")}`),
  ).toEqual(lines.map((line, i) => `${i + 2} ${line.split(" ")[0]} is left out:`));
});

describe("a file's destination", () => {
  const known: BuildContext = { ...UNKNOWN_CONTEXT, kindOf: () => "file" };
  const copied = (...lines: string[]) => {
    const made = ops([...lines, "COPY f /d/e"], {
      context: known,
      imageSettings: () => NO_SETTINGS,
    });
    return [made.at(-1), warnings([...lines, "COPY f /d/e"], { context: known }).length];
  };

  test.each([
    ["WORKDIR /d/e"],
    ["WORKDIR /d/e/../e/g"],
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
  ])("may be a directory, which is said: %s", (...lines) => {
    expect(copied(...lines)).toEqual(["(copy(src f)(dst /d/e))", 1]);
  });

  test("is a file if it has the file's name, or one that was copied", () => {
    expect(warnings(["COPY f /d/f", "COPY f /g/f", "COPY g /g/f"], { context: known })).toEqual([]);
  });

  test("is the working directory where it is nothing", () => {
    const lines = ["ARG E=", "WORKDIR /w", "COPY f $E", 'COPY ["f", ""]'];
    expect(ops(lines, { context: known }).slice(-2)).toEqual([
      "(copy(src f)(dst ./))",
      "(copy(src f)(dst ./))",
    ]);
  });

  test("is taken for a directory where most images have one, which is said", () => {
    const options = { context: known, imageSettings: () => NO_SETTINGS };
    expect(ops(["COPY f /usr/bin"], options)).toEqual(["(copy(src f)(dst /usr/bin/))"]);
    expect(warnings(["COPY f /usr/bin"], options)).toHaveLength(1);
  });

  test("of what another stage has is a directory's or a file's, as far as is known", () => {
    const from = ["FROM a AS s", "WORKDIR /w/out", "COPY f /w/f", "FROM b", "WORKDIR /d"];
    const options = { context: known, imageSettings: () => NO_SETTINGS };
    const copies = (line: string) => {
      const { spec, warnings } = specFromDockerfile([...from, line].join("\n"), options);
      return [toMachine(sexpOfOp(spec.ops.at(-1)!)), warnings.length];
    };
    expect(copies("COPY --from=s /w/out /d/")).toEqual([
      "(copy(from(build s))(src /w/out)(dst /d))",
      0,
    ]);
    expect(copies("COPY --from=s /w/f /d")).toEqual([
      "(copy(from(build s))(src /w/f)(dst /d/))",
      0,
    ]);
    expect(copies("COPY --from=s /w/x.jar /d")).toEqual([
      "(copy(from(build s))(src /w/x.jar)(dst /d/))",
      1,
    ]);
    expect(copies("COPY --from=s /w/x /d")).toEqual(["(copy(from(build s))(src /w/x)(dst /d))", 1]);
  });
});

test("a WORKDIR of a user's own that may not be there is made for root, which is said", () => {
  expect(warnings(["USER 1:1", "WORKDIR /w"])).toEqual([
    { line: 3, message: expect.stringMatching(/made for root, and not for 1:1/) },
  ]);
  expect(warnings(["WORKDIR /w", "USER 1:1", "WORKDIR /w"])).toEqual([]);
});

describe("a WORKDIR that the next one leaves", () => {
  test.each([
    [["WORKDIR /w/d", "WORKDIR /w"], "/w/d"],
    [["WORKDIR /w", "COPY f/ /x/", "WORKDIR /wx"], "/w"],
    [["WORKDIR /w", "WORKDIR d", "WORKDIR ../e", "RUN :", "WORKDIR /"], "/w/d"],
  ])("is not made if nothing is run in it, which is said: %s", (lines, path) => {
    expect(warnings(lines).map(({ message }) => message)).toEqual([
      expect.stringContaining(`nothing is run in ${path} before, so a spec does not make it`),
    ]);
  });

  test.each([
    ["WORKDIR /w", "RUN :", "WORKDIR /"],
    ["WORKDIR /w", "COPY f/ .", "WORKDIR /"],
    ["WORKDIR /w", "COPY f/ d/", "WORKDIR /"],
    ["WORKDIR /w", "WORKDIR d", "WORKDIR ../d/./e", "RUN :"],
    ["RUN mkdir /w", "WORKDIR /w", "WORKDIR /"],
  ])("is made by a command, a copy, or the next: %s", (...lines) => {
    expect(warnings(lines)).toEqual([]);
  });

  test("cannot be nothing, as a variable's value may be", () => {
    expect(problems(["FROM a", "ARG W=", "WORKDIR $W"])).toEqual([
      { line: 3, message: "WORKDIR needs a path, and this one is empty" },
    ]);
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
      "LABLE a=b",
      "FROM scratch",
      "FROM --platform=plan9/vax y",
      "FROM",
    ]),
  ).toEqual([
    { line: 1, message: "RUN before the first FROM" },
    { line: 8, message: expect.stringMatching(/^ADD has no counterpart; use COPY/) },
    { line: 9, message: "there is no instruction LABLE" },
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
  const text = dockerfileOf(spec, { buildkit: true, escape: "unix" });
  expect(specFromDockerfile(text).spec).toEqual(spec);
});

test("any spec that a Dockerfile can say comes back from one", () => {
  const oddUnit = fc.constantFrom(..."ab1/.,:=-+_ \t'\"`\\$\\{}()[]<>*?&|;#!@~%^é\u00a0😀");
  const word = fc.stringMatching(/^[a-z0-9]{1,3}(\/?[a-z0-9_-][a-z0-9._-]{0,3}){0,3}$/);
  const path = word.map((text) => `/${text}`);
  const value = fc.string({ unit: oddUnit, maxLength: 12 });
  const oddPath = fc
    .string({ unit: oddUnit, minLength: 1, maxLength: 6 })
    .map((text) => `x${text}x`);
  const mount = fc.record({
    id: fc.oneof(
      word,
      oddPath.filter((text) => !text.includes("$")),
    ),
    target: path,
    buildkitOptions: fc.constant([]),
  });
  const user = fc.record({
    uid: fc.bigInt({ min: 0n, max: 9_999_999_999n }),
    gid: fc.bigInt({ min: 0n, max: 9_999_999_999n }),
  });
  const command = fc.string({ unit: fc.oneof(oddUnit, fc.constant("\n")), maxLength: 20 });
  const fromBuild = fc
    .constantFrom("zero", "one")
    .map((name) => ({ from: "build", name }) as const);
  const op: fc.Arbitrary<Op> = fc.oneof(
    fc.record({ op: fc.constant("workdir" as const), path: fc.oneof(path, oddPath) }),
    fc.record({
      op: fc.constant("env" as const),
      key: fc.oneof(
        fc.stringMatching(/^[A-Z_]{1,5}$/),
        oddPath.filter((key) => !key.includes("=")),
      ),
      value,
    }),
    fc.record({
      op: fc.constant("run" as const),
      cache: fc.array(mount, { maxLength: 2 }),
      network: fc.constant(["host"]),
      secrets: fc.array(mount, { maxLength: 2 }),
      // A command that goes on behind a line break becomes one line.
      shell: command.filter(
        (text) => text !== "" && text.trim() === text && !/[&|]\s*\n/.test(text),
      ),
    }),
    fc.record({
      op: fc.constant("copy" as const),
      from: fc.oneof(fc.constant({ from: "context" as const }), fromBuild),
      src: fc.array(
        fc.oneof(
          word,
          oddPath.filter((text) => !/[*?[]|(?:^|\/)\.\.(?:\/|$)/.test(text)),
        ),
        {
          minLength: 1,
          maxLength: 3,
        },
      ),
      dst: fc.oneof(path, oddPath).map((text) => `${text}/`),
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
