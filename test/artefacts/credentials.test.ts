/** Credentials, as Amazon's programs have them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { findCredentials } from "../../src/artefacts/index.js";

let dir: string;
let file: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-credentials-"));
  file = join(dir, "credentials");
});

afterEach(() => rmSync(dir, { recursive: true }));

it("are in variables, or else in a file", () => {
  writeFileSync(
    file,
    "# mine\n[default]\naws_access_key_id=a\naws_secret_access_key = b=/+ \n\n[ other ]\r\naws_access_key_id = c\r\n" +
      "AWS_SECRET_ACCESS_KEY = d\r\naws_session_token = e\n",
  );
  const env = { AWS_SHARED_CREDENTIALS_FILE: file };
  expect(findCredentials(env)()).toEqual({ accessKeyId: "a", secretAccessKey: "b=/+" });
  expect(findCredentials({ ...env, AWS_PROFILE: "other" })()).toEqual({
    ...{ accessKeyId: "c", secretAccessKey: "d", sessionToken: "e" },
  });
  const given = { AWS_ACCESS_KEY_ID: "f", AWS_SECRET_ACCESS_KEY: "g", AWS_SESSION_TOKEN: "h" };
  expect(findCredentials({ ...env, ...given })()).toEqual({
    ...{ accessKeyId: "f", secretAccessKey: "g", sessionToken: "h" },
  });
});

it("are read again when the file has changed, and kept while somebody writes it", () => {
  let now = 0;
  const write = (id: string) =>
    writeFileSync(file, `[default]\naws_access_key_id=${id}\naws_secret_access_key=secret\n`);
  write("first");
  const source = findCredentials({ AWS_SHARED_CREDENTIALS_FILE: file }, () => now);
  write("the second");
  expect(source().accessKeyId).toBe("first");
  now += 20_000;
  expect(source().accessKeyId).toBe("the second");
  writeFileSync(file, "[default]\naws_access");
  now += 20_000;
  expect(source().accessKeyId).toBe("the second");
});

it("that are not there are told of, with what to do", () => {
  const env = { AWS_SHARED_CREDENTIALS_FILE: file };
  expect(() => findCredentials(env)).toThrow(/cannot be read .*set AWS_ACCESS_KEY_ID and/);
  expect(() => findCredentials({ AWS_ACCESS_KEY_ID: "x" })).toThrow(
    /AWS_SECRET_ACCESS_KEY is not set/,
  );
  writeFileSync(file, "[else]\n");
  expect(() => findCredentials(env)).toThrow(/no profile \[default\]/);
  expect(() => findCredentials({ ...env, AWS_PROFILE: "else" })).toThrow(/needs aws_access_key_id/);
});
