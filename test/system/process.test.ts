/** Other programs, when they cannot even be started. */
import { expect, test } from "vitest";
import { ProgramError, run, runLogged } from "../../src/system/process.js";
import { withoutFiles } from "../support/without-files.js";

const logged = (argv: readonly string[]) =>
  runLogged(argv, { log: { write: () => {} }, signal: new AbortController().signal });

test.each([
  ["run", run],
  ["runLogged", logged],
])("%s says why a program cannot be started", async (_, start) => {
  const missing = start(["no-such-program"]);
  await expect(missing).rejects.toThrow('Program "no-such-program" not found; install it');
  const noFiles = withoutFiles(() => start(["true"]));
  await expect(noFiles).rejects.toThrow(/^Cannot start true: .*EMFILE/);
  await expect(noFiles).rejects.toBeInstanceOf(ProgramError);
});
