/**
 * Dockerfiles that are made to hurt.
 */
import { expect, test } from "vitest";
import { specFromDockerfile } from "../../../src/obuilder/dockerfile/convert.js";
import { DockerfileError } from "../../../src/obuilder/dockerfile/errors.js";
import { problems } from "./convert.js";

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
