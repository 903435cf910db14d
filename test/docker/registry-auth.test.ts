/**
 * The operator's logins: what Docker's configuration says, and helpers that do not behave.
 */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CredentialHelper } from "../../src/docker/credential-helper.js";
import { OperatorLogins } from "../../src/docker/registry-auth.js";
import { withoutFiles } from "../support/without-files.js";

let dir: string;
const { DOCKER_CONFIG, PATH } = process.env;

beforeEach(() => {
  warnings = [];
  dir = mkdtempSync(join(tmpdir(), "ocluster-logins-"));
  process.env.DOCKER_CONFIG = dir;
  process.env.PATH = `${dir}:${PATH}`;
});

afterEach(() => {
  if (DOCKER_CONFIG === undefined) delete process.env.DOCKER_CONFIG;
  else process.env.DOCKER_CONFIG = DOCKER_CONFIG;
  process.env.PATH = PATH;
  rmSync(dir, { recursive: true });
});

let warnings: string[];

function configure(config: unknown): Promise<OperatorLogins> {
  const text = typeof config === "string" ? config : JSON.stringify(config);
  writeFileSync(join(dir, "config.json"), text);
  return OperatorLogins.read((warning) => warnings.push(warning));
}

/** Makes the helper `name`, a shell script; it notes what it was asked for. */
function helper(name: string, script: string): void {
  const file = join(dir, `docker-credential-${name}`);
  writeFileSync(
    file,
    `#!/bin/sh\nread asked; echo "$1 $asked" >> ${dir}/asked-${name}\n${script}\n`,
  );
  chmodSync(file, 0o755);
}

const asked = (name: string) =>
  readFileSync(join(dir, `asked-${name}`), "utf8")
    .trim()
    .split("\n");
const base64 = (text: string) => Buffer.from(text).toString("base64");
const prints = (value: object) => `echo '${JSON.stringify(value)}'`;

describe("the configuration", () => {
  it("may have passwords and tokens", async () => {
    const logins = await configure({
      auths: {
        "https://index.docker.io/v1/": { auth: base64("me:hub") },
        "r.example.org": { auth: base64("me:pass:word") },
        "t.example.org": { auth: base64("me:"), identitytoken: "token" },
        "empty.example.org": {},
      },
    });
    expect([...(await logins.all())]).toEqual([
      ["https://index.docker.io/v1/", { username: "me", password: "hub" }],
      ["r.example.org", { username: "me", password: "pass:word" }],
      ["t.example.org", { username: "me", password: "", identitytoken: "token" }],
    ]);
    expect(await logins.get("nobody.example.org")).toBeUndefined();
    expect(await logins.get("constructor")).toBeUndefined();
  });

  it.each([
    "",
    "{",
    "null",
    "[1]",
    '{"auths": {"a": {"auth": "%%%"}}}',
    '{"auths": null, "credHelpers": null, "credsStore": null}',
    '{"auths": {"a": null, "b": {"auth": 5}}, "credHelpers": {"a": 1}, "credsStore": {}}',
  ])("that is no use is no login: %j", async (text) => {
    const logins = await configure(text);
    expect([...(await logins.all())]).toEqual([]);
    expect(await logins.get("a")).toBeUndefined();
  });

  it("need not be there", async () => {
    expect([
      ...(await (await OperatorLogins.read((warning) => warnings.push(warning))).all()),
    ]).toEqual([]);
  });
});

describe("a helper", () => {
  it("of a registry comes before the helper for all, and that before the file", async () => {
    helper("one", prints({ ServerURL: "a", Username: "from-one", Secret: "1" }));
    helper(
      "all",
      `case "$1 $asked" in
        list*) echo '{"a": "x", "b": "from-all"}';;
        "get b") echo '{"Username": "<token>", "Secret": "2"}';;
        *) echo "credentials not found in native keychain"; exit 1;;
      esac`,
    );
    const logins = await configure({
      auths: {
        a: { auth: base64("file:a") },
        b: { auth: base64("file:b") },
        c: { auth: base64("file:c") },
      },
      credHelpers: { a: "one" },
      credsStore: "all",
    });
    expect(Object.fromEntries(await logins.all())).toEqual({
      a: { username: "from-one", password: "1" },
      b: { username: "", password: "", identitytoken: "2" },
      c: { username: "file", password: "c" },
    });
    expect(asked("one")).toEqual(["get a"]);
    expect(
      asked("all")
        .map((line) => line.trim())
        .sort(),
    ).toEqual(["get b", "get c", "list"]);
  });

  it.each([
    ["fails", "echo 'the vault is closed'; exit 2"],
    ["prints nonsense", "echo nonsense"],
    ["prints something else", "echo '[1, 2]'"],
    ["prints nothing", ":"],
    ["is killed", "kill -9 $$"],
  ])("that %s is as if there were none", async (_how, script) => {
    helper("bad", script);
    const logins = await configure({
      credHelpers: { r: "bad" },
      auths: { r: { auth: base64("u:p") } },
    });
    expect(await logins.get("r")).toEqual({ username: "u", password: "p" });
  });

  it("that is not there is as if there were none", async () => {
    const logins = await configure({ credsStore: "missing" });
    expect([...(await logins.all())]).toEqual([]);
  });

  it("that cannot be started for want of files is as if there were none", async () => {
    const logins = await configure({ credsStore: "any" });
    const answer = withoutFiles(() => new CredentialHelper("any").get("r"));
    await expect(answer).rejects.toThrow(/^docker-credential-any cannot be run: .*EMFILE/);
    expect(await logins.get("r")).toBeUndefined();
  });

  it("tells why it fails, but nothing of what may be a password", async () => {
    helper("closed", "echo 'the vault is closed'; exit 2");
    await expect(new CredentialHelper("closed").get("r")).rejects.toThrow(
      "docker-credential-closed failed with exit status 2: the vault is closed",
    );
    helper("chatty", "echo hunter2");
    await expect(new CredentialHelper("chatty").get("r")).rejects.toThrow(
      /^docker-credential-chatty did not print what it should$/,
    );
  });

  it("that does not answer is ended, with all that it started", async () => {
    helper("slow", `sh -c 'echo $$ > ${dir}/child; exec sleep 1000000' & wait`);
    // The time begins once the child is there, however slow the machine is.
    const answer = new CredentialHelper("slow", 3000).get("r");
    await expect(answer).rejects.toThrow("docker-credential-slow did not answer within 3 s");
    const child = Number(readFileSync(join(dir, "child"), "utf8"));
    while (isRunning(child));
  });

  it("that prints without end is ended", async () => {
    helper("flood", "exec yes");
    await expect(new CredentialHelper("flood").get("r")).rejects.toThrow("printed too much");
  });

  it.each(["../evil", "a/b", "-x", "", "a b", "a;b", "$(x)", "a\nb"])(
    "has no name like %j",
    async (name) => {
      expect(() => new CredentialHelper(name)).toThrow("is no name of a credential helper");
      const logins = await configure({ credsStore: name, credHelpers: { r: name } });
      expect(await logins.get("r")).toBeUndefined();
      expect(existsSync(join(dir, "asked-evil"))).toBe(false);
    },
  );
});

/** Whether there is such a process, and it is not just waiting to be looked at by its parent. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
