/**
 * Durable jobs with the real programs, from the submit to the result, over a scheduler that is
 * killed.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster } from "../support/cluster.js";
import { Program, run } from "../support/programs.js";
import { Pty } from "../support/pty.js";
import { ScriptedWorker } from "../support/scripted-worker.js";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start();
  cluster.write("hello.spec", "((from busybox) (run (shell date)))");
});

afterAll(() => cluster.stop());

const words = (...args: readonly string[]) => ["-q", "-c", cluster.cap("submission"), ...args];

const client = (...args: readonly string[]) => run("ocluster-client", words(...args));

const worker = (name: string) => ScriptedWorker.connect(cluster.cap("pool-linux-x86_64"), name);

it("a job is found again, followed and waited for, whatever is killed", async () => {
  const spec = `--local-file=${cluster.path("hello.spec")}`;
  const submit = ["submit-obuilder", "--pool=linux-x86_64", spec];
  const submitted = await client(...submit, "--detach", "--name=hello", "--key=k");
  expect(submitted).toMatchObject({ code: 0, stdout: "1\n", stderr: "" });
  expect((await client(...submit, "--detach", "--key=k")).stdout).toBe("1\n");
  const dependent = await client(...submit, "--detach", "--after=1");
  expect(dependent.stdout).toBe("2\n");

  const follower = new Program("ocluster-client", ["-c", ...words("logs", "1", "-f").slice(2)]);
  // Only who has found its scheduler once waits for it; on a terminal it says when it has.
  const waiter = Pty.run(Pty.program("ocluster-client", words("wait", "1").slice(1)));
  await waiter.sees(/ OK/);
  const first = await worker("w1");
  (await first.pop()).write("one\ntwo\n");
  await follower.sees("stdout", /two\n/);

  await cluster.scheduler.stop("SIGKILL");
  await first.close();
  await cluster.restartScheduler();
  const second = await worker("w2");
  const job = await second.pop();
  job.write("three\n");
  await follower.sees("stdout", /three\n/);
  job.succeed("the-result");

  expect(await follower.ended).toMatchObject({ code: 0, stdout: "one\ntwo\nthree\n" });
  expect(follower.stderr).toMatch(/^Attempt 1 was lost with w1.*There is another one\.$/m);
  await waiter.sees("Job 1: succeeded");
  expect(await waiter.ended).toBe(0);
  const { stdout } = await client("jobs", "--json", "--state=succeeded");
  expect(JSON.parse(stdout)).toMatchObject({
    ...{ id: 1, name: "hello", key: "k", output: "the-result" },
    attempts: [
      { worker: "w1", outcome: "lost" },
      { worker: "w2", outcome: "succeeded" },
    ],
  });

  // The job that waited for it is queued now, and an administrator cancels it.
  const admin = (...args: readonly string[]) =>
    run("ocluster-admin", ["-q", "-c", cluster.cap("admin"), ...args]);
  expect(await admin("cancel", "2")).toMatchObject({ code: 0 });
  expect((await client("wait", "1", "2")).code).toBe(15);
  expect((await admin("usage", "--since=1h")).stdout).toMatch(/^test-user +2 +1 +0 +1 /m);
  await second.close();
});
