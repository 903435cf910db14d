/**
 * Stages, working directories, and Dockerfiles as a whole.
 */
import { describe, expect, test } from "vitest";
import { readSpec } from "../../../src/obuilder/spec/spec-reader.js";
import { convert, ops, problems, warnings } from "./convert.js";

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
      "         (copy (src app.c) (dst ./.))",
      "         (copy (src Makefile) (dst ./.))",
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

test("what is about running the image is left out, which is said once", () => {
  const lines = [
    ...["LABEL a=b", "EXPOSE 80", 'ENTRYPOINT ["x"]', "CMD y", "STOPSIGNAL 9", "CMD w"],
    ...["HEALTHCHECK --interval=1s CMD z", "MAINTAINER me"],
  ];
  expect(ops(lines)).toEqual([]);
  const names = "LABEL, EXPOSE, ENTRYPOINT, CMD, STOPSIGNAL, HEALTHCHECK and MAINTAINER";
  const message = `${names} are left out: they say how to run the image, and a spec says how to build it`;
  expect(warnings(lines)).toEqual([{ line: 2, message }]);
  expect(warnings(["VOLUME /v"])[0]!.message).toMatch(
    /^VOLUME is left out: it says.*kept, as BuildKit does/,
  );
});

test("a WORKDIR of a user's own that may not be there is made for that user", () => {
  expect(
    ops(["USER 1:1", "WORKDIR /w/x", "USER 0", "WORKDIR /v", "USER 1:1", "WORKDIR /v"]),
  ).toEqual([
    "(user(uid 1)(gid 1))",
    "(user(uid 0)(gid 0))",
    "(shell /bin/sh -c)",
    expect.stringMatching(/^\(run\(shell"for d in \/w \/w\/x; do .*chown 1:1/),
    "(workdir /w/x)",
    "(workdir /v)",
    "(user(uid 1)(gid 1))",
    "(workdir /v)",
    "(user(uid 0)(gid 0))",
    "(run(shell :))",
  ]);
});

describe("a WORKDIR in which nothing is run", () => {
  const steps = (...lines: string[]) => ops(lines).filter((op) => op === "(run(shell :))").length;

  test.each([
    ["WORKDIR /w/d", "WORKDIR /w"],
    ["WORKDIR /w", "COPY f/ /x/", "WORKDIR /wx", "RUN :"],
    ["WORKDIR /w", "WORKDIR d", "WORKDIR ../e", "RUN :", "WORKDIR /"],
    ["WORKDIR /w"],
  ])("is made by a step that does nothing else: %s", (...lines) => {
    expect(steps(...lines)).toBe(1);
  });

  test.each([
    ["WORKDIR /w", "RUN :", "WORKDIR /"],
    ["WORKDIR /w", "COPY f/ .", "WORKDIR /"],
    ["WORKDIR /w", "COPY f/ d/", "WORKDIR /"],
    ["WORKDIR /w", "WORKDIR d", "WORKDIR ../d/./e", "RUN :"],
    ["RUN mkdir /w", "WORKDIR /w", "WORKDIR /"],
  ])("is made by a command, a copy, or the next: %s", (...lines) => {
    expect(steps(...lines)).toBe(0);
  });

  test("cannot be nothing, as a variable's value may be", () => {
    expect(problems(["FROM a", "ARG W=", "WORKDIR $W"])).toEqual([
      { line: 3, message: "WORKDIR needs a path, and this one is empty" },
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
      "ADD http://x y",
      "LABLE a=b",
      "FROM --platform=plan9/vax y",
      "FROM",
    ]),
  ).toEqual([
    { line: 1, message: "RUN before the first FROM" },
    { line: 8, message: expect.stringMatching(/^ADD of http:\/\/x: a spec copies files only/) },
    { line: 9, message: "there is no instruction LABLE" },
    { line: 10, message: expect.stringMatching(/^--platform=plan9\/vax has no counterpart/) },
    { line: 11, message: "FROM needs an image" },
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

describe("a stage that begins with what no step can work in", () => {
  test("is made in a directory of an image that has programs, and copied from there", () => {
    const spec = convert([
      "FROM scratch AS parts",
      "WORKDIR /w",
      "COPY a/ b/",
      "COPY --from=image /x /y/",
      "FROM scratch",
      "COPY --from=parts /w/b/. /c",
      "COPY --from=parts / /",
    ]);
    expect(spec).toBe(
      [
        "((build image",
        "        ((from image)))",
        " (build parts",
        "        ((from busybox)",
        "         (shell /bin/sh -c)",
        '         (run (shell "mkdir -p /scratch/w"))',
        "         (copy (src a/) (dst /scratch/w/b))",
        '         (run (shell "mkdir -p /scratch/y"))',
        "         (copy (from (build image)) (src /x) (dst /scratch/y))))",
        " (from busybox)",
        " (copy (from (build parts)) (src /scratch/w/b) (dst /scratch/c))",
        " (copy (from (build parts))",
        "       (src /scratch)",
        "       (dst /scratch)",
        "       (exclude .from-dockerfile))",
        ")",
      ].join("\n"),
    );
  });

  test("has the files of an image that has no programs", () => {
    expect(convert(["FROM gcr.io/distroless/static", "COPY a/ /b"])).toMatch(
      /\(from busybox\)\n \(copy \(from \(build gcr\.io\/distroless\/static\)\)\s+\(src \/\)\s+\(dst \/scratch\)/,
    );
  });

  test("runs nothing", () => {
    expect(problems(["FROM scratch", "ADD root.tar /", "RUN x"])).toEqual([
      { line: 3, message: expect.stringMatching(/obuilder import-image/) },
    ]);
  });
});
