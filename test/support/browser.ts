/**
 * A real Chromium, Debian's, with a new empty profile; and what a page must not do in it.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from "playwright-core";
import { expect } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

/** Pictures of what tests have seen; Git ignores them. */
const PICTURES = join(ROOT, "coverage/web");

const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Where /dev/shm is small, as in containers, tabs would crash.
  "--disable-dev-shm-usage",
];

export async function startBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: "/usr/bin/chromium",
    // Chromium's sandbox does not start as root.
    args: process.getuid?.() === 0 ? [...FLAGS, "--no-sandbox"] : FLAGS,
  });
}

export const DESK: BrowserContextOptions = { viewport: { width: 1280, height: 860 } };
export const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  isMobile: true,
  hasTouch: true,
  deviceScaleFactor: 2,
};

/** A tab of its own profile, and all that its console and its requests have to complain about. */
export class Tab {
  private constructor(
    readonly page: Page,
    readonly complaints: string[],
    /** Hosts that something was asked of. */
    readonly hosts: Set<string>,
  ) {}

  static async open(browser: Browser, options: BrowserContextOptions = DESK): Promise<Tab> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    // The limit only catches hangs.
    page.setDefaultTimeout(60_000);
    const complaints: string[] = [];
    const hosts = new Set<string>();
    page.on("console", (message) => {
      // Answers that are errors are told here as well, and tests of these know of them.
      const isAnswer = message.text().startsWith("Failed to load resource");
      if (["error", "warning"].includes(message.type()) && !isAnswer)
        complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("dialog", (dialog) => {
      complaints.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => hosts.add(new URL(request.url()).host));
    return new Tab(page, complaints, hosts);
  }

  /** Goes to a view, and waits for its heading. */
  async see(url: string, heading: string | RegExp): Promise<void> {
    await this.page.goto(url);
    await this.heading(heading);
  }

  async heading(text: string | RegExp): Promise<void> {
    await this.shows(this.page.getByRole("heading", { level: 1, name: text }));
  }

  /** Waits until a text can be seen somewhere. */
  async text(text: string | RegExp): Promise<void> {
    await this.shows(this.page.getByText(text).first());
  }

  /** Waits for an element; when it does not come, tells what there is instead. */
  private async shows(wanted: Locator): Promise<void> {
    try {
      await wanted.waitFor();
    } catch (cause) {
      const there = await this.page.locator("body").innerText();
      const said = [
        `${wanted} is not there, but at ${this.page.url()}:`,
        there,
        ...this.complaints,
      ];
      throw new Error(said.join("\n"), { cause });
    }
  }

  async click(role: "button" | "link", name: string | RegExp): Promise<void> {
    await this.page.getByRole(role, { name }).first().click();
  }

  async picture(name: string): Promise<void> {
    mkdirSync(PICTURES, { recursive: true });
    await this.page.screenshot({ path: join(PICTURES, `${name}.png`), animations: "disabled" });
  }

  /** Looks for what keeps people with disabilities out, by the rules of axe. */
  async isAccessible(): Promise<void> {
    // As the debugger would, so that the page's own rules for scripts stay as they are.
    await this.page.evaluate(axe.source);
    const found = (await this.page.evaluate(
      "axe.run(document, { resultTypes: ['violations'] })",
    )) as { violations: readonly Violation[] };
    const told = found.violations.map(({ id, nodes }) => ({
      id,
      where: nodes.slice(0, 3).map(({ failureSummary, html }) => `${html}\n${failureSummary}`),
    }));
    expect(told).toEqual([]);
  }

  /** Nothing is wider than the window. */
  async fits(): Promise<void> {
    const over = await this.page.evaluate(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    );
    expect(over).toBe(0);
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}
