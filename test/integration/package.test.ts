/** The package as others get it: packed, installed into an empty prefix, used from there. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { AddonMirror } from "../support/addon-mirror.js";
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

/** Whether this Node takes the SQLite that is in a package of the registry as it is. */
const HAS_SQLITE_IN_PACKAGE =
  Number(process.versions.napi) >= 10 && ["x64", "arm64"].includes(process.arch);

let clone: Clone;
let dir: string;
let archive: string;
let addons: AddonMirror;
let prefix: string;
let installed: string;

beforeAll(async () => {
  clone = Clone.make();
  dir = mkdtempSync(join(tmpdir(), "ocluster-package-"));
  await npm(["pack", "--pack-destination", dir]);
  archive = join(dir, readdirSync(dir).find((name) => name.endsWith(".tgz"))!);
  addons = await AddonMirror.start();
  prefix = join(dir, "prefix");
  installed = await install(prefix, addons);
}, LIMIT);

afterAll(() => {
  addons?.stop();
  clone.remove();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs npm. It finds nothing with which an addon could be compiled. */
async function npm(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<void> {
  await promisify(execFile)("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: clone.root,
    env: { ...process.env, NODE_GYP_FORCE_PYTHON: "/nonexistent", ...env },
  });
}

/** Installs the package as `npm install --global` does. Returns where it is. */
async function install(prefix: string, addons: AddonMirror): Promise<string> {
  mkdirSync(prefix);
  await npm(
    ["install", "--global", `--prefix=${prefix}`, "--allow-scripts=better-sqlite3", archive],
    { npm_config_better_sqlite3_binary_host: addons.url },
  );
  return join(prefix, "lib/node_modules/ocluster");
}

it("takes SQLite ready-made, without a compiler", () => {
  const { modules } = process.versions;
  expect(addons.asked).toEqual([
    expect.stringMatching(
      `^/v12\\.[0-9.]+/better-sqlite3-v12\\.[0-9.]+-node-v${modules}-linux-${process.arch}\\.tar\\.gz$`,
    ),
  ]);
  if (!HAS_SQLITE_IN_PACKAGE) {
    const addon = "node_modules/better-sqlite3/build/Release/better_sqlite3.node";
    expect(existsSync(join(installed, addon))).toBe(true);
  }
});

it.skipIf(HAS_SQLITE_IN_PACKAGE)(
  "says what is needed where SQLite can neither be had ready-made nor be compiled",
  async () => {
    const none = await AddonMirror.empty();
    try {
      await install(join(dir, "poor"), none);
    } finally {
      none.stop();
    }
    expect(none.asked).toHaveLength(1);
    const scheduler = join(dir, "poor/bin/ocluster-scheduler");
    const options = [
      "--capnp-secret-key-file=key.pem",
      "--secrets-dir=.",
      "--state-dir=state",
      "--pools=x",
    ];
    const { stderr, status } = spawnSync(
      scheduler,
      [...options, "--capnp-listen-address=tcp:127.0.0.1:0"],
      { cwd: dir, encoding: "utf8" },
    );
    expect(stderr).toMatch(
      /^The package better-sqlite3 is not there: for Node v.* \(on Debian: build-essential python3\)\. Install these, and then ocluster again; .*\n$/,
    );
    expect(status).toBe(123);
  },
  LIMIT,
);

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
