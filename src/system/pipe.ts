/*
 * Pipes to read a program's output from.
 *
 * What Node calls a pipe is a pair of sockets, and a program cannot open its own standard output
 * again (`echo x > /dev/stderr`, `tee /dev/stdout`) if that is a socket. So these are named pipes
 * without a name: a FIFO is made, opened and removed; through `/proc/self/fd` it can still be
 * opened anew for each program. Making one takes a process, so they are kept for the next program.
 */

import { randomUUID } from "node:crypto";
import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { run } from "./process.js";

export interface OutputPipe {
  /** File descriptor for the program's output. */
  readonly writer: number;
  /** Closes `writer` on our side; without that, `reader` has no end. */
  started(): void;
  readonly reader: Socket;
}

/** Makes as many pipes as are in use at a time. */
export class PipePool {
  readonly #dir: string;
  /**
   * A file descriptor for each pipe that nobody uses; it keeps the pipe alive and is never read
   * from.
   */
  readonly #idle: number[] = [];
  #closed = false;

  /** A new pipe has a name in `dir` for a moment. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Lends a pipe to `use`, which reads it to its end. If it rejects, what is left in the pipe goes
   * with it.
   */
  async use<T>(use: (pipe: OutputPipe) => Promise<T>): Promise<T> {
    const anchor = this.#idle.pop() ?? (await this.#make());
    let drained = false;
    try {
      const result = await useOnce(anchor, use);
      drained = true;
      return result;
    } finally {
      if (drained && !this.#closed) this.#idle.push(anchor);
      else closeSync(anchor);
    }
  }

  close(): void {
    this.#closed = true;
    this.#idle.splice(0).map(closeSync);
  }

  async #make(): Promise<number> {
    const path = join(this.#dir, `pipe-${randomUUID()}`);
    await run(["mkfifo", "-m", "600", "--", path]);
    try {
      return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } finally {
      unlinkSync(path);
    }
  }
}

async function useOnce<T>(anchor: number, use: (pipe: OutputPipe) => Promise<T>): Promise<T> {
  const name = `/proc/self/fd/${anchor}`;
  // None of this waits: opening for writing does so only while there is no reader.
  const reader = new Socket({
    fd: openSync(name, constants.O_RDONLY | constants.O_NONBLOCK),
    readable: true,
    writable: false,
  });
  let writer: number | undefined;
  const started = () => {
    if (writer !== undefined) closeSync(writer);
    writer = undefined;
  };
  try {
    writer = openSync(name, constants.O_WRONLY);
    return await use({ writer, started, reader });
  } finally {
    started();
    reader.destroy();
  }
}
