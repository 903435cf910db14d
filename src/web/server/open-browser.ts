/**
 * Showing the page in the user's browser. Command lines can be read by everybody on the machine, so
 * the link with its secret is in a file of the user's alone, which leads there.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Logger } from "../../console/index.js";
import { start } from "../../system/index.js";

/** For how long the file is there, in ms. */
const KEPT_MS = 60_000;

export function openInBrowser(link: string, log: Logger): void {
  const dir = mkdtempSync(join(tmpdir(), "ocluster-web-"));
  const file = join(dir, "open.html");
  const remove = () => rmSync(dir, { recursive: true, force: true });
  // The link is made of characters that mean nothing in HTML.
  const page = `<!doctype html><meta http-equiv="refresh" content="0;url=${link}"><a href="${link}">ocluster</a>\n`;
  writeFileSync(file, page, { mode: 0o600 });
  setTimeout(remove, KEPT_MS).unref();
  process.once("exit", remove);
  start(["xdg-open", pathToFileURL(file).href], { stdio: "ignore" }).ended.then(
    ({ status }) => {
      if (status !== 0) log.warn("No browser could be opened: open the link yourself");
    },
    () => log.warn('There is no "xdg-open" here: open the link yourself'),
  );
}
