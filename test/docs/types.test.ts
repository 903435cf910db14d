/**
 * TypeScript in the documentation is right as it is written: whoever copies it has no errors to
 * mend.
 */
import { expect, it } from "vitest";
import { fencesIn } from "./blocks.js";
import { documentation } from "./documents.js";
import { typeErrors } from "./types.js";

/** By the place where they begin: docs-rpc-12.ts. */
const blocks = documentation().flatMap(({ path, text }) =>
  fencesIn(text)
    .filter(({ language }) => language === "ts")
    .map(({ line, text }) => {
      const name = path.replace(/\.md$/, "").replaceAll("/", "-");
      return [`${name}-${line}.ts`, text] as const;
    }),
);

it("type-checks against the project", () => {
  expect(blocks).not.toEqual([]);
  expect(typeErrors(new Map(blocks))).toEqual([]);
});

it("would not, if it named what there is not", () => {
  const wrong = 'import { Vat, nonsense } from "ocluster/rpc";\n\nnew Vat().dance(nonsense);\n';
  expect(typeErrors(new Map([["wrong.ts", wrong]]))).toEqual([
    expect.stringMatching(/^wrong\.ts:1: .*'nonsense'/),
    expect.stringMatching(/^wrong\.ts:3: Property 'dance' does not exist on type 'Vat'/),
  ]);
});
