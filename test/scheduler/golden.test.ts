/** The traces made by the reference's pool, run against ours. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { runPoolTrace } from "../conformance/pool-trace.js";
import { golden } from "../support/golden.js";

const traces = readdirSync(golden("pool")).filter((name) => name.endsWith(".trace"));

describe("golden traces", () => {
  test("there are some", () => expect(traces).not.toEqual([]));

  test.each(traces)("%s", (name) => {
    const text = readFileSync(golden(`pool/${name}`), "utf8");
    expect(runPoolTrace(text)).toEqual([]);
  });

  test("the example of the format's description", () => {
    const readme = readFileSync(golden("pool/README.md"), "utf8");
    const example = readme.slice(readme.indexOf("    pool demo\n")).split("\n\n")[0]!;
    expect(runPoolTrace(example.replaceAll(/^ {4}/gm, ""))).toEqual([]);
  });
});
