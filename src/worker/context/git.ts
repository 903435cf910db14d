/**
 * Runs Git in one directory, for a job: its output goes to the job's log, it gets nothing from the
 * worker that a job must not use (prompts, protocols that run commands or read files, variables of
 * the environment), and it ends with the job, with all that it has started.
 */
import { GitPluginError, simpleGit } from "simple-git";
import { start } from "../../system/index.js";
import { JobFailed } from "../failure.js";
import { type GitLimits, watchGit } from "./git-limits.js";
import { GitProcesses } from "./git-processes.js";
import { OWNER_MARK } from "./orphans.js";
import { redact } from "./repository-url.js";

/** Takes lines of output. */
export type LineLog = (line: string) => void;

export interface GitOptions {
  readonly log: LineLog;
  /** Ends what runs; its reason is thrown then. */
  readonly signal: AbortSignal;
  readonly limits: GitLimits;
  /** A file for git-credential-store(1). */
  readonly credentialFile?: string | undefined;
}

/** Git exited with `code`; `output` is what it said last. */
export class GitFailed extends JobFailed {
  constructor(
    label: string,
    readonly code: number,
    readonly output: string,
  ) {
    super(`${label} failed with exit-code ${code}`);
  }

  /** Whether Git complains about the state of the local clone. */
  get saysCorrupted(): boolean {
    return CORRUPTED.test(this.output);
  }

  /** Whether clone and remote have different object formats. */
  get saysOtherFormat(): boolean {
    return /mismatched algorithms: client/.test(this.output);
  }
}

const CORRUPTED =
  /not a git repository|corrupt|bad object|is empty$|unable to read (tree|sha1)|index file|invalid object|bad signature|packfile .* (does not|cannot)|missing (blob|tree|commit)|shallow file has changed|unable to (create|unlink) '.*\.lock'/im;

const ENVIRONMENT = {
  GIT_TERMINAL_PROMPT: "0",
  // Also what a submodule's URL may use. Without this, `file:` and `ssh:` would reach what is the
  // worker's alone.
  GIT_ALLOW_PROTOCOL: "git:http:https",
  GIT_ASKPASS: "true",
  GIT_AUTHOR_NAME: "ocluster",
  GIT_COMMITTER_NAME: "ocluster",
  GIT_AUTHOR_EMAIL: "ocluster@ocurrent.org",
  GIT_COMMITTER_EMAIL: "ocluster@ocurrent.org",
  LC_ALL: "C",
};

/** Of the worker's variables, Git sees these: where things are, and how to get to the network. */
const INHERITED = /^(PATH|HOME|TMPDIR|XDG_CONFIG_HOME|SSL_CERT_(FILE|DIR)|(https?|all|no)_proxy)$/i;

function environment(): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => INHERITED.test(name));
  return {
    ...(Object.fromEntries(inherited) as Record<string, string>),
    ...ENVIRONMENT,
    ...OWNER_MARK,
  };
}

/** Bytes of output kept for `GitFailed`. */
const KEPT_OUTPUT = 8 * 1024;

/** A server can make Git print as much as it likes. */
const MAX_OUTPUT = 4 * 1024 * 1024;

/** Settings for each command. */
const SETTINGS = [
  "advice.detachedHead=false",
  "gc.autoDetach=false",
  // Nothing puts hooks into a clone; if something did, they should not run.
  "core.hooksPath=/dev/null",
];

export class Git {
  /** Set when something had to be killed, which may have damaged the clone. */
  wasKilled = false;

  constructor(
    private readonly directory: string,
    private readonly options: GitOptions,
  ) {}

  /**
   * Runs a command and passes its output on. Throws the signal's reason; `GitFailed`, whose message
   * starts with `label`; `GitTooLarge`; if `maxSilence` (ms) is given, `JobFailed` when nothing
   * comes from Git for that long.
   */
  async run(label: string, args: readonly string[], maxSilence?: number): Promise<void> {
    const stop = new AbortController();
    const silence =
      maxSilence === undefined
        ? undefined
        : setTimeout(() => {
            const seconds = maxSilence / 1000;
            const why = `${label} was stopped: no answer from the server for ${seconds} s`;
            stop.abort(new JobFailed(why));
          }, maxSilence);
    let total = 0;
    const onOutput = (stream: NodeJS.ReadableStream): void => {
      const lines = new LineFilter((line) => this.options.log(redact(line)));
      stream.on("data", (data: Buffer) => {
        lines.push(data);
        silence?.refresh();
        total += data.length;
        if (total > MAX_OUTPUT) {
          const why = `${label} was stopped: it printed more than ${MAX_OUTPUT} bytes`;
          stop.abort(new JobFailed(why));
        }
      });
      stream.once("end", () => lines.end());
    };
    try {
      await this.#raw(label, args, { stop, maxSilence }, onOutput);
    } finally {
      clearTimeout(silence);
    }
  }

  /** Whether a command succeeds; its output is dropped. Throws the signal's reason. */
  async succeeds(args: readonly string[]): Promise<boolean> {
    try {
      await this.#raw("git", args, { stop: new AbortController() }, () => {});
      return true;
    } catch (error) {
      if (error instanceof GitFailed) return false;
      throw error;
    }
  }

  /**
   * Runs a command that only reads, and hands over what it prints, which may be far more than
   * simple-git could keep. What `take` throws ends it. Throws like `run`.
   */
  async read(label: string, args: readonly string[], take: (data: Buffer) => void): Promise<void> {
    const { signal } = this.options;
    signal.throwIfAborted();
    const { process: git, ended } = start(["git", ...args], {
      cwd: this.directory,
      env: environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const kill = () => void git.kill("SIGKILL");
    signal.addEventListener("abort", kill, { once: true });
    let said = "";
    git.stderr?.on("data", (data: Buffer) => {
      said = (said + data.toString()).slice(-KEPT_OUTPUT);
    });
    try {
      for await (const data of git.stdout ?? []) take(data as Buffer);
      const { status } = await ended;
      signal.throwIfAborted();
      if (status === undefined) throw new JobFailed(`${label} was killed by a signal`);
      if (status !== 0) throw new GitFailed(label, status, redact(said));
    } finally {
      signal.removeEventListener("abort", kill);
      kill();
      await ended.catch(() => {}); // If it could not be started, that was thrown.
    }
  }

  async #raw(
    label: string,
    args: readonly string[],
    {
      stop,
      maxSilence = 0,
    }: { readonly stop: AbortController; readonly maxSilence?: number | undefined },
    onOutput: (stream: NodeJS.ReadableStream) => void,
  ): Promise<void> {
    const { credentialFile, limits } = this.options;
    const processes = new GitProcesses();
    const lowSpeedTime = Math.ceil(maxSilence / 1000);
    let failure: JobFailed | undefined;
    const signal = AbortSignal.any([this.options.signal, stop.signal]);
    signal.throwIfAborted();
    const git = simpleGit({
      // Of what it starts, this ends Git alone; but it sees to it that nothing is started any more.
      abort: signal,
      baseDir: this.directory,
      allowEnvironment: Object.keys(ENVIRONMENT),
      unsafe: {
        allowUnsafeCredentialHelper: true,
        allowUnsafeAskPass: true,
        allowUnsafeHooksPath: true,
      },
      config: [
        ...SETTINGS,
        // So that a transfer from a dead server ends even if this process is not there any more to
        // end it.
        ...(lowSpeedTime > 0 ? ["http.lowSpeedLimit=1", `http.lowSpeedTime=${lowSpeedTime}`] : []),
        ...(credentialFile === undefined
          ? []
          : ["credential.helper=", `credential.helper=store --file=${credentialFile}`]),
      ],
      // Left to itself it takes a command that failed without a word, or was killed, for a success.
      errors: (error, { exitCode, stdErr, stdOut }) => {
        if (exitCode === 0 || error instanceof GitPluginError) return error;
        const output = Buffer.concat([...stdOut, ...stdErr]).toString();
        failure = Number.isInteger(exitCode)
          ? new GitFailed(label, exitCode, redact(output.slice(-KEPT_OUTPUT)))
          : new JobFailed(`${label} was killed by a signal`);
        return failure;
      },
    });
    git.env({ ...environment(), ...processes.mark }).outputHandler((_command, stdout, stderr) => {
      onOutput(stdout);
      onOutput(stderr);
    });
    const over = new AbortController();
    const { directory } = this;
    const watched = { directory, fetches: lowSpeedTime > 0, label, limits, processes };
    const watching = watchGit(watched, over.signal).catch((error) => stop.abort(error));
    let ending: Promise<boolean> | undefined;
    const end = () => {
      ending = processes.end();
    };
    signal.addEventListener("abort", end, { once: true });
    try {
      await git.raw([...args]);
    } catch (error) {
      // What it throws is not what it was given.
      throw signal.aborted ? signal.reason : (failure ?? error);
    } finally {
      signal.removeEventListener("abort", end);
      over.abort();
      await watching;
      if (ending && !(await ending)) this.wasKilled = true;
    }
  }
}

/** What `git fetch --progress` says while it works, for which a log is no place. */
const PROGRESS =
  /^(remote: )?(Enumerating|Counting|Compressing|Receiving|Resolving|Updating|Unpacking|Filtering|Total)\b/;

/** Cuts output into lines, without those that a terminal would not keep. */
class LineFilter {
  #rest = "";

  constructor(private readonly take: LineLog) {}

  push(data: Buffer): void {
    const lines = (this.#rest + data.toString()).split("\n");
    // Bounded, as a line from a server may never end.
    this.#rest = lines.pop()!.slice(-KEPT_OUTPUT);
    for (const line of lines) this.#line(line);
  }

  end(): void {
    if (this.#rest !== "") this.#line(this.#rest);
  }

  #line(text: string): void {
    const line = text.slice(text.lastIndexOf("\r", text.length - 2) + 1).trimEnd();
    if (line !== "" && !PROGRESS.test(line)) this.take(line);
  }
}
