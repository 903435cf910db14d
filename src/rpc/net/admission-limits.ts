/**
 * What those who come in by a listening vat's door may cost it. Whoever has its address can come,
 * without any secret. What is over a limit is turned away or dropped, with a line in the log;
 * nobody else notices. Each default says why it is what it is.
 */
import { readFileSync } from "node:fs";

export interface AdmissionLimits {
  /**
   * Most connections that peers may have made to a vat: some thousand workers, and as many clients.
   * Each costs some 60 KB and a file; of those, connections may use half of what the process may
   * have. A known peer that comes back has its place. Over it, a stranger is dropped, the oldest of
   * the address that has the most, or else newcomers are turned away.
   */
  readonly connections: number;
  /**
   * How long a peer may be connected without getting anything, or being asked for anything, in ms.
   * Every peer's first message asks for a service; the slowest need seconds. Who was given
   * something is no stranger any more, however idle.
   */
  readonly strangerMs: number;
  /**
   * Most connections from one address (see origin.ts) whose peers were not given anything yet: a
   * large cluster's workers behind one router, which are strangers for a moment. Each may hold a
   * megabyte of ours. Over it, the oldest of them is dropped.
   */
  readonly addressStrangers: number;
  /**
   * TLS handshakes at work at once. Each costs some milliseconds of computing, so that more would
   * only make all slower, until none is done in time when a whole cluster's workers come back at
   * once. The others wait for their turn, in the order in which they came.
   */
  readonly handshakes: number;
  /**
   * Of these, most that come from one address (see origin.ts): others shall have a turn, whatever
   * they do there.
   */
  readonly addressHandshakes: number;
  /**
   * How long one handshake may keep others from their turn, in ms: many times what it takes us, and
   * some round trips on a bad line.
   */
  readonly handshakeTurnMs: number;
  /**
   * Most handshakes that go on besides, after that. Each costs some 30 KB. Over it, one is dropped:
   * of the address that has the most of them, who is at it the longest.
   */
  readonly slowHandshakes: number;
  /**
   * Time until it is a peer's turn, and then for its handshake, in ms: many times what it takes, as
   * both machines may be busy with all the others.
   */
  readonly handshakeMs: number;
  /**
   * Most connections that have not said what they want yet, or wait for their turn: some clusters.
   * Each costs some KB and a file, of which this may be a quarter. Over it, one is dropped, and the
   * silent before others: of the address that has the most of them, who is there for the longest.
   */
  readonly waitingHandshakes: number;
}

/**
 * The limits for a vat that says nothing of those that are not in `options`, in a process that may
 * open so many files.
 */
export function admissionLimits(
  options: Partial<AdmissionLimits> = {},
  files = openFileLimit(),
): AdmissionLimits {
  return {
    connections: Math.min(10_000, files / 2),
    strangerMs: 120_000,
    addressStrangers: Math.min(1_024, files / 8),
    handshakes: 256,
    addressHandshakes: 128,
    handshakeTurnMs: 1_000,
    slowHandshakes: 2_048,
    handshakeMs: 60_000,
    waitingHandshakes: Math.min(8_192, files / 4),
    ...options,
  };
}

/** The soft limit on open files of this process. */
function openFileLimit(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
}
