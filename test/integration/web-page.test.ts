/**
 * The web page in a real Chromium, on a made-up cluster: all views in light, dark and on a phone,
 * sizes that no test cluster has, and troubles that come when they are called. What the page does
 * with a real server and real jobs is in web-cluster.test.ts.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { buildPage } from "../../scripts/lib/web-page.mjs";
import { DESK, PHONE, startBrowser, Tab } from "../support/browser.js";
import { ADMIN, before, job } from "../web/fixture/cluster.js";
import { FixtureServer } from "../web/fixture/server.js";

// A browser beside other work takes its time; the limit only catches hangs.
vi.setConfig({ testTimeout: 240_000 });

let dir: string;
let browser: Browser;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "ocluster-page-"));
  await buildPage(dir);
  browser = await startBrowser();
});

afterAll(async () => {
  await browser?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** `expect.poll` with patience for a machine that is busy. */
function eventually<T>(look: () => T) {
  return expect.poll(look, { timeout: 60_000 });
}

async function serving(
  use: (server: FixtureServer) => Promise<void>,
  options: { readonly logLines?: number; readonly rows?: number } = {},
): Promise<void> {
  const server = await FixtureServer.start({ page: dir, ...options });
  try {
    await use(server);
  } finally {
    await server.stop();
  }
}

const VIEWS: readonly (readonly [name: string, path: string, heading: RegExp, seen: RegExp])[] = [
  ["overview", "/", /Overview/, /No worker is connected/],
  ["pool", "/pools/linux-x86_64", /linux-x86_64/, /Last output/],
  ["jobs", "/jobs", /Jobs/, /4990/],
  ["job", "/jobs/4983", /Job 4983/, /\(from debian:12\)/],
  ["job-queued", "/jobs/4981", /Job 4981/, /Why it waits/],
  ["batches", "/batches", /Batches/, /tessera-2026/],
  ["batch", "/batches/3", /Batch 3/, /A cell is/],
  ["usage", "/usage", /Usage/, /All weeks/],
  ["worker", "/workers/spindle-1?pool=linux-x86_64", /spindle-1/, /What it measures/],
];

const LOOKS = [
  ["light", { ...DESK, colorScheme: "light" }],
  ["dark", { ...DESK, colorScheme: "dark" }],
  ["phone", { ...PHONE, colorScheme: "light" }],
] as const;

test.each(LOOKS)(
  "every view, %s: can be used by everybody, fits, and complains of nothing",
  async (look, options) => {
    await serving(
      async (server) => {
        const tab = await Tab.open(browser, options);
        for (const [name, path, heading, seen] of VIEWS) {
          await tab.see(server.url + path, heading);
          await tab.text(seen);
          await tab.picture(`${name}-${look}`);
          await tab.isAccessible();
          await tab.fits();
        }
        expect(tab.complaints).toEqual([]);
        expect([...tab.hosts]).toEqual([new URL(server.url).host]);
        await tab.close();
      },
      { rows: 100_000 },
    );
  },
);

test("the script and the styles are small enough for any line", () => {
  const assets = readdirSync(join(dir, "assets"));
  const size = (ending: string) =>
    assets
      .filter((name) => name.endsWith(ending))
      .reduce((sum, name) => sum + statSync(join(dir, "assets", name)).size, 0);
  expect(size(".js.gz")).toBeGreaterThan(10_000);
  expect(size(".js.gz")).toBeLessThan(100_000);
});

test("views are changed without loading, with the way back, the keyboard, and a title each", async () => {
  await serving(async (server) => {
    const tab = await Tab.open(browser);
    const { page } = tab;
    await tab.see(server.url, /Overview/);
    await tab.click("link", "Jobs");
    await tab.heading(/Jobs/);
    await page.keyboard.press("g");
    await page.keyboard.press("b");
    await tab.heading(/Batches/);
    expect(await page.title()).toBe("Batches · ocluster");
    await page.goBack();
    await tab.heading(/Jobs/);
    // A filter is in the address, and the address is a filter.
    await tab.click("button", "failed");
    await page.keyboard.press("/");
    await page.keyboard.type("4979");
    await page.waitForURL(/\?state=failed&text=4979$/);
    await eventually(() => page.locator("tbody tr").count()).toBe(1);
    // Not with Escape: the browser empties the field then, and another list comes.
    await page.locator("main").focus();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await tab.heading(/Job 4979/);
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
    await tab.isAccessible();
    expect(server.requests.filter((line) => line === "GET session")).toHaveLength(1);
    expect(tab.complaints).toEqual([]);
    await tab.close();
  });
});

test("a log: first error, lines in the address, search, and nothing of it is more than text", async () => {
  await serving(async (server) => {
    const tab = await Tab.open(browser);
    const { page } = tab;
    await tab.see(`${server.url}/jobs/4983`, /Job 4983/);
    await tab.text("(from debian:12)");
    await tab.click("button", "First error");
    await page.waitForURL(/#L\d+$/);
    await page.locator(".log-line.chosen", { hasText: "FAILED" }).waitFor();

    await page.getByPlaceholder(/Search the log/).fill("module_1");
    await page.keyboard.press("Enter");
    await tab.text(/^1 of 111$/);
    await page.locator("mark", { hasText: "module_1" }).first().waitFor();
    await page.getByRole("button", { name: "Next match" }).click();
    await tab.text(/^2 of 111$/);

    await page.getByPlaceholder(/Search the log/).fill("<script>");
    await page.keyboard.press("Enter");
    await page.locator(".log-line.match", { hasText: "<script>document.title" }).waitFor();
    const log = page.locator(".log-scroller");
    expect(await log.locator("script, img, iframe, style, object").count()).toBe(0);
    const links = await log
      .locator("a.log-link")
      .evaluateAll((found) =>
        found.map((each) => `${each.getAttribute("href")} ${each.getAttribute("rel")}`),
      );
    const rel = "noopener noreferrer nofollow";
    expect(links).toEqual([`https://example.org/log ${rel}`, `https://example.org/plain ${rel}`]);
    expect(await page.title()).toBe("Job 4983 · ocluster");
    await tab.picture("log-hostile");
    await tab.isAccessible();

    // Somebody who is sent this line sees it at once.
    const address = page.url().replace(/#.*/, "");
    await tab.see(`${address}#L41-L43`, /Job 4983/);
    await eventually(() => page.locator(".log-line.chosen").count()).toBe(3);
    await tab.text("src/module_34.c → build/module_34.o");
    expect(tab.complaints).toEqual([]);
    await tab.close();
  });
});

const HOME_AFTER_PAGE_UP = `new Promise((resolve) => {
  const element = document.querySelector(".log-scroller");
  const before = element.scrollTop;
  const press = (key) => element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const look = () => {
    if (element.scrollTop === before) return setTimeout(look, 0);
    press("Home");
    resolve();
  };
  press("PageUp");
  look();
})`;

test("a log of two million lines: to its end and anywhere, in a few rows of the page", async () => {
  await serving(
    async (server) => {
      const tab = await Tab.open(browser);
      const { page } = tab;
      await tab.see(`${server.url}/jobs/4983`, /Job 4983/);
      await tab.text("(from debian:12)");
      await page.locator(".log-scroller").focus();
      await page.keyboard.press("End");
      await tab.text("make: *** [Makefile:31: test] Error 1");
      const scroller = page.locator(".log-scroller");
      // Home comes when the scroll bar was moved by PageUp, and before the page is told of that.
      await page.evaluate(HOME_AFTER_PAGE_UP);
      await eventually(() => scroller.evaluate((element) => element.scrollTop)).toBe(0);
      await scroller.getByText("(from debian:12)").first().waitFor();
      await page.mouse.move(800, 600);
      await eventually(async () => {
        await page.mouse.wheel(0, 100);
        return await scroller.getByText("src/module_20.c → build/module_20.o").count();
      }).toBeGreaterThan(0);
      // By the scroll bar, which moves by more than a row for each row.
      await page.locator(".log-scroller").evaluate((element) => {
        element.scrollTop = element.scrollHeight / 2;
      });
      await tab.text(/^100\d{4}$/);
      await page.goto(`${page.url()}#L1234567`);
      await page.locator(".log-line.chosen", { hasText: "module_1234559" }).waitFor();
      expect(await page.locator(".log-line").count()).toBeLessThan(80);
      await tab.close();
    },
    { logLines: 2_000_000 },
  );
});

test("a log that is being written is followed, until somebody scrolls", async () => {
  await serving(async (server) => {
    const tab = await Tab.open(browser);
    const { page } = tab;
    await tab.see(`${server.url}/jobs/4980`, /Job 4980/);
    await eventually(() => server.streams).toBe(1);
    await tab.text("make: *** [Makefile:31: test] Error 1");
    server.append("one more line");
    server.tell("log", server.logState(4980));
    await tab.text("one more line");
    await page.mouse.move(800, 700);
    await page.mouse.wheel(0, -2000);
    const isFollowing = () =>
      page.getByRole("button", { name: "Follow" }).getAttribute("aria-pressed");
    await eventually(isFollowing).toBe("false");
    server.append("and the last");
    server.tell("log", server.logState(4980));
    await tab.text(/^323 lines/);
    expect(await page.getByText("and the last").count()).toBe(0);
    await tab.click("button", "Follow");
    await tab.text("and the last");
    // The job's end comes by the same stream.
    server.tell("job", { ...job(4980), state: "failed", reason: "it was called off" });
    await tab.text("it was called off");
    expect(tab.complaints).toEqual([]);
    await tab.close();
  });
});

test("a batch of a hundred thousand rows can be walked by the keyboard, and its failures opened", async () => {
  await serving(
    async (server) => {
      const tab = await Tab.open(browser);
      const { page } = tab;
      await tab.see(`${server.url}/batches/3`, /Batch 3/);
      const grid = page.getByRole("application");
      await grid.focus();
      await page.keyboard.press("Home");
      await tab.text("rows 1 to 50: 50 succeeded");
      await page.keyboard.press("End");
      await tab.text(/rows 99,?951 to 100,?000: 50 not begun/);
      await page.keyboard.press("Home");
      for (let at = 0; at < 4; at++) await page.keyboard.press("ArrowRight");
      await tab.text(/1 failed, 49 succeeded/);
      await page.keyboard.press("Enter");
      await page.getByRole("list", { name: "Rows of the cell" }).waitFor();
      expect(tab.complaints).toEqual([]);
      await tab.close();
    },
    { rows: 100_000 },
  );
});

test("what changes something is asked first, and sent so that no other site could", async () => {
  await serving(async (server) => {
    const tab = await Tab.open(browser);
    const { page } = tab;
    await tab.see(`${server.url}/pools/linux-x86_64`, "linux-x86_64");
    await tab.click("button", "Pause");
    const dialog = page.getByRole("dialog", { name: "Pause spindle-1?" });
    await dialog.waitFor();
    await tab.isAccessible();
    await tab.picture("dialog");
    await tab.click("button", "No, leave it");
    await dialog.waitFor({ state: "detached" });
    expect(server.changes).toEqual([]);
    await tab.click("button", "Pause");
    await tab.click("button", "Pause it");
    await tab.text("spindle-1 is paused.");
    expect(server.changes).toEqual([
      { what: "POST pools/linux-x86_64/workers/spindle-1/pause", body: {} },
    ]);
    await tab.see(`${server.url}/jobs/4983`, /Job 4983/);
    await tab.click("button", "Share");
    await tab.click("button", "Make the link");
    await tab.text("#t=a-secret-of-a-link");
    await tab.close();
  });
});

test("who may change nothing is shown nothing to do it with", async () => {
  await serving(async (server) => {
    const can = { cancel: false, retry: false, workers: false, share: false };
    server.session = { ...ADMIN, role: "viewer", can };
    const tab = await Tab.open(browser);
    await tab.see(`${server.url}/pools/linux-x86_64`, "linux-x86_64");
    await tab.text("spindle-1");
    for (const path of ["/jobs/4983", "/jobs/4980", "/batches/3"]) {
      await tab.see(server.url + path, /Job|Batch/);
      const names = /Cancel|Try|Share|Pause|Drain|Update/;
      expect(await tab.page.getByRole("button", { name: names }).count()).toBe(0);
    }
    // A link of one job shows that job, wherever it leads.
    server.session = { ...server.session, scope: { kind: "job", job: 4983 } };
    await tab.see(server.url, /Job 4983/);
    expect(await tab.page.getByRole("navigation").count()).toBe(0);
    await tab.close();
  });
});

test("no session, an expired link, the end of a session: what to do is said", async () => {
  await serving(async (server) => {
    server.session = null;
    const tab = await Tab.open(browser);
    await tab.see(server.url, /You need a link/);
    await tab.isAccessible();
    await tab.see(`${server.url}/jobs/4983#t=expired`, /This link has expired/);
    expect(tab.page.url()).toBe(`${server.url}/jobs/4983`);
    await tab.picture("expired");
    await tab.page.goto("about:blank");
    await tab.see(`${server.url}/jobs/4983#t=good`, /Job 4983/);
    expect(tab.page.url()).toBe(`${server.url}/jobs/4983`);
    await eventually(() => server.streams).toBe(1);
    server.session = null;
    server.tell("session", { state: "ended" });
    await tab.heading(/Your session has ended/);
    await eventually(() => server.streams).toBe(0);
    await tab.close();
  });
});

test("a scheduler that goes away is told, and what is shown is fetched anew when it is back", async () => {
  await serving(async (server) => {
    const tab = await Tab.open(browser);
    await tab.see(server.url, /Overview/);
    await eventually(() => server.streams).toBe(1);
    server.tell("scheduler", { state: "down", since: before(3), message: "connection refused" });
    await tab.text(/The scheduler does not answer/);
    await tab.text("Scheduler down");
    await tab.isAccessible();
    await tab.picture("scheduler-down");
    const asked = server.requests.length;
    server.tell("scheduler", { state: "up", since: before(0), message: null });
    await tab.page.getByText(/The scheduler does not answer/).waitFor({ state: "detached" });
    await eventually(() => server.requests.slice(asked)).toContain("GET pools");
    await tab.close();
  });
});

test("a tab has one stream, and leaves nothing behind when views change", async () => {
  await serving(async (server) => {
    const tab = await Tab.open(browser);
    const { page } = tab;
    await tab.see(server.url, /Overview/);
    const nodes = async () => {
      await page.requestGC();
      return (await page.evaluate("document.querySelectorAll('*').length")) as number;
    };
    const visit = async () => {
      await tab.click("link", "Jobs");
      await page.getByRole("link", { name: "4983", exact: true }).click();
      await tab.text("(from debian:12)");
      await tab.click("link", "Batches");
      await tab.text("tessera-2026");
      await tab.click("link", "Overview");
      await tab.text("No worker is connected, and 3 jobs wait for one");
    };
    await visit();
    const first = await nodes();
    for (let round = 0; round < 5; round++) await visit();
    expect(await nodes()).toBe(first);
    await eventually(() => server.streams).toBe(1);
    const topics = server.requests.findLast((line) => line.startsWith("GET events"));
    expect(decodeURIComponent(topics!)).not.toContain("job:4983");
    expect(tab.complaints).toEqual([]);
    await tab.close();
  });
});
