/** The package as others get it: packed, installed into an empty prefix, used from there. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Clone } from "../support/clone.js";

const PROGRAMS = [
  "obuilder",
  "ocluster-admin",
  "ocluster-autoscaler",
  "ocluster-client",
  "ocluster-scheduler",
  "ocluster-web",
  "ocluster-worker",
];

/** For a build, an installation and the like on a busy machine, in ms. */
const LIMIT = 300_000;

let clone: Clone;
let dir: string;
let prefix: string;
let installed: string;

beforeAll(() => {
  clone = Clone.make();
  dir = mkdtempSync(join(tmpdir(), "ocluster-package-"));
  prefix = join(dir, "prefix");
  installed = join(prefix, "lib/node_modules/ocluster");
  const npm = (...args: string[]) =>
    execFileSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: clone.root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  npm("pack", "--pack-destination", dir);
  const [archive] = readdirSync(dir).filter((name) => name.endsWith(".tgz"));
  // Without scripts: compiling SQLite takes a minute, and set-up does it in every run of the tests.
  // The result is copied.
  mkdirSync(prefix);
  npm("install", "--global", `--prefix=${prefix}`, "--ignore-scripts", join(dir, archive!));
  cpSync(
    join(clone.root, "node_modules/better-sqlite3/build"),
    join(installed, "node_modules/better-sqlite3/build"),
    { recursive: true },
  );
}, LIMIT);

afterAll(() => {
  clone.remove();
  rmSync(dir, { recursive: true, force: true });
});

it("has what users need and nothing else", () => {
  expect(readdirSync(installed).sort()).toEqual(
    [
      ...["CHANGELOG.md", "LICENSE", "README.md", "deploy", "dist", "docs", "examples"],
      ...["node_modules", "package.json", "schema", "scripts"],
    ].sort(),
  );
});

it.each(PROGRAMS)("puts %s on the PATH", (name) => {
  const { stdout, stderr, status } = spawnSync(join(prefix, "bin", name), ["--help"], {
    encoding: "utf8",
  });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  expect(stdout).toMatch(new RegExp(`^Usage: ${name} `));
});

it("puts nothing else there", () => {
  expect(readdirSync(join(prefix, "bin")).sort()).toEqual(PROGRAMS);
});

it(
  "has modules with types",
  () => {
    const user = join(dir, "user");
    mkdirSync(join(user, "node_modules/@types"), { recursive: true });
    symlinkSync(installed, join(user, "node_modules/ocluster"));
    symlinkSync(
      join(clone.root, "node_modules/@types/node"),
      join(user, "node_modules/@types/node"),
    );
    writeFileSync(join(user, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(user, "user.ts"),
      `import { Submission } from "ocluster/api";
     import * as obuilder from "ocluster/obuilder";
     import { type Capability, Vat } from "ocluster/rpc";
     import * as worker from "ocluster/worker";
     const submit: (to: Capability, ...rest: never[]) => unknown = Submission.submit;
     // @ts-expect-error: it has types
     const wrong: number = Vat;
     console.log([submit, obuilder, Vat, worker, wrong].map((each) => typeof each).join(" "));
    `,
    );
    const tsc = join(clone.root, "node_modules/typescript/bin/tsc");
    for (const [module, moduleResolution] of [
      ["esnext", "bundler"],
      ["node16", "node16"],
      ["nodenext", "nodenext"],
    ] as const) {
      const options = { module, moduleResolution, target: "es2022", types: "node", strict: true };
      const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
      const compiled = spawnSync(process.execPath, [tsc, ...args, "user.ts"], {
        cwd: user,
        encoding: "utf8",
      });
      expect({ module, errors: compiled.stdout }).toEqual({ module, errors: "" });
    }
    const output = execFileSync(process.execPath, ["user.js"], { cwd: user, encoding: "utf8" });
    expect(output).toBe("function object function object function\n");
  },
  LIMIT,
);

it(
  "runs the demo from there",
  () => {
    const { stdout, stderr, status } = spawnSync("npm", ["run", "--silent", "demo"], {
      cwd: installed,
      encoding: "utf8",
      env: clone.env,
    });
    expect(status, stdout + stderr).toBe(0);
    expect(stdout.match(/^Result: /gm)).toHaveLength(2);
    expect(clone.remains()).toEqual({ processes: [], mounts: [], files: [] });
  },
  LIMIT,
);
