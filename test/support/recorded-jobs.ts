/**
 * Jobs that tell a recorder of each of their runs: what they carry, what they print, and the
 * recorder, an HTTP server outside of the cluster. What really ran is compared with what is on
 * record of it.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Message, ObjectSize, Struct, utils } from "capnp-es";

/** The kind of these jobs. */
export const RECORDED = "recorded";

/** What such a job does. */
export interface Plan {
  /** Distinct for distinct jobs. */
  readonly key: string;
  readonly lines: number;
  /** Characters that each line has besides. */
  readonly width: number;
  /** Between two lines. */
  readonly pauseMs: number;
  /** Each of its runs fails. */
  readonly fails: boolean;
}

/** A plan as it travels: JSON. `struct Text { text @0 :Text; }` */
export class PlanText extends Struct {
  static readonly _capnp = {
    displayName: "PlanText",
    id: "c2b1f7d0a94e3358",
    size: new ObjectSize(0, 1),
  };
  get text(): string {
    return utils.getText(0, this);
  }
  set text(value: string) {
    utils.setText(0, value, this);
  }
}

export function payloadOf(plan: Plan): PlanText {
  const payload = new Message().initRoot(PlanText);
  payload.text = JSON.stringify(plan);
  return payload;
}

/** What a run prints, by lines. */
export function linesOf({ lines, width }: Plan, run: string): string[] {
  const filling = "x".repeat(width);
  return [`run ${run}`, ...Array.from({ length: lines }, (_, n) => `line ${n} ${filling}`), "last"];
}

/** The reason of those that fail. */
export const AS_PLANNED = "It failed, as planned";

/** What a run tells the recorder when it begins and when it ends. */
export interface Report {
  readonly key: string;
  readonly worker: string;
  /** No other run is called so. */
  readonly run: string;
  readonly event: "began" | "done" | "stopped";
}

/** One run of a job, as it was told of. */
export interface Run {
  readonly key: string;
  readonly worker: string;
  readonly run: string;
  /** Null: it was killed, or still runs. */
  ended: "done" | "stopped" | null;
}

export class Recorder {
  readonly runs = new Map<string, Run>();
  private readonly server = createServer((request, response) => {
    void this.take(request).then(() => response.end());
  });

  static async start(): Promise<Recorder> {
    const recorder = new Recorder();
    recorder.server.listen(0, "127.0.0.1");
    await once(recorder.server, "listening");
    return recorder;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  of(key: string): Run[] {
    return [...this.runs.values()].filter((run) => run.key === key);
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async take(request: IncomingMessage): Promise<void> {
    let text = "";
    for await (const part of request.setEncoding("utf8")) text += part;
    const { event, key, run, worker } = JSON.parse(text) as Report;
    if (event === "began") this.runs.set(run, { key, worker, run, ended: null });
    else this.runs.get(run)!.ended = event;
  }
}
