/**
 * The web page in a real Chromium, on a real cluster: `ocluster-web` with the files of an
 * administrator and of a client, a worker that builds, and one that does as the test says.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { PHONE, startBrowser, Tab } from "../support/browser.js";
import { Cluster } from "../support/cluster.js";
import { busyboxRoot, withTemporaryRoot, writeOciLayout } from "../support/oci-layout.js";
import { Program, run } from "../support/programs.js";
import { ScriptedWorker } from "../support/scripted-worker.js";

// A browser beside other work takes its time; the limit only catches hangs.
vi.setConfig({ testTimeout: 240_000 });

let cluster: Cluster;
let browser: Browser;
/** The administrator's program, and its address. */
let web: Program;
let base: string;
/** A tab of the administrator. */
let admin: Tab;

const SPEC = `((from busybox)
 (shell /bin/sh -c)
 (run (shell "printf '\\\\033[32mgreen\\\\033[0m and plain\\\\n'; i=0; while [ $i -lt 100 ]; do printf '\\\\r%d%%' $i; i=$((i+1)); done; echo; mkdir /out; echo made > /out/file.txt"))
 (run (shell "echo last step; {end}")))`;

beforeAll(async () => {
  cluster = await Cluster.start(["--pools=linux-x86_64,scripted"]);
  mkdirSync(cluster.path("images"));
  withTemporaryRoot(busyboxRoot, (rootfs) =>
    writeOciLayout(cluster.path("images/busybox"), { rootfs, env: ["PATH=/bin"], tag: "latest" }),
  );
  for (const name of ["alice", "bob"]) {
    const { stdout } = await run("ocluster-admin", [
      "-c",
      cluster.cap("admin"),
      "add-client",
      name,
    ]);
    writeFileSync(cluster.cap(name), stdout);
  }
  cluster.write("good.spec", SPEC.replace("{end}", "true"));
  cluster.write("bad.spec", SPEC.replace("{end}", "echo error: it went wrong; exit 3"));
  cluster.write("rows.spec", SPEC.replace("{end}", "exit {n}"));
  await cluster.worker("mill-1", [
    "--capacity=2",
    `--obuilder-store=overlayfs:${cluster.path("store")}`,
    `--obuilder-image-dir=${cluster.path("images")}`,
    ...["--obuilder-fetch=local", "--obuilder-prune-threshold=0"],
  ]);
  browser = await startBrowser();
  const started = await webFor("admin");
  web = started.program;
  base = new URL(started.link).origin;
  admin = await Tab.open(browser);
  await admin.see(started.link, "Overview");
});

afterAll(async () => {
  await browser?.close();
  await cluster?.stop();
});

/** Starts `ocluster-web` with a capability file, and returns the link that it prints. */
async function webFor(name: string): Promise<{ program: Program; link: string }> {
  const program = new Program("ocluster-web", ["-c", cluster.cap(name)]);
  const [link] = await program.sees("stdout", /http:\S+#t=\S+/);
  return { program, link };
}

/** Submits a durable job, and returns its number. */
async function submit(who: string, pool: string, spec: string, ...args: string[]): Promise<number> {
  const words = ["-q", "-c", cluster.cap(who), "submit-obuilder", `--pool=${pool}`];
  const file = `--local-file=${cluster.path(spec)}`;
  const { code, stderr, stdout } = await run("ocluster-client", [
    ...[...words, file, "--detach", ...args],
  ]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return Number(stdout);
}

const scripted = () => ScriptedWorker.connect(cluster.cap("pool-scripted"), "puppet");

/** With patience for a machine that is busy. */
function eventually<T>(look: () => T) {
  return expect.poll(look, { timeout: 60_000 });
}

test("a job that fails: its steps, its log with colours, its first error, and another try", async () => {
  const job = await submit("alice", "linux-x86_64", "bad.spec", "--name=doomed");
  const { page } = admin;
  await admin.see(`${base}/jobs/${job}`, /^Job \d+.*doomed/);
  await page.locator(".head-line .state", { hasText: "failed" }).waitFor();
  // Its words are in the steps, too, and there before the log is.
  await eventually(() => page.locator(".log-fg-2", { hasText: "green" }).count()).toBe(1);
  // A progress bar is as it was left.
  await admin.text(/^99%$/);
  await admin.text(/^\d steps/);
  await admin.click("button", "First error");
  await page.locator(".log-line.chosen", { hasText: /^15error: it went wrong$/ }).waitFor();
  await admin.picture("real-failed");
  await admin.isAccessible();
  await admin.click("button", "Try again");
  await admin.click("button", "Try it again");
  await admin.text(/Attempt 2 on mill-1/);
  await admin.text(/from the cache/);
});

test("a job as it runs: its log comes live, and the end of it; it can be cancelled", async () => {
  const job = await submit("alice", "scripted", "good.spec", "--name=live");
  const { page } = admin;
  await admin.see(`${base}/jobs/${job}`, /live/);
  await admin.text("Why it waits");
  const worker = await scripted();
  const running = await worker.pop();
  await page.locator(".head-line .state", { hasText: "running" }).waitFor();
  running.write("the first line\n");
  await admin.text("the first line");
  running.write("half a ");
  await admin.text("half a");
  running.write("line\n");
  await admin.text("half a line");
  await admin.click("button", "Cancel");
  await admin.click("button", "Cancel it");
  await running.cancelled.promise;
  running.fail("Cancelled");
  await page.locator(".head-line .state", { hasText: "cancelled" }).waitFor();
  await worker.close();
});

test("a hostile log can do nothing, and a line of ten megabytes is a line", async () => {
  const job = await submit("bob", "scripted", "good.spec", "--name=<script>alert(1)</script>");
  const worker = await scripted();
  const running = await worker.pop();
  running.write("<script>document.title = 'owned'</script><img src=x onerror=alert(1)>\n");
  running.write(
    "\x1b]8;;javascript:alert(1)\x07bad\x1b]8;;\x07 \x1b]8;;https://example.org/\x07good\x1b]8;;\x07\n",
  );
  running.write("\x1b[2J\x1b[H\x1b]0;owned\x07after it all\n");
  running.write(`${"x".repeat(10_000_000)}\n`);
  running.write("the end of it\n");
  running.succeed("done");
  await admin.see(`${base}/jobs/${job}`, /<script>alert\(1\)<\/script>/);
  const { page } = admin;
  await admin.text("the end of it");
  await admin.text(/this line is longer/);
  const log = page.locator(".log-scroller");
  expect(await log.locator("script, img").count()).toBe(0);
  const hrefs = await log
    .locator("a.log-link")
    .evaluateAll((found) => found.map((each) => each.getAttribute("href")));
  expect(hrefs).toEqual(["https://example.org/"]);
  expect(await page.title()).toBe(`Job ${job} · ocluster`);
  await admin.picture("real-hostile");
  await worker.close();
});

/** Of a log that is for long runs. */
const PIECES = 20;

test.runIf(process.env.OCLUSTER_LONG)("a log of a hundred megabytes is read anywhere", async () => {
  const job = await submit("alice", "scripted", "good.spec", "--name=long");
  const worker = await scripted();
  const running = await worker.pop();
  const { page } = admin;
  await admin.see(`${base}/jobs/${job}`, /long/);
  const size = () =>
    page.evaluate(
      `fetch("/api/v1/jobs/${job}/log?lines=1").then((answer) => answer.json()).then((log) => log.size)`,
    ) as Promise<number>;
  const perPiece = 65_536;
  let written = 0;
  for (let piece = 0; piece < PIECES; piece++) {
    const lines = Array.from({ length: perPiece }, (_, at) =>
      `line ${piece * perPiece + at + 1} `.padEnd(79, "."),
    );
    const text = `${lines.join("\n")}\n`;
    running.write(text);
    written += text.length;
    await eventually(size).toBe(written);
  }
  running.succeed("done");
  // It was followed all the time.
  const total = PIECES * perPiece;
  await admin.text(new RegExp(`^line ${total} `));
  for (const line of [1, total / 2, total - 7, 999_999]) {
    await page.goto(`${base}/jobs/${job}#L${line}`);
    await page.locator(".log-line.chosen", { hasText: `line ${line} ` }).waitFor();
  }
  await page.getByPlaceholder(/Search the log/).fill("line 1234567 ");
  await page.keyboard.press("Enter");
  await page.locator(".log-line.match", { hasText: "line 1234567 " }).waitFor();
  expect(await page.locator(".log-line").count()).toBeLessThan(100);
  await worker.close();
});

test("files of a result can be had", async () => {
  // A client that asks for files waits for them: its own copy is of no matter here.
  const result = await run(
    "ocluster-client",
    [
      ...["-q", "-c", cluster.cap("alice"), "submit-obuilder", "--pool=linux-x86_64"],
      ...[`--local-file=${cluster.path("good.spec")}`, "--output=/out:out", "--durable"],
    ],
    { cwd: cluster.dir },
  );
  expect(result.code).toBe(0);
  await admin.see(`${base}/jobs?state=succeeded&pool=linux-x86_64`, "Jobs");
  await admin.page.locator("tbody a").first().click();
  await admin.text("/out/file.txt");
  const download = admin.page.waitForEvent("download");
  await admin.page.getByRole("link", { name: "/out/file.txt" }).click();
  const stream = await (await download).createReadStream();
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).toString()).toBe("made\n");
});

test("a batch: rows by state, its failures first", async () => {
  const result = await run(
    "ocluster-client",
    [
      ...["-q", "-c", cluster.cap("alice"), "batch", "--pool=linux-x86_64", "--range=0-5"],
      ...[`--spec=${cluster.path("rows.spec")}`, "--name=six", "--detach"],
    ],
    { cwd: cluster.dir },
  );
  expect(result.stderr).toBe("");
  await admin.see(`${base}/batches`, "Batches");
  await admin.page.locator("tbody tr", { hasText: "six" }).getByRole("link").first().click();
  await admin.heading(/Batch \d+.*six/);
  await admin.page.locator(".head-line .state", { hasText: "failed" }).waitFor();
  await eventually(() => admin.page.locator("table tbody tr").count()).toBe(5);
  const grid = admin.page.getByRole("application");
  await grid.focus();
  await admin.page.keyboard.press("Home");
  await admin.text("row 1: succeeded");
  await admin.page.keyboard.press("ArrowRight");
  await admin.text("row 2: failed");
  await admin.picture("real-batch");
  await admin.isAccessible();
  await admin.page.keyboard.press("Enter");
  await admin.heading(/^Job/);
});

test("a worker is paused and unpaused, and the page says so", async () => {
  await admin.see(`${base}/pools/linux-x86_64`, "linux-x86_64");
  const row = admin.page.locator("tr", { hasText: "mill-1" });
  await row.getByText("active").waitFor();
  await admin.click("button", "Pause");
  await admin.click("button", "Pause it");
  await row.getByText("paused", { exact: true }).waitFor();
  await admin.picture("real-pool");
  await admin.isAccessible();
  await admin.click("button", "Unpause");
  await admin.click("button", "Unpause it");
  await row.getByText("active").waitFor();
});

test("all views of this cluster, on a phone", async () => {
  // Another tab of the same people: a link of its own.
  const link = await run("ocluster-web", [
    ...["-c", cluster.cap("admin"), "--link", `--listen=${new URL(base).host}`],
  ]);
  const phone = await Tab.open(browser, PHONE);
  await phone.see(link.stdout.trim(), "Overview");
  const views: readonly (readonly [path: string, seen: RegExp])[] = [
    ["", /No problems|is not connected/],
    ["pools/linux-x86_64", /^mill-1$/],
    ["jobs", /^1$/],
    ["jobs/1", /\(from busybox\)/],
    ["batches", /^six$/],
    ["usage", /All weeks/],
    ["workers/mill-1?pool=linux-x86_64", /What it ran/],
  ];
  for (const [view, seen] of views) {
    await phone.see(`${base}/${view}`, /./);
    await phone.text(seen);
    await phone.picture(`real-phone-${view.replace(/\W/g, "-") || "overview"}`);
    await phone.isAccessible();
    await phone.fits();
  }
  expect(phone.complaints).toEqual([]);
  // A link opens once.
  const other = await Tab.open(browser);
  await other.see(link.stdout.trim(), "This link has been used");
  await other.close();
  await phone.close();
});

test("a client sees what is its own, and a link what it is to", async () => {
  const [own, foreign] = [
    await submit("alice", "linux-x86_64", "good.spec", "--name=hers"),
    await submit("bob", "linux-x86_64", "good.spec", "--name=his"),
  ];
  const { link, program } = await webFor("alice");
  const site = new URL(link).origin;
  const tab = await Tab.open(browser);
  await tab.see(link, "Overview");
  await tab.see(`${site}/jobs/${own}`, /hers/);
  await tab.see(`${site}/jobs`, "Jobs");
  await tab.text("hers");
  expect(await tab.page.getByText(/bob|\bhis\b/).count()).toBe(0);
  await tab.page.goto(`${site}/jobs/${foreign}`);
  await tab.page.getByRole("alert").waitFor();
  expect(await tab.page.getByText(/bob|\bhis\b/).count()).toBe(0);
  await tab.see(`${site}/pools/linux-x86_64`, "linux-x86_64");
  expect(await tab.page.getByText(/bob|mill/).count()).toBe(0);

  // What is shared is one job, and can only be looked at.
  await tab.see(`${site}/jobs/${own}`, /hers/);
  await tab.click("button", "Share");
  await tab.click("button", "Make the link");
  const shared = await tab.page.locator(".shared-link").textContent();
  const friend = await Tab.open(browser);
  await friend.see(shared!, /hers/);
  expect(await friend.page.getByRole("button", { name: /Cancel|Share|Try/ }).count()).toBe(0);
  await friend.page.goto(`${site}/jobs`);
  await friend.page.getByRole("alert").waitFor();
  expect(await friend.page.locator("tbody tr").count()).toBe(0);

  // One that ends soon has ended.
  const made = (await tab.page.evaluate(
    `fetch("/api/v1/links", { method: "POST", headers: { "Content-Type": "application/json", "X-OCluster-Web": "1" },
       body: JSON.stringify({ job: ${own}, expires: "1s" }) }).then((answer) => answer.json())`,
  )) as { url: string; expires: string };
  await eventually(() => Date.now() > Date.parse(made.expires)).toBe(true);
  const late = await Tab.open(browser);
  await late.see(made.url, "This link has expired");
  for (const each of [tab, friend, late]) {
    expect(each.complaints).toEqual([]);
    await each.close();
  }
  await program.stop();
});

test("a restart of the scheduler with the page open is told, and survived", async () => {
  await admin.see(`${base}/jobs`, "Jobs");
  await admin.text("Live");
  await cluster.scheduler.stop();
  await admin.text(/The scheduler does not answer/);
  await admin.text("hers");
  await admin.picture("real-scheduler-down");
  await cluster.restartScheduler();
  await admin.page.getByText(/The scheduler does not answer/).waitFor({ state: "detached" });
  await submit("alice", "linux-x86_64", "good.spec", "--name=after-it");
  await admin.text("after-it");
  expect(web.hasEnded).toBe(false);
  expect(admin.complaints).toEqual([]);
});
