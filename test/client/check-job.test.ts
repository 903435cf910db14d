/** What is said of specs and Dockerfiles that cannot be built, before anybody is asked to. */
import { expect, test } from "vitest";
import type { Action } from "../../src/api/index.js";
import { checkJob } from "../../src/client/check-job.js";

const spec = (text: string): Action => ({ kind: "obuilder", spec: text });
const docker = (contents: string): Action => ({
  ...{ kind: "docker", dockerfile: { contents }, buildArgs: [] },
  ...{ squash: false, buildkit: false, includeGit: false },
});

const NOBODY = "No worker was asked. If newer workers know what this client does not: --unchecked.";

test("a typo has its line, and a caret below it", () => {
  expect(() => checkJob(spec('((from busybox)\n (runn (shell "date")))'), "hello.spec")).toThrow(
    / at line 2 of hello\.spec\n {2}2 \| {2}\(runn \(shell "date"\)\)\)\n {7}\^\n/,
  );
});

test.each([
  ["FROM busybox\nRUN date\n", "submit-docker --local-dockerfile=x"],
  ["# a comment\nARG A=1\nFROM busybox\n", "obuilder from-dockerfile x"],
])("a Dockerfile is no spec: %j", (text, advice) => {
  expect(() => checkJob(spec(text), "x")).toThrow(advice);
});

test("a spec is no Dockerfile", () => {
  expect(() => checkJob(docker("((from x))"), "x")).toThrow("submit-obuilder --local-file=x");
});

test.each([
  [
    "FROM x\nRUNN date\n",
    `Unknown instruction "RUNN"\n  at line 2 of D\n  2 | RUNN date\n      ^\n${NOBODY}`,
  ],
  ["RUN date\nFROM x\n", "It begins with RUN: only ARG can be before the first FROM"],
  ["# nothing\n", "There is no instruction in it"],
])("a Dockerfile that nobody would take: %j", (text, message) => {
  expect(() => checkJob(docker(text), "D")).toThrow(message);
});

test.each([
  "from x\nrun date\n",
  "ARG V=1\nFROM x:$V\nRUN a \\\n  b\n",
  "# syntax=example.org/mine\nFROM x\nNEW thing\n",
  "# escape=`\nFROM x\n",
  "FROM x\nRUN <<END\nFOO bar\nEND\nONBUILD RUN date\n",
  "FROM x\nCOPY <<END /y\nno end\n",
])("what somebody may take is let pass: %j", (text) => {
  expect(() => checkJob(docker(text), "D")).not.toThrow();
});

test("a long line is shown around what is wrong, and control characters are made visible", () => {
  const text = `((from x) (run (shell "${"a".repeat(500)}")) (bad\u001b))`;
  const message = (() => {
    try {
      checkJob(spec(text), "f");
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  })();
  const shown = message.split("\n").find((line) => line.startsWith("  1 | "))!;
  expect(shown.length).toBeLessThan(160);
  expect(shown).not.toContain("\u001b");
});
