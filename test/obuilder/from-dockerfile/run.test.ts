/**
 * RUN: commands, here-documents and flags, as operations of a spec.
 */
import { describe, expect, test } from "vitest";
import { convert, ops, problems, warnings } from "./convert.js";

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

  test("runs a script with a #! line from where no layer has it", () => {
    const script = ["RUN <<EOF", "#!/usr/bin/env -S python3 -u", "print('x')", "EOF"];
    expect(ops(script)[1]).toBe(
      `(run${flags}(shell"mkdir -p /dev/pipes\\ncat > /dev/pipes/EOF <<'END'\\n#!/usr/bin/env -S python3 -u\\n` +
        `print('x')\\nEND\\nchmod 755 /dev/pipes/EOF\\nexec /dev/pipes/EOF"))`,
    );
    expect(ops(["USER 1:1", ...script]).at(-1)).toMatch(
      /END\\nexec \/usr\/bin\/env '-S python3 -u' \/dev\/shm\/EOF"/,
    );
  });

  test("has caches that belong to its user, whomever Docker gives them to, which is said", () => {
    const line = "RUN --mount=type=cache,target=c,uid=5,mode=0700 --network=none x";
    expect(ops(["WORKDIR /w", line]).at(-1)).toBe(
      "(run(cache(c(target /w/c)(buildkit_options((mode 0700)))))(shell x))",
    );
    expect(warnings([line]).map(({ message }) => message)).toEqual([
      expect.stringMatching(/belongs to the user who runs the command, and not to 5/),
      expect.stringMatching(/stay in the layer, empty/),
    ]);
  });

  test("is lent what a spec cannot mount: it is put into its place before, and taken away behind", () => {
    const lines = ["WORKDIR /w", "RUN --mount=target=lib,source=src --network=none x"];
    const made = ops(lines);
    expect(made.map((op) => op.slice(0, 40))).toEqual([
      "(workdir /w)",
      "(copy(src src)(dst /.from-dockerfile/1/)",
      "(workdir /)",
      "(shell /bin/sh -c)",
      expect.stringMatching(/^\(run\(shell"set -e/),
      "(workdir /w)",
      "(run(shell x))",
      "(workdir /)",
      expect.stringMatching(/^\(run\(shell"set -e/),
      "(workdir /w)",
    ]);
    expect(made[4]).toMatch(/mv \/\.from-dockerfile\/1\/src \/w\/lib"/);
    expect(made[8]).toMatch(/rm -rf \/w\/lib.*rm -rf \/\.from-dockerfile"/);
  });

  test("is lent files of stages, and empty directories", () => {
    const lines = [
      "FROM a AS s",
      "FROM b",
      "RUN --mount=from=s,target=/all --mount=type=tmpfs,target=/all/t x",
    ];
    const spec = convert(lines);
    expect(spec).toContain("(copy (from (build s))");
    expect(spec).toContain("(src .)");
    expect(spec).toMatch(/mv \/\.from-dockerfile\/1 \/all/);
    expect(spec).toMatch(/mkdir -m 1777 \/all\/t/);
  });

  test.each([
    ["--mount=type=ssh x", /give the key as a secret/],
    ["--mount=type=odd,target=/x x", /type=odd has no counterpart/],
    ["--mount=target=/ x", /mount on \/ has no counterpart/],
    ["--mount=type=cache x", /needs a target/],
    ["--mount=type=cache,target=/x,from=s x", /option from of a cache/],
    ["--mount=type=secret,env=X,id=x x", /option env of a secret/],
    ["--network=foo x", /network=foo/],
    ["--security=insecure x", /--security has no counterpart/],
    ["", /needs a command/],
    ["[]", /needs a command/],
    ["<<EOF\n#!\nEOF", /#! line/],
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
