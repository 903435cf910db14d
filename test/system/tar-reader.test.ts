/** Archives of the system's tar in its formats, and what is no archive. */
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTar } from "../../src/system/index.js";

const LONG = `${"d".repeat(90)}/${"f".repeat(90)}/${"ä".repeat(60)}`;
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-tar-"));
  mkdirSync(join(dir, LONG), { recursive: true });
  writeFileSync(join(dir, LONG, "file"), "long\n");
  writeFileSync(join(dir, "one"), "x".repeat(1000), { mode: 0o640 });
  linkSync(join(dir, "one"), join(dir, "two"));
  symlinkSync("t".repeat(150), join(dir, "three"));
  writeFileSync(Buffer.from(`${dir}/\xff`, "latin1"), "");
  execFileSync("mkfifo", [join(dir, "pipe")]);
});

afterAll(() => rmSync(dir, { recursive: true }));

/** In small parts, as they could come from a socket. */
async function* parts(data: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function read(archive: Buffer, size = 700, withData = true) {
  const entries: Record<string, unknown>[] = [];
  for await (const { data, name, target, ...entry } of readTar(parts(archive, size))) {
    let content = "";
    if (withData) for await (const part of data()) content += part;
    entries.push({ ...entry, name: name.toString("latin1"), target: target.toString(), content });
  }
  return entries;
}

describe("an archive", () => {
  it.each(["gnu", "pax", "ustar"])("in the format %s is read", async (format) => {
    const names = format === "ustar" ? ["one", "two", "pipe"] : ["."];
    const args = ["--sort=name", `--format=${format}`, "--mtime=@1700000000", "-C", dir, "-c"];
    const archive = execFileSync("tar", [...args, ...names], { maxBuffer: 1 << 24 });
    for (const size of [1, 700, 1 << 20]) {
      const entries = await read(archive, size);
      const byName = new Map(
        entries.map((entry) => [String(entry.name).replace(/^\.\//, ""), entry]),
      );
      expect(byName.get("one")).toMatchObject({
        ...{ type: "file", mode: 0o640, size: 1000, mtime: 1_700_000_000 },
        content: "x".repeat(1000),
      });
      expect(byName.get("two")).toMatchObject({
        type: "link",
        target: expect.stringMatching(/one$/),
      });
      expect(byName.get("pipe")).toMatchObject({ type: "other" });
      if (format === "ustar") continue;
      expect(byName.get("three")).toMatchObject({ type: "symlink", target: "t".repeat(150) });
      const long = Buffer.from(`${LONG}/file`).toString("latin1");
      expect(byName.get(long)).toMatchObject({ type: "file", content: "long\n" });
      expect(byName.has("\xff")).toBe(true);
      if (size === 700) expect((await read(archive, size, false)).length).toBe(entries.length);
    }
  });

  it("that is cut short, damaged or none is an error", async () => {
    const archive = execFileSync("tar", ["-C", dir, "-c", "one"]);
    await expect(read(archive.subarray(0, 1000))).rejects.toThrow(/cut short/);
    const damaged = Buffer.from(archive);
    damaged[3]! ^= 1;
    await expect(read(damaged)).rejects.toThrow(/no tar archive, or it is damaged/);
    await expect(read(Buffer.alloc(2048, "no"))).rejects.toThrow();
  });
});
