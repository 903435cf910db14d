/**
 * Every command in the documentation works as it is written, in the order in which a reader comes
 * across it.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandLinesIn, commandsIn, fencesIn, inlineCommandsIn } from "./blocks.js";
import { documentation } from "./documents.js";
import { Machine } from "./machine.js";
import { problemsOf, REASONS } from "./not-run.js";

/** For what builds the project, on a machine with more to do, in ms. */
const LIMIT = 180_000;

const documents = documentation().map(({ path, text }) => ({
  path,
  blocks: commandsIn(text),
  fences: fencesIn(text),
  inline: inlineCommandsIn(text),
}));

it("gives no reason for not running commands that is needed nowhere", () => {
  const given = documents.flatMap(({ blocks }) => blocks.flatMap(({ reason }) => reason ?? []));
  expect([...new Set(given)].sort()).toEqual([...REASONS.keys()].sort());
});

describe("a document", () => {
  /**
   * What is not to be typed into a shell: code and configuration of these kinds, and other text.
   */
  const OTHERS = ["json", "scheme", "text", "ts"];

  it.each(documents)("has its commands where they are tested: $path", ({ blocks, fences }) => {
    expect(fences.filter(({ language }) => !["sh", ...OTHERS].includes(language))).toEqual([]);
    expect(fences.filter(({ language }) => language === "sh")).toHaveLength(blocks.length);
    // A reader would be in another directory at the next block; here it begins where this one did.
    const moves = blocks.filter(({ commands }) =>
      commandLinesIn(commands).some(([program]) => program === "cd"),
    );
    expect(moves).toEqual([]);
    const commands = fences
      .filter(({ language }) => language === "text")
      .flatMap(({ text }) => commandLinesIn(text))
      .filter(([program]) => /^(ocluster-\w+|obuilder|docker|npm|node|git)$/.test(program!));
    expect(commands).toEqual([]);
  });

  it.each(documents.filter(({ inline }) => inline.length > 0))(
    "names only options that there are, also in its text: $path",
    async ({ inline }) => {
      const found = await Promise.all(
        inline.map(async (span) => ({
          span,
          problems: await problemsOf(span.replaceAll(/\S*…/g, "")),
        })),
      );
      expect(found.filter(({ problems }) => problems.length > 0)).toEqual([]);
    },
  );
});

describe.each(documents.filter(({ blocks }) => blocks.length > 0))("$path", ({ blocks }) => {
  let machine: Machine;

  beforeAll(async () => {
    if (blocks.some(({ mode }) => mode !== "not run")) machine = await Machine.start();
  });

  afterAll(() => machine?.stop());

  it.each(blocks)(
    "line $line: $commands",
    async ({ commands, mode, prints, reason }) => {
      switch (mode) {
        case "runs on":
          return machine.start(commands, prints!);
        case "not run":
          expect([...REASONS.keys()]).toContain(reason);
          expect(await problemsOf(commands)).toEqual([]);
          return;
        default: {
          const { status, output } = await machine.run(commands);
          expect({ succeeds: status === 0, output }).toMatchObject({
            succeeds: mode === "succeeds",
          });
          if (prints) expect(output).toMatch(prints);
        }
      }
    },
    LIMIT,
  );
});
