/** What stands on the screen of who waits for jobs: narrow, wide, resized, and by a pipe. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { Pty } from "../support/pty.js";
import { Tmux } from "../support/tmux.js";

let cluster: Cluster;
let terminal: Tmux;

beforeAll(async () => {
  // It has no workers: all that is submitted waits.
  cluster = await Cluster.start();
  cluster.write("x.spec", "((from x))");
});

afterEach(() => terminal.close());

afterAll(() => cluster?.stop());

/** The words for a command of the client's. */
function client(command: string, ...args: readonly string[]): string {
  const connect = `--connect=${cluster.cap("submission")}`;
  return Pty.program("ocluster-client", [...command.split(" "), connect, ...args]);
}

const submit = (...args: readonly string[]): string =>
  client("submit", ...args, cluster.path("x.spec"));

/** All that one sees: what stays, and the status line. */
const screenOf = (status: RegExp): RegExp =>
  new RegExp(String.raw`^Connecting to [^O]+OK\nTailing log:\n${status.source}$`);

it.each([
  [30, /\[ waiting \(position 1 of 1 in/],
  [80, /\[ waiting \(position 1 of 1 in linux-x86_64\) · ([2-9]|\d\d) s \]/],
  [200, /\[ waiting \(position 1 of 1 in linux-x86_64\) · ([2-9]|\d\d) s \]/],
])(
  "a status line takes one line of %i columns, and is gone with the job",
  async (columns, last) => {
    terminal = new Tmux(submit(), { columns });
    await terminal.shows(screenOf(last));
    terminal.press("C-c");
    const screen = await terminal.shows(/\[status 130\]$/);
    expect(screen).toContain("Interrupted: cancelling the");
    expect(screen).not.toContain("waiting");
  },
);

it("a status line is one line after it was broken by a terminal that became narrow", async () => {
  // Not at the top: tmux keeps what is erased there.
  terminal = new Tmux(`seq 9; ${submit()}`, { columns: 80 });
  const wide = /Tailing log:\n\[ waiting \(position 1 of 1 in linux-x86_64\) · \d+ s \]$/;
  await terminal.shows(wide);
  terminal.resize(24);
  const narrow = await terminal.shows(/Tailing log:\n\[ waiting \(position 1 o$/);
  expect(narrow.match(/waiting/g)).toHaveLength(1);
  terminal.resize(80);
  await terminal.shows(wide);
});

it("a batch's progress is one line, too", async () => {
  const batch = client(
    "batch",
    `--spec=${cluster.write("t.spec", "((from x) (env N {n}))")}`,
    "--range=1-5000",
  );
  terminal = new Tmux(`seq 9; ${batch}`, { columns: 100 });
  const progress = /^Batch \d+ \(t-[0-9a-f]+\): 0 of 5000 done, \d+ queued$/m;
  await terminal.shows(progress);
  terminal.resize(30);
  const narrow = await terminal.shows(/^Batch \d+ \(t-[0-9a-f]+\): 0 of 50*$/m);
  expect(narrow.match(/0 of 50|0 done/g)).toHaveLength(1);
});

it.each(["", "--durable"])("who reads a pipe has the terminal alone (%j)", async (option) => {
  terminal = new Tmux(`${submit(...(option ? [option] : []))} | cat`);
  await terminal.shows(/Tailing log:$/);
  await expect.poll(() => cluster.show()).toContain("test-user:");
  expect(terminal.screen()).not.toContain("waiting");
});
