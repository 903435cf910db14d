/** Commands about batches with a scheduler that knows jobs on record, and no batches. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PaperScheduler } from "../../support/paper-scheduler.js";
import { run, stopAll } from "../../support/programs.js";

let scheduler: PaperScheduler;

beforeAll(async () => {
  scheduler = await PaperScheduler.start();
  writeFileSync(join(scheduler.dir, "row.spec"), "((from busybox) (run (shell {v})))");
  writeFileSync(join(scheduler.dir, "rows.csv"), "v\n1\n");
});

afterAll(async () => {
  await stopAll();
  await scheduler.stop();
});

it.each([
  ["batch", "--pool=p", "--spec=row.spec", "--each=rows.csv"],
  ["batch", "list"],
  ["batch", "show", "tiles"],
  ["batch", "watch", "tiles"],
  ["batch", "fetch", "tiles", "--logs=logs"],
  ["batch", "cancel", "tiles"],
  ["batch", "retry", "tiles"],
])("%s %s says so, and what to do", async (...words) => {
  const args = ["-q", "-c", "submission.cap", ...words, "--json"];
  const { code, stderr, stdout } = await run("ocluster-client", args, { cwd: scheduler.dir });
  expect({ code, kind: JSON.parse(stdout).kind }).toEqual({ code: 12, kind: "refused" });
  expect(stderr).toMatch(
    /^This scheduler knows no batches: it is an older one, or not of this project\. Each row can be submitted as a job/,
  );
});
