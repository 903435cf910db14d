/**
 * Backups for administrators: a copy of the state is made, read, and removed.
 *
 * States: *none*; *being made*, for somebody who waits for it; *there*, until who has it gives it
 * up, has gone, or has not read for some minutes, as what is linked takes room when it goes
 * elsewhere; *none* again. The scheduler's end is that of a copy in any state.
 */
import type { Backups as Api } from "../../api/index.js";
import type { Logger } from "../../console/index.js";
import { RpcError } from "../../rpc/index.js";
import { writeMoment, writeSize } from "../../text/index.js";
import type { BackupCopy } from "../state/backup-copy.js";

/** In ms. */
const UNREAD_FOR = 5 * 60_000;

/** Files that are told of in one answer. */
const FILES_AT_ONCE = 1000;

export interface BackupsOptions {
  /** See `BackupCopy.make`. */
  make(content: Api.BackupContent, signal: AbortSignal): Promise<BackupCopy>;
  readonly log: Logger;
  /** In ms. Default: 5 minutes. */
  readonly unreadFor?: number;
}

export class Backups {
  private readonly stopping = new AbortController();
  private current: { readonly since: number; readonly ended: Promise<void> } | undefined;

  constructor(private readonly options: BackupsOptions) {}

  /**
   * Makes a copy, unless there is one. `who`: where it goes, for the log. Rejects with an
   * `RpcError`, of what was in the way or as `wanted` says.
   */
  async begin(
    content: Api.BackupContent,
    who: string,
    wanted: AbortSignal,
  ): Promise<Api.BackupService> {
    if (this.stopping.signal.aborted) throw STOPPING;
    if (this.current) {
      const since = writeMoment(this.current.since);
      throw new RpcError("failed", `Another backup is being made since ${since}; wait for its end`);
    }
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.current = { since: Date.now() / 1000, ended };
    const finish = () => {
      this.current = undefined;
      end();
    };
    try {
      const { log, make } = this.options;
      log.info(
        `A copy of the state, with the key, is made for an administrator's backup, at ${who}`,
      );
      const copy = await make(content, AbortSignal.any([wanted, this.stopping.signal]));
      log.info(`It has ${copy.files.length} files with ${writeSize(copy.size)}`);
      return new OneBackup(copy, this.options, this.stopping.signal, finish);
    } catch (error) {
      finish();
      throw error instanceof RpcError ? error : new RpcError("failed", (error as Error).message);
    }
  }

  /** Ends what there is; resolves when nothing is left of it. */
  async stop(): Promise<void> {
    this.stopping.abort(STOPPING);
    await this.current?.ended;
  }
}

const STOPPING = new RpcError("disconnected", "The scheduler is shutting down");

class OneBackup implements Api.BackupService {
  private timer: NodeJS.Timeout | undefined;
  private gone: RpcError | undefined;

  constructor(
    private readonly copy: BackupCopy,
    private readonly options: BackupsOptions,
    private readonly stopping: AbortSignal,
    private readonly onEnd: () => void,
  ) {
    stopping.addEventListener("abort", this.stop);
    this.isRead();
  }

  files(first: number, limit: number): readonly Api.BackupFile[] {
    this.isRead();
    return this.copy.files.slice(first, first + Math.min(limit, FILES_AT_ONCE));
  }

  async read(file: number, start: number, limit: number): Promise<Uint8Array> {
    this.isRead();
    return await this.copy.read(file, start, limit);
  }

  release(): void {
    this.end(new RpcError("failed", "This backup was given up"));
  }

  private readonly stop = (): void => this.end(STOPPING);

  /** Throws if there is nothing to be read any more. */
  private isRead(): void {
    if (this.gone) throw this.gone;
    clearTimeout(this.timer);
    const { log, unreadFor = UNREAD_FOR } = this.options;
    this.timer = setTimeout(() => {
      log.warn("A copy of the state for a backup is removed, as nobody reads it");
      this.end(new RpcError("failed", "The copy was removed, as it was not read for minutes"));
    }, unreadFor);
  }

  private end(reason: RpcError): void {
    if (this.gone) return;
    this.gone = reason;
    clearTimeout(this.timer);
    this.stopping.removeEventListener("abort", this.stop);
    this.copy
      .remove()
      .catch((error) => this.options.log.warn(`A copy for a backup cannot be removed: ${error}`))
      .finally(this.onEnd);
  }
}
