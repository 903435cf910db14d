/**
 * A base image for the project's images, made from Debian packages and this machine's Node: it
 * stands in for the official one where there is no registry to pull from. Making it takes half a
 * minute, so it is kept.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { unpackedPackage } from "./debian-package.js";

const CACHE = join(import.meta.dirname, "../../node_modules/.cache/debian-base");

/**
 * What the worker's image installs, so that it is found there and need not be downloaded each time.
 */
const PACKAGES = ["ca-certificates", "git", "runc", "tini", "umoci"];

/** The path of a tar archive of the root. */
export function debianBase(): string {
  const suite = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync("/etc/os-release", "utf8"))![1]!;
  const key = createHash("sha256")
    .update(JSON.stringify([suite, process.version, PACKAGES]))
    .digest("hex");
  const archive = join(CACHE, `${key.slice(0, 16)}.tar`);
  if (!existsSync(archive)) make(suite, archive);
  return archive;
}

function make(suite: string, archive: string): void {
  rmSync(CACHE, { recursive: true, force: true }); // what an older Node or list of packages has left there
  mkdirSync(CACHE, { recursive: true });
  const dir = mkdtempSync(join(tmpdir(), "ocluster-base-"));
  try {
    const rootfs = join(dir, "rootfs");
    install(suite, rootfs);
    copyAptSources(rootfs);
    copyNode(rootfs);
    const unfinished = join(dir, "base.tar");
    execFileSync("tar", [
      "-C",
      rootfs,
      "--numeric-owner",
      "--exclude=./dev/*",
      "-cf",
      unfinished,
      ".",
    ]);
    cpSync(unfinished, `${archive}.new`);
    renameSync(`${archive}.new`, archive);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** From the mirror, and through the proxy, that apt uses. */
function install(suite: string, rootfs: string): void {
  const output = (program: string, ...args: string[]) =>
    execFileSync(program, args, { encoding: "utf8" });
  const mirror = output(
    ...(["apt-get", "indextargets", "--format", "$(SITE)"] as const),
    ...["Created-By: Packages", "Origin: Debian", `Codename: ${suite}`, "Component: main"],
  ).split("\n", 1)[0]!;
  const proxy = /'(.*)'/.exec(output("apt-config", "shell", "PROXY", "Acquire::http::Proxy"))?.[1];
  const program = join(unpackedPackage("mmdebstrap"), "usr/bin/mmdebstrap");
  try {
    execFileSync(
      program,
      [
        ...["--mode=root", "--variant=minbase", `--include=${PACKAGES.join(",")}`],
        // Nobody cares for it after a power cut, and nobody reads there.
        "--dpkgopt=force-unsafe-io",
        '--aptopt=Acquire::Languages "none"',
        "--skip=cleanup/apt/lists",
        ...[suite, rootfs, mirror],
      ],
      { stdio: "pipe", env: { ...process.env, ...(proxy && { http_proxy: proxy }) } },
    );
  } catch (error) {
    const { stderr } = error as { readonly stderr?: Buffer };
    throw new Error(`mmdebstrap failed:\n${stderr?.toString().slice(-2000)}`, { cause: error });
  }
}

/** Where this machine gets its Debian packages from, and whom it trusts. */
function copyAptSources(rootfs: string): void {
  rmSync(join(rootfs, "etc/apt/sources.list"), { force: true });
  const lists = "/etc/apt/sources.list.d";
  const sources = readdirSync(lists).filter((name) => /^debian\.(list|sources)$/.test(name));
  for (const path of ["/etc/apt/sources.list", ...sources.map((name) => join(lists, name))]) {
    if (existsSync(path)) cpSync(path, join(rootfs, path));
  }
  cpSync("/etc/ssl/certs/ca-certificates.crt", join(rootfs, "etc/ssl/certs/ca-certificates.crt"));
}

/**
 * Node, npm, Node's headers and the libraries that they need, each where it is here, and in
 * /usr/local.
 */
function copyNode(rootfs: string): void {
  const node = realpathSync(process.execPath);
  const npm = realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim());
  const headers = join(dirname(dirname(node)), "include/node");
  const libraries = execFileSync("ldd", [node], { encoding: "utf8" }).match(/\/\S+/g) ?? [];
  // Debian's npm uses packages of Debian's, and its Node has parts of itself there.
  const shared = "/usr/share/nodejs";
  for (const path of [node, dirname(dirname(npm)), headers, shared, ...libraries]) {
    const target = join(rootfs, path);
    if (!existsSync(path) || existsSync(target)) continue;
    cpSync(path, target, { recursive: true, verbatimSymlinks: true });
  }
  const link = (target: string, name: string): void => {
    const path = join(rootfs, "usr/local", name);
    mkdirSync(dirname(path), { recursive: true });
    if (!existsSync(path)) symlinkSync(target, path);
  };
  link(node, "bin/node");
  link(npm, "bin/npm");
  link(join(dirname(npm), "npx-cli.js"), "bin/npx");
  link(headers, "include/node");
}
