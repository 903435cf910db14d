/*
 * The build context on its way to the engine.
 */

import { PassThrough, Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { deferred } from "../../src/async/index.js";
import { upload } from "../../src/worker/docker/buildkit-session.js";
import { encodeMessage } from "../../src/worker/docker/protobuf.js";

const parts = ["first", "second", "third"].map((text) => Buffer.from(text));

describe("an upload", () => {
  it("is the archive in messages, at the pace at which they are taken", async () => {
    const engine = new PassThrough({ highWaterMark: 1 });
    const sent = upload(Readable.from(parts), engine, new AbortController().signal);
    const received = await buffer(engine);
    await sent;
    expect(received).toEqual(Buffer.concat(parts.map((part) => encodeMessage({ 1: part }))));
  });

  it("ends when it is cancelled, though the engine takes nothing any more", async () => {
    const full = deferred();
    const engine = new Writable({ highWaterMark: 1, write: () => full.resolve() });
    const archive = Readable.from(parts);
    const cancel = new AbortController();
    const sent = upload(archive, engine, cancel.signal);
    await full.promise;
    cancel.abort();
    await expect(sent).rejects.toMatchObject({ name: "AbortError" });
    expect(archive.destroyed).toBe(true);
    expect(engine.writableEnded).toBe(false);
  });

  it("ends when it is cancelled, though nothing more comes from the archive", async () => {
    const archive = new PassThrough();
    const cancel = new AbortController();
    const sent = upload(archive, new PassThrough(), cancel.signal);
    cancel.abort();
    await expect(sent).rejects.toMatchObject({ name: "AbortError" });
    expect(archive.destroyed).toBe(true);
  });
});
