/** Which lines are taken for errors, of what real tools write. */
import { expect, test } from "vitest";
import { firstError, looksLikeError } from "../../../src/web/log/first-error.js";

test.each([
  "main.c:12:5: error: expected ';' before 'return'",
  "error[E0382]: borrow of moved value: `x`",
  "src/page.tsx(3,7): error TS2322: Type 'string' is not assignable to type 'number'.",
  "/usr/bin/ld: cannot find -lfoo",
  "foo.o: in function `main': undefined reference to `bar'",
  "make[2]: *** [Makefile:12: all] Error 2",
  "ninja: build stopped: subcommand failed.",
  "CMake Error at CMakeLists.txt:3 (find_package):",
  "E: Unable to locate package libfoo-dev",
  "npm ERR! code ELIFECYCLE",
  "fatal: repository 'https://example.org/x.git' not found",
  "Traceback (most recent call last):",
  "ModuleNotFoundError: No module named 'numpy'".replace("Module", "a.Module"),
  "AssertionError: expected 1 to be 2",
  "--- FAIL: TestThing (0.00s)",
  "not ok 3 - it works",
  "test_batches ... FAILED",
  "sh: 1: frobnicate: not found",
  "bash: line 1: foo: command not found",
  "cat: /nope: No such file or directory",
  "tar: write error: No space left on device",
  "Segmentation fault (core dumped)",
  "panic: runtime error: index out of range",
  'Exception in thread "main" java.lang.NullPointerException',
  "Fatal error: exception Not_found",
  '#7 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1',
  "Error: No compatible version",
  'Error:   Failure("oops")',
  "docker-build failed with exit-code 1",
  "3 failed, 12 passed",
])("an error: %s", (line) => {
  expect(looksLikeError(line)).toBe(true);
});

test.each([
  "",
  "gcc -Werror -c error.c -o error.o",
  "0 errors, 0 warnings",
  "12 passed, 0 failed",
  "src/foo.c:3: warning: error handling is not complete",
  "Compiling thiserror v1.0.30",
  "no errors found",
  "Selecting previously unselected package liberror-perl.",
  "Unpacking liberror-perl (0.17029-2) ...",
  "make: Nothing to be done for 'all'.",
  "test error_handling ... ok",
  "errors=0",
  '/src: (run (network host) (shell "echo error: it went wrong; exit 3"))',
  "#7 [2/3] RUN echo 'error: none'",
  "Step 2/3 : RUN echo error: none",
])("no error: %s", (line) => {
  expect(looksLikeError(line)).toBe(false);
});

test("a line of any length is looked at for no longer than another", () => {
  expect(looksLikeError(`${"a: ".repeat(1_000_000)}error`)).toBe(false);
});

test("the first error is that of the step that failed, if it has one", () => {
  expect(firstError([3, 40, 52], 45)).toBe(52);
  expect(firstError([3, 40, 52], 3)).toBe(3);
  expect(firstError([3, 40], 45)).toBe(3);
  expect(firstError([3, 40], null)).toBe(3);
  expect(firstError([], 45)).toBeNull();
});
