/**
 * What base images set, and the platform.
 */
import { describe, expect, test } from "vitest";
import { specFromDockerfile } from "../../../src/obuilder/dockerfile/convert.js";
import {
  type ImageSettings,
  NO_SETTINGS,
} from "../../../src/obuilder/dockerfile/image-settings.js";
import { convert, ops, problems } from "./convert.js";

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
      { line: 3, message: expect.stringMatching(/^user node is not known.*--user=node=UID:GID/) },
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
    const imageSettings = () => ({ ...NO_SETTINGS, onbuild: ["ADD http://x /x"] });
    expect(problems(["FROM a"], { imageSettings })).toEqual([
      { line: 1, message: expect.stringMatching(/^ONBUILD ADD of a: ADD of http/) },
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
