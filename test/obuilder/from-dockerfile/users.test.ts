/**
 * USER and --chown: numbers, names, and how names are looked up.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkCommand } from "../../../src/obuilder/dockerfile/accounts.js";
import type { FromDockerfileOptions } from "../../../src/obuilder/dockerfile/convert.js";
import { NO_SETTINGS } from "../../../src/obuilder/dockerfile/image-settings.js";
import { ops, problems, warnings } from "./convert.js";

describe("users", () => {
  test.each([
    ["root", "(user(uid 0)(gid 0))"],
    ["0", "(user(uid 0)(gid 0))"],
    ["1000:100", "(user(uid 1000)(gid 100))"],
  ])("USER %s", (text, op) => {
    expect(ops(["USER 5:5", `USER ${text}`])[1]).toBe(op);
  });

  test.each(["1:2:3", ""])("USER %j is none", (text) => {
    expect(problems(["FROM a", `USER ${text}`])).toHaveLength(1);
  });
});

/** What is tried with names: who the last command is run as, and how many steps look at names. */
function usersOf(
  lines: string[],
  options: FromDockerfileOptions = {},
): [string | undefined, number] {
  const made = ops([...lines, "RUN last"], { imageSettings: () => NO_SETTINGS, ...options });
  const users = made.filter((op) => op.startsWith("(user"));
  return [
    users.at(-1),
    made.filter((op) => op.includes("/etc/passwd") || op.includes("/etc/group")).length,
  ];
}

describe("a user's name", () => {
  const files = {
    passwd:
      "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\nno line\napp:x:7:7::/:/bin/sh\n",
    group: "root:x:0:\napp:x:1001:\nwheel:x:10:app\n",
  };
  const imageAccounts = () => files;

  test.each([
    ["app", "(user(uid 1000)(gid 1001))"],
    ["1000", "(user(uid 1000)(gid 1001))"],
    ["2000", "(user(uid 2000)(gid 0))"],
    ["app:wheel", "(user(uid 1000)(gid 10))"],
    ["5:app", "(user(uid 5)(gid 1001))"],
  ])("of the image is looked up there: USER %s", (user, op) => {
    expect(usersOf([`USER ${user}`], { imageAccounts })).toEqual([op, 0]);
  });

  test("in other groups of the image, too, is in one in a spec, which is said", () => {
    expect(warnings(["USER app", "RUN x"], { imageAccounts })).toEqual([
      { line: 3, message: expect.stringMatching(/^app is in wheel, too/) },
    ]);
  });

  test.each([
    ["useradd -m -u 1005 u", 1005, 1005],
    ["groupadd -g 7 g && useradd -g g --uid=1005 -s /bin/sh u", 1005, 7],
    ["useradd -rms /bin/sh -u 8 -g 9 u", 8, 9],
    ["adduser -D -u 12 u", 12, 12],
    ["addgroup --gid 9 g; adduser --disabled-password --gecos '' --uid 12 --ingroup g u", 12, 9],
    ["groupadd --system u && useradd -r -g u u", 999, 999],
    ["sudo useradd u 2>/dev/null", 1000, 1000],
    ["addgroup -S u && adduser -S u -G u", 100, 101],
    ["adduser -S -D u", 100, 65534],
  ])("that a command makes is what it is told to be, or a guess: %s", (command, uid, gid) => {
    expect(usersOf([`RUN ${command}`, "USER u"])[0]).toBe(`(user(uid ${uid})(gid ${gid}))`);
    expect(usersOf(["ARG N=44", "RUN useradd -u $N u", "USER u"])[0]).toBe(
      "(user(uid 44)(gid 44))",
    );
  });

  test("that is a guess is looked at by a step that fails otherwise", () => {
    expect(usersOf(["RUN useradd u", "USER u"])[1]).toBe(1);
    expect(usersOf(["RUN useradd u", "USER u", "RUN a", "USER root", "USER u"])[1]).toBe(1);
    expect(usersOf(["RUN useradd -u 5 -g 6 u", "USER u"], { imageAccounts })[1]).toBe(0);
    expect(usersOf(["RUN userdel x", "USER app"], { imageAccounts })[1]).toBe(1);
    expect(usersOf(["USER www-data"])).toEqual(["(user(uid 33)(gid 33))", 1]);
  });

  test("is what the caller says it is", () => {
    const users = new Map([["u", { uid: 5n, gid: 6n }]]);
    expect(usersOf(["USER u"], { users })).toEqual(["(user(uid 5)(gid 6))", 0]);
    expect(usersOf(["USER 1:u"], { users })).toEqual(["(user(uid 1)(gid 6))", 0]);
  });

  test("does not matter where nothing is done by that user", () => {
    expect(ops(["USER u", "COPY a /b"])).toEqual(["(copy(src a)(dst /b))"]);
    expect(problems(["FROM a", "USER u", "RUN x"])[0]!.line).toBe(3);
  });

  test("of --chown is looked up in the same way; a number alone is the group's, too", () => {
    const owner = (text: string) => ops([`COPY --chown=${text} a /b`], { imageAccounts })[0];
    expect(owner("app")).toBe("(user(uid 1000)(gid 1001))");
    expect(owner("1000")).toBe("(user(uid 1000)(gid 1000))");
    expect(owner(":wheel")).toBe("(user(uid 0)(gid 10))");
  });
});

test("the step that looks at a guess tells right from wrong", () => {
  const root = mkdtempSync(join(tmpdir(), "accounts-"));
  try {
    writeFileSync(join(root, "passwd"), "root:x:0:0::/:/bin/sh\nu:x:5:6::/:/bin/sh\n");
    writeFileSync(join(root, "group"), "g:x:7:\n");
    const isRight = (text: string, uid: bigint, gid: bigint) => {
      const command = checkCommand(text, { uid, gid }).replaceAll("/etc/", `${root}/`);
      const { status, stderr } = spawnSync("/bin/sh", ["-c", command], { encoding: "utf8" });
      if (status !== 0) expect(stderr).toMatch(/make the spec again with --user=/);
      return status === 0;
    };
    expect([isRight("u", 5n, 6n), isRight("u", 5n, 5n), isRight("x", 5n, 6n)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([isRight("5", 5n, 6n), isRight("5", 5n, 0n), isRight("9", 9n, 0n)]).toEqual([
      true,
      false,
      true,
    ]);
    expect([isRight("u:g", 5n, 7n), isRight("u:g", 4n, 7n), isRight("u:g", 5n, 8n)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([isRight("5:g", 5n, 7n), isRight("u:3", 5n, 3n), isRight("5:x", 5n, 7n)]).toEqual([
      true,
      true,
      false,
    ]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
