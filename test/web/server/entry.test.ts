/**
 * Coming in: links that open once, links to one thing that end, sessions and tokens; and pages of
 * other sites, which do not come in.
 */
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readCapFile, SturdyRef, writeCapFile } from "../../../src/rpc/index.js";
import { addressOf } from "../../../src/web/server/address.js";
import { EndedSessions } from "../../../src/web/server/ended-sessions.js";
import { WEB_LIMITS } from "../../../src/web/server/limits.js";
import { Secrets } from "../../../src/web/server/secrets.js";
import { Sessions } from "../../../src/web/server/sessions.js";
import { freePort } from "../../support/programs.js";
import { House, type Visitor } from "./house.js";

const house = House.forEachTest();

const code = ({ body, status }: { body: { error: { code: string } }; status: number }) => [
  status,
  body.error.code,
];

describe("a link", () => {
  it("opens once, and what it opens is in a cookie that scripts and other sites do not get", async () => {
    const admin = await (await house.open()).web("admin");
    expect(code(await admin.get("/api/v1/session"))).toEqual([401, "no_session"]);
    const entered = await admin.signIn();
    expect(entered).toMatchObject({
      status: 200,
      body: {
        ...{ role: "admin", client: null, scope: { kind: "all" } },
        can: { cancel: true, retry: true, workers: true, share: true },
        scheduler: { state: "up", message: null },
      },
    });
    const cookie = entered.headers.get("set-cookie")!;
    expect(cookie).toMatch(
      /^ocluster-\d+=ow1\.\S+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/,
    );
    expect((await admin.get("/api/v1/session")).body.role).toBe("admin");
    expect(code(await admin.stranger().signIn())).toEqual([401, "link_used"]);
    // Who has been in leaves, and the cookie is nothing any more, wherever it is kept.
    const { cookie: kept } = admin;
    const left = await admin.ask("DELETE", "/api/v1/session", {
      headers: { "X-OCluster-Web": "1" },
    });
    expect(left.status).toBe(204);
    admin.cookie = kept;
    expect(code(await admin.get("/api/v1/session"))).toEqual([401, "no_session"]);
  });

  it("to one job shows that job alone, changes nothing, and ends", async () => {
    const opened = await house.open();
    const alice = await opened.client("alice");
    const [one, two] = [await alice.submitDurable("one"), await alice.submitDurable("two")];
    const owner = await opened.web("alice");
    await owner.signIn();
    expect(code(await owner.post("/api/v1/links", { job: 99 }))).toEqual([404, "not_found"]);
    expect(code(await owner.post("/api/v1/links", { job: one, expires: "91d" }))).toEqual([
      400,
      "bad_request",
    ]);
    const { body: link } = await owner.post("/api/v1/links", { job: one, expires: "12h" });
    expect(link.url).toBe(owner.url + link.path);
    expect(link.path).toMatch(new RegExp(`^/jobs/${one}#t=ow1\\.`));
    expect(Date.parse(link.expires) - Date.now()).toBeLessThanOrEqual(12 * 3_600_000);
    const secret = link.path.split("#t=")[1];
    for (const friend of [owner.stranger(), owner.stranger()]) {
      const { body } = await friend.signIn(secret);
      expect(body.scope).toEqual({ kind: "job", job: one });
      expect(body.can).toEqual({ cancel: false, retry: false, workers: false, share: false });
      expect((await friend.get(`/api/v1/jobs/${one}`)).body.id).toBe(one);
      expect((await friend.get(`/api/v1/jobs/${one}/log`)).status).toBe(200);
      const paths = [`jobs/${two}`, `jobs/${two}/log`, "jobs", "pools", "batches", "batches/1"];
      for (const path of [...paths, "usage", "operations", "pools/pool"]) {
        expect(code(await friend.get(`/api/v1/${path}`)), path).toEqual([403, "not_in_scope"]);
      }
      const changes = [`jobs/${one}/cancel`, `jobs/${one}/retry`, "links"];
      for (const path of changes) {
        expect(code(await friend.post(`/api/v1/${path}`)), path).toEqual([403, "not_in_scope"]);
      }
    }
    expect((await alice.record(one)).state).toBe("queued");
    // Who sees all goes on to see all.
    await owner.signIn(secret);
    expect((await owner.get(`/api/v1/jobs/${two}`)).status).toBe(200);
  });

  it("that has expired says so, and whom to ask", async () => {
    const opened = await house.open();
    const admin = await opened.web("admin");
    const secrets = new Secrets(readCapFile(admin.capFile));
    const now = Date.now() / 1000;
    const ended = secrets.make("link", { kind: "job", job: 1 }, 10, now - 11).text;
    expect(await admin.signIn(ended)).toMatchObject({
      status: 401,
      body: {
        error: { code: "link_expired", message: expect.stringContaining("whoever gave it") },
      },
    });
    const late = secrets.make("once", { kind: "all" }, 10, now - 11).text;
    expect((await admin.signIn(late)).body.error).toMatchObject({
      code: "link_expired",
      message: expect.stringContaining("ocluster-web -c FILE --link"),
    });
    admin.cookie = `ocluster-${new URL(admin.url).port}=${secrets.make("session", { kind: "all" }, 1, now - 2).text}`;
    expect(code(await admin.get("/api/v1/pools"))).toEqual([401, "no_session"]);
  });

  it("that another process has made opens, and one from before this process began does not", async () => {
    const opened = await house.open();
    const admin = await opened.web("admin");
    const secrets = new Secrets(readCapFile(admin.capFile));
    const before = secrets.make("once", { kind: "all" }, 3600, Date.now() / 1000 - 600).text;
    expect(code(await admin.signIn(before))).toEqual([401, "link_used"]);
    expect((await admin.signIn(secrets.make("once", { kind: "all" }, 3600).text)).status).toBe(200);
  });
});

describe("a token", () => {
  it("lets scripts in, without cookie and guard", async () => {
    const opened = await house.open();
    const alice = await opened.client("alice");
    const job = await alice.submitDurable("one");
    const web = await opened.web("alice");
    const secrets = new Secrets(readCapFile(web.capFile));
    const token = secrets.make("token", { kind: "all" }, 60).text;
    const bearer = { Authorization: `Bearer ${token}` };
    expect((await web.get("/api/v1/session", bearer)).body).toMatchObject({
      ...{ role: "client", client: "alice" },
    });
    const headers = { ...bearer, "Content-Type": "application/json" };
    const cancelled = await web.ask("POST", `/api/v1/jobs/${job}/cancel`, { headers, body: "{}" });
    expect(cancelled).toMatchObject({ status: 200, body: { id: job, state: "cancelled" } });
    // Each kind of secret is good for what it is made for.
    web.cookie = `ocluster-${new URL(web.url).port}=${token}`;
    expect((await web.get("/api/v1/session")).status).toBe(401);
    expect((await web.signIn(token)).status).toBe(401);
    const session = secrets.make("session", { kind: "all" }, 60).text;
    expect((await web.get("/api/v1/session", { Authorization: `Bearer ${session}` })).status).toBe(
      401,
    );
  });

  it("of another file, or changed anywhere, is none", async () => {
    const opened = await house.open();
    await opened.client("alice");
    await opened.client("bob");
    const web = await opened.web("alice");
    const ofAlice = new Secrets(readCapFile(opened.cap("alice")));
    const ofBob = new Secrets(readCapFile(opened.cap("bob")));
    const text = ofBob.make("token", { kind: "all" }, 60).text;
    expect(ofAlice.read(text)).toBeNull();
    const own = ofAlice.make("token", { kind: "job", job: 1 }, 60).text;
    const [head, payload, mac] = own.split(".");
    const forged = Buffer.from(payload!, "base64url").toString().replace('"job"', '"all"');
    const wrong = [
      `${head}.${Buffer.from(forged).toString("base64url")}.${mac}`,
      `${head}.${payload}.${mac!.slice(0, -2)}`,
      `${head}.${payload}.`,
      `${head}.${payload}`,
      `ow2.${payload}.${mac}`,
      `${own}.x`,
      "",
      "x".repeat(5000),
    ];
    for (const one of wrong) expect(ofAlice.read(one), one).toBeNull();
    expect(ofAlice.read(own)).toMatchObject({ kind: "token", scope: { kind: "job", job: 1 } });
    expect(code(await web.get("/api/v1/pools", { Authorization: `Bearer ${text}` }))).toEqual([
      401,
      "bad_secret",
    ]);
  });

  it("may be wrong so often, and then has to wait", async () => {
    const web = await (await house.open()).web("admin");
    const bearer = { Authorization: "Bearer wrong" };
    let wrong = 0;
    let refused = await web.get("/api/v1/pools", bearer);
    while (refused.status === 401) {
      wrong++;
      refused = await web.get("/api/v1/pools", bearer);
    }
    expect(wrong).toBeGreaterThanOrEqual(WEB_LIMITS.wrongSecrets);
    expect(code(refused)).toEqual([429, "too_many"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(code(await web.signIn("wrong"))).toEqual([429, "too_many"]);
    // Who has a right one is let in: others may come from the same address.
    const token = new Secrets(readCapFile(web.capFile)).make("token", { kind: "all" }, 60).text;
    const right = { Authorization: `Bearer ${token}` };
    expect((await web.get("/api/v1/pools", right)).status).toBe(200);
    expect((await web.signIn()).status).toBe(200);
  });

  it("counts for the visitor whom a proxy on this machine asks for, not for the proxy", async () => {
    const port = await freePort();
    const publicUrl = new URL(`http://127.0.0.1:${port}`);
    const opened = await house.open();
    const web = await opened.web("admin", { publicUrl, listen: { host: "127.0.0.1", port } });
    const wrong = async (forwarded: string) => {
      const headers = { Authorization: "Bearer wrong", "X-Forwarded-For": forwarded };
      return (await web.get("/api/v1/pools", headers)).status;
    };
    // What the visitor has sent stands before what the proxy adds.
    let sent = 0;
    while ((await wrong(`198.51.100.${sent % 250}, 203.0.113.7`)) === 401) sent++;
    expect(sent).toBeGreaterThanOrEqual(WEB_LIMITS.wrongSecrets);
    expect(await wrong("203.0.113.8")).toBe(401);
    expect(await wrong("2001:db8::1")).toBe(401);
  });

  it("is believed of no proxy that there is not to be", async () => {
    const web = await (await house.open()).web("admin");
    const statuses = new Set<number>();
    for (let sent = 0; sent < 2 * WEB_LIMITS.wrongSecrets; sent++) {
      const headers = { Authorization: "Bearer wrong", "X-Forwarded-For": `203.0.113.${sent}` };
      statuses.add((await web.get("/api/v1/pools", headers)).status);
    }
    expect([...statuses]).toEqual([401, 429]);
  });
});

describe("where a request comes from", () => {
  const from = (remoteAddress: string, forwarded: string | undefined, hasProxy = true) =>
    addressOf(
      { headers: { "x-forwarded-for": forwarded }, socket: { remoteAddress } } as never,
      hasProxy,
    );

  it("is what the proxy of this machine says last, if it is an address", () => {
    expect(from("127.0.0.1", "203.0.113.7")).toBe("203.0.113.7");
    expect(from("::1", "198.51.100.1,203.0.113.7")).toBe("203.0.113.7");
    expect(from("::ffff:127.0.0.1", "203.0.113.7")).toBe("203.0.113.7");
    expect(from("127.0.0.1", "203.0.113.7, <script>")).toBe("127.0.0.1");
    expect(from("127.0.0.1", undefined)).toBe("127.0.0.1");
  });

  it("is the peer's address, if that is not on this machine, or there is to be no proxy", () => {
    expect(from("192.0.2.1", "203.0.113.7")).toBe("192.0.2.1");
    expect(from("::ffff:192.0.2.1", "203.0.113.7")).toBe("::ffff:192.0.2.1");
    expect(from("127.0.0.1", "203.0.113.7", false)).toBe("127.0.0.1");
  });
});

describe("a capability file that is replaced", () => {
  it("ends sessions, streams, links and tokens of the old one, and the new one is in use", async () => {
    const opened = await house.open();
    const [alice, bob] = [await opened.client("alice"), await opened.client("bob")];
    const [hers, his] = [await alice.submitDurable("one"), await bob.submitDurable("two")];
    const web = await opened.web("alice", { lookMs: 20 });
    await web.signIn();
    const { body: link } = await web.post("/api/v1/links", { job: hers });
    const stream = await fetch(`${web.url}/api/v1/events`, web.init("GET", {}));
    const old = new Secrets(readCapFile(web.capFile)).make("token", { kind: "all" }, 60).text;

    writeFileSync(`${web.capFile}.new`, readFileSync(opened.cap("bob")), { mode: 0o600 });
    renameSync(`${web.capFile}.new`, web.capFile);
    // The stream ends, and says why; so it is known that the file was looked at.
    expect(await stream.text()).toMatch(/event: session\ndata: \{"state":"ended"\}\n\n$/);
    expect(code(await web.get(`/api/v1/jobs/${hers}`))).toEqual([401, "no_session"]);
    expect(code(await web.get("/api/v1/jobs", { Authorization: `Bearer ${old}` }))).toEqual([
      401,
      "bad_secret",
    ]);
    expect(code(await web.stranger().signIn(link.path.split("#t=")[1]))).toEqual([
      401,
      "bad_secret",
    ]);

    const fresh = new Secrets(readCapFile(web.capFile));
    await web.signIn(fresh.make("once", { kind: "all" }, 60).text);
    const jobs = () => web.get("/api/v1/jobs");
    await expect.poll(async () => (await jobs()).status, { timeout: 30_000 }).toBe(200);
    expect((await web.get("/api/v1/session")).body).toMatchObject({ client: "bob" });
    expect((await jobs()).body.jobs).toMatchObject([{ id: his }]);
    expect((await web.get(`/api/v1/jobs/${hers}`)).status).toBe(404);
  });

  it("by one that leads to the same capability elsewhere ends nothing", async () => {
    const opened = await house.open();
    const web = await opened.web("admin", { lookMs: 20 });
    await web.signIn();
    await opened.stopScheduler();
    const { fingerprint, id } = readCapFile(web.capFile);
    await opened.startScheduler(undefined, await freePort());
    const { address } = opened.network.ref("admin");
    writeCapFile(web.capFile, new SturdyRef(address, fingerprint, id));
    const pools = async () => (await web.get("/api/v1/pools")).body.scheduler?.state;
    await expect.poll(pools, { timeout: 30_000 }).toBe("up");
    expect((await web.get("/api/v1/session")).status).toBe(200);
  });
});

describe("sessions", () => {
  const ref = { fingerprint: new Uint8Array(32), id: Buffer.from("secret") };

  it("end by time, or when somebody says so", () => {
    let now = 1000;
    const secrets = new Secrets(ref as never);
    const sessions = new Sessions(secrets, { read: () => [], add: () => {} }, () => now);
    const { session, text } = sessions.exchange(sessions.once());
    expect(sessions.find(text, "session")).toMatchObject({ scope: { kind: "all" } });
    now += 7 * 86_400;
    expect(sessions.find(text, "session")).toBeNull();
    expect(sessions.isOver(session)).toBe(true);
    // One of a link ends with the link.
    const link = sessions.link({ kind: "batch", batch: 3 }, 100);
    const ofLink = sessions.exchange(link.text);
    expect(ofLink.session.expires).toBe(now + 100);
    sessions.end(ofLink.session);
    expect(sessions.find(ofLink.text, "session")).toBeNull();
    expect(sessions.exchange(link.text).session.scope).toEqual({ kind: "batch", batch: 3 });
  });

  it("that were signed out stay so when the program is started again, and others go on", async () => {
    const opened = await house.open();
    const listen = { host: "127.0.0.1", port: await freePort() };
    const first = await opened.start("admin", { listen });
    const leaving = first.visitor;
    const secrets = new Secrets(readCapFile(leaving.capFile));
    await leaving.signIn();
    const staying = leaving.stranger();
    await staying.signIn(secrets.make("once", { kind: "all" }, 60).text);
    await leaving.ask("DELETE", "/api/v1/session", { headers: { "X-OCluster-Web": "1" } });
    await first.stop();
    await opened.start("admin", { listen });
    expect((await staying.get("/api/v1/session")).status).toBe(200);
    expect(code(await leaving.get("/api/v1/session"))).toEqual([401, "no_session"]);
  });

  it("are remembered in a file, until they would have ended", () => {
    const warnings: string[] = [];
    const log = { warn: (text: string) => void warnings.push(text) };
    const dir = mkdtempSync(join(tmpdir(), "ocluster-ended-"));
    try {
      const ended = new EndedSessions(join(dir, "made"), log);
      expect(ended.read(0)).toEqual([]);
      ended.add({ id: "a-1", expires: 100.5 });
      ended.add({ id: "b_2", expires: 200 });
      expect(ended.read(150)).toEqual([{ id: "b_2", expires: 200 }]);
      expect(ended.read(100)).toHaveLength(2);
      expect(statSync(join(dir, "made/ended-sessions")).mode & 0o777).toBe(0o600);
      appendFileSync(join(dir, "made/ended-sessions"), "half a li");
      expect(ended.read(100)).toHaveLength(2);
      appendFileSync(join(dir, "made/ended-sessions"), "\nx 1".repeat(100_000));
      expect(ended.read(100)).toHaveLength(2);
      expect(statSync(join(dir, "made/ended-sessions")).size).toBeLessThan(100);
      expect(ended.read(100)).toHaveLength(2);
      expect(warnings).toEqual([]);
      new EndedSessions(join(dir, "made/ended-sessions"), log).add({ id: "c", expires: 1 });
      expect(warnings).toEqual([expect.stringContaining("--state-dir")]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe("another site's page", () => {
  /** A request as a browser would send it, whose `Host` fetch does not let us choose. */
  function raw(
    web: Visitor,
    headers: Record<string, string>,
    method = "GET",
    path = "/api/v1/pools",
  ) {
    return new Promise<number>((resolve, reject) => {
      const sent = request(web.url + path, { method, headers }, (response) => {
        response.resume().once("end", () => resolve(response.statusCode!));
      });
      sent.once("error", reject).end(method === "GET" ? undefined : "{}");
    });
  }

  it("does not get here by a name of its own", async () => {
    const web = await (await house.open()).web("admin");
    await web.signIn();
    const { host, port } = new URL(web.url);
    const Cookie = web.cookie!;
    expect(await raw(web, { Cookie, Host: host })).toBe(200);
    expect(await raw(web, { Cookie, Host: `localhost:${port}` })).toBe(200);
    expect(await raw(web, { Cookie, Host: `[::1]:${port}` })).toBe(200);
    const strange = ["evil.example", `evil.example:${port}`, "127.0.0.1", "127.0.0.1:1"];
    for (const Host of [...strange, `127.0.0.1.evil.example:${port}`, `127.0.0.1:${port}@evil`]) {
      expect(await raw(web, { Cookie, Host }), Host).toBe(421);
      // Nor the page itself.
      expect(await raw(web, { Host }, "GET", "/"), Host).toBe(421);
    }
  });

  it("is known by its public name, if it has one", async () => {
    const opened = await house.open();
    const web = await opened.web("admin", { publicUrl: new URL("https://cluster.example.org") });
    expect(web.link).toMatch(/^https:\/\/cluster\.example\.org\/#t=/);
  });

  it("changes nothing, and sees nothing", async () => {
    const opened = await house.open();
    const alice = await opened.client("alice");
    const job = await alice.submitDurable("one");
    const web = await opened.web("alice");
    await web.signIn();
    const path = `/api/v1/jobs/${job}/cancel`;
    const { host } = new URL(web.url);
    const fine = {
      ...{ Cookie: web.cookie!, Host: host, "Content-Type": "application/json" },
      "X-OCluster-Web": "1",
    };
    const { "X-OCluster-Web": _, ...unguarded } = fine;
    const refused: Record<string, string>[] = [
      unguarded,
      { ...fine, Origin: "https://evil.example" },
      { ...fine, Origin: "null" },
      { ...fine, Origin: `http://evil.example:${new URL(web.url).port}` },
      { ...fine, "Sec-Fetch-Site": "cross-site" },
      { ...fine, "Sec-Fetch-Site": "same-site" },
    ];
    for (const headers of refused) {
      expect(await raw(web, headers, "POST", path), JSON.stringify(headers)).toBe(403);
    }
    expect(await raw(web, { ...fine, "Content-Type": "text/plain" }, "POST", path)).toBe(400);
    expect((await alice.record(job)).state).toBe("queued");
    expect(await raw(web, { ...fine, "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(await raw(web, { ...fine, "Sec-Fetch-Site": "same-origin" })).toBe(200);
    // A link from elsewhere leads to the page, which is the same for all.
    expect(await raw(web, { Host: host, "Sec-Fetch-Site": "cross-site" }, "GET", "/jobs/1")).toBe(
      200,
    );
    expect(await raw(web, { ...fine, Origin: web.url }, "POST", path)).toBe(200);
    expect((await alice.record(job)).state).toBe("cancelled");
  });

  it("can neither frame nor guess what an answer is", async () => {
    const web = await (await house.open()).web("admin");
    await web.signIn();
    for (const path of ["/", "/api/v1/pools", "/api/v1/nothing", "/healthz"]) {
      const { headers } = await web.get(path);
      expect(headers.get("content-security-policy"), path).toBe(
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
      );
      expect(headers.get("x-content-type-options"), path).toBe("nosniff");
      expect(headers.get("x-frame-options"), path).toBe("DENY");
      expect(headers.get("access-control-allow-origin"), path).toBeNull();
    }
    expect((await web.get("/api/v1/pools")).headers.get("cache-control")).toBe("no-store");
  });
});
