/** `ocluster-web`: what it says of command lines that are wrong, and what it prints and ends. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectRefusal, transcript, type Usages, words } from "./transcript.js";

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-transcript-"));
  writeFileSync(join(dir, "a.cap"), "capnp://insecure@127.0.0.1:1/AAAA\n");
  writeFileSync(join(dir, "word.cap"), "hello\n");
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

const WEB: Usages = { "": "--connect=FILE [OPTION]…" };

describe.concurrent("a bad command line", () => {
  it.each([
    ["", "required option --connect is missing"],
    ["-c a.cap --tls-cert=x", "Give --tls-cert and --tls-key together."],
    ["-c a.cap --token --link", "Give --link or --token, not both."],
    ["-c a.cap --link", "Say where the program is: --listen=ADDR:PORT or --public-url=URL."],
    [
      "-c a.cap --listen=0.0.0.0:80",
      "Others can reach 0.0.0.0: give --tls-cert and --tls-key, or --insecure if nobody listens on the way.",
    ],
    [
      "-c a.cap --public-url=ftp://x",
      "option '--public-url': invalid value 'ftp://x', expected such as https://cluster.example.org",
    ],
    [
      "-c a.cap --token --token-time=400d",
      "option '--token-time': invalid value '400d', expected a time of at most 366d",
    ],
  ])("%s", async (line, message) => {
    await expectRefusal("ocluster-web", WEB, { args: words(line), command: "", message }, dir);
  });
});

it("a token and a link are printed without a scheduler", async () => {
  const token = await transcript("ocluster-web", words("-c a.cap --token"), dir);
  expect(token).toMatchObject({ code: 0, stderr: "" });
  expect(token.stdout).toMatch(/^ow1\.[\w-]+\.[\w-]{43}\n$/);
  const link = await transcript(
    "ocluster-web",
    words("-c a.cap --link --public-url=https://cluster.example.org"),
    dir,
  );
  expect(link.stdout).toMatch(/^https:\/\/cluster\.example\.org\/#t=ow1\.[\w-]+\.[\w-]{43}\n$/);
});

it("a file that is none, and a scheduler that is not there, are said", async () => {
  const none = await transcript("ocluster-web", words("-c word.cap"), dir);
  expect(none.stderr).toContain('"word.cap" is no usable capability file');
  expect(none.code).not.toBe(0);
  const away = await transcript("ocluster-web", words("-c a.cap"), dir);
  expect(away.stderr).toContain('Cannot use capability file "a.cap"');
  expect(away.stdout).toBe("");
});
