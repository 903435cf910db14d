/**
 * Commands that are in the documentation and cannot be run by a test: why, and how much of them is
 * checked all the same.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compose } from "../support/compose.js";
import { type ProgramName, run } from "../support/programs.js";
import { systemd } from "../support/systemd.js";
import { commandLinesIn } from "./blocks.js";

const ROOT = join(import.meta.dirname, "../..");

/** The reasons that a block may give, in `<!-- test: not run: REASON -->`. */
export const REASONS: ReadonlyMap<string, string> = new Map([
  ["itself", "The test would run itself."],
  [
    "systemd",
    "It takes a service manager, as process 1 of a machine. The units are checked by test/deploy.",
  ],
  ["swarm", "Swarm wants a network with bridges, which would be the host's."],
  [
    "compose",
    "Its images come from registries. Ours are built and run by test/integration/images.test.ts.",
  ],
  [
    "object store",
    "It takes an object store. One is there in test/integration/object-store.test.ts, for long runs.",
  ],
  ["reference", "It takes a machine with the reference's programs."],
]);

/**
 * What looks at the arguments of a program without doing anything, by the program's name. A program
 * is known here, or must not be in a block that is not run. Each returns what is wrong, or nothing.
 */
const CHECKS: Readonly<Record<string, (args: string[]) => Promise<string> | string>> = {
  "ocluster-scheduler": ours("ocluster-scheduler"),
  "ocluster-worker": ours("ocluster-worker"),
  "ocluster-client": ours("ocluster-client"),
  "ocluster-admin": ours("ocluster-admin"),
  "ocluster-autoscaler": ours("ocluster-autoscaler"),
  "ocluster-web": ours("ocluster-web"),
  obuilder: ours("obuilder"),
  npm: ([command, script]) => {
    if (command === "install" || command === "pack") return ""; // test/integration/package.test.ts does both.
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const name = command === "run" ? script! : command!;
    return name in scripts ? "" : `no script ${name}`;
  },
  // These look at options in their order, and end at --help.
  docker: ([command, ...args]) => {
    // Before its other options: what follows the name of an image would be for what runs in it.
    if (command !== "compose") return status("/usr/bin/docker", withHelp([command!, ...args]));
    return problemWithCompose(args);
  },
  systemctl: ([verb, ...args]) => {
    const { status: code, stdout, stderr } = systemd("systemctl", [verb!, ...args, "--help"]);
    if (code !== 0) return stderr;
    return new RegExp(`^  ${verb} `, "m").test(stdout) ? "" : `systemctl: no command ${verb}`;
  },
  useradd: (args) => status("useradd", withHelp(args)),
  install: (args) => status("install", withHelp(args)),
  echo: () => "", // Whatever it is given, it prints.
  eval: () => "", // What it is given are commands of their own.
};

function ours(name: ProgramName): (args: string[]) => Promise<string> {
  return async (args) => {
    // With --help, options are looked at, and nothing is done.
    const { code, stderr } = await run(name, [...args, "--help"]);
    return code === 0 ? "" : stderr;
  };
}

function status(program: string, args: string[]): string {
  const { error, status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return status === 0 ? "" : `${program}: ${error ?? stderr}`;
}

function withHelp(args: string[]): string[] {
  const at = args.findIndex((arg) => arg.startsWith("-"));
  return at < 0 ? [...args, "--help"] : [...args.slice(0, at), "--help", ...args.slice(at)];
}

/** Its first version does not look at options any more when it sees --help. */
function problemWithCompose(args: string[]): string {
  const general = compose(["--help"]).stdout;
  const at = args.findIndex((arg) => new RegExp(`^ +${arg} `, "m").test(general));
  const { status, stdout, stderr } = compose([...args.slice(0, at + 1), "--help"]);
  if (at < 0 || status !== 0) return `compose: ${stderr || "no command"}`;
  const known = (option: string) => `${general}${stdout}`.includes(option.replace(/=.*/, ""));
  return args.filter((arg) => arg.startsWith("--") && !known(arg)).join(" ");
}

/** What is wrong with a command, as far as it can be told; "" if nothing is. */
async function check([program, ...args]: string[]): Promise<string> {
  const checked = CHECKS[program!];
  return checked ? checked(args) : `${program}: nothing is known here to check it`;
}

/** What is wrong with the commands of a block. */
export async function problemsOf(commands: string): Promise<string[]> {
  const { status, stderr } = spawnSync("bash", ["-n"], { input: commands, encoding: "utf8" });
  const found = await Promise.all(commandLinesIn(commands).map(check));
  return [status === 0 ? "" : stderr, ...found].filter((problem) => problem !== "");
}
