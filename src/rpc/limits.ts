/**
 * What one connection may cost us. A peer that goes over a limit has its connection aborted with
 * the reason; nobody else notices. Each default says why it is what it is.
 */
export interface Limits {
  /**
   * Largest message in bytes, header excluded. 64 MiB is what the C++ implementation reads by
   * default.
   */
  readonly messageBytes: number;
  /**
   * The same for a peer that has shown no right to anything yet: it was given no capability and was
   * asked nothing. Who can reach us can be such a peer, on as many connections as there are files.
   * Enough for a first call that is sent along with the `Bootstrap`.
   */
  readonly strangerMessageBytes: number;
  /**
   * Most segments in a message. 512 is what the C++ implementation accepts; ours are one or two.
   */
  readonly segments: number;
  /** Deepest nesting of pointers in a payload. 64 is the limit of the other implementations. */
  readonly nesting: number;
  /**
   * Most elements without content (`List(Void)` and lists of empty structs) in a message: they cost
   * a peer nothing to claim and a reader a step each. Content itself needs no such limit: a message
   * whose pointers overlap is refused.
   */
  readonly emptyElements: number;
  /**
   * Most pointers in a payload, null or not. Looking at one takes some ten nanoseconds, and a large
   * message has room for eight million: everybody else would have to wait.
   */
  readonly pointers: number;
  /**
   * Most calls of the peer that are being worked on. A client that waits for each of 100,000 jobs
   * has one or two calls open per job, and each costs us about a kilobyte.
   */
  readonly callsInFlight: number;
  /** Most bytes that the params of these calls may hold. Four of the largest messages. */
  readonly callBytesInFlight: number;
  /**
   * Most answers that the peer has been given and has not finished. A peer finishes an answer as
   * soon as it has it, so that these are what is under way to it; each costs us up to a kilobyte.
   */
  readonly unfinishedAnswers: number;
  /**
   * How often a promise of the peer's may turn into another one: each step is remembered until it
   * is released.
   */
  readonly promiseSteps: number;
  /**
   * Most objects exported to the peer: a million queued jobs' tickets, with room. Each costs us
   * about 200 bytes.
   */
  readonly exports: number;
  /**
   * Most references to the peer's objects: as many as exports. Counts those that the peer makes us
   * hold.
   */
  readonly imports: number;
  /**
   * Bytes queued for the peer from which on nothing more is read from it: a slow reader slows its
   * own calls. Enough to keep a fast network busy for a round trip.
   */
  readonly outboundPauseBytes: number;
  /** Bytes queued for the peer from which on new calls to it fail as "overloaded" at once. */
  readonly outboundCallBytes: number;
  /**
   * Bytes queued for the peer at which the connection is aborted: answers to calls it made earlier
   * still pile up though nothing is read from it any more.
   */
  readonly outboundAbortBytes: number;
}

const MIB = 1024 * 1024;

export const DEFAULT_LIMITS: Limits = {
  messageBytes: 64 * MIB,
  strangerMessageBytes: 1 * MIB,
  segments: 512,
  nesting: 64,
  emptyElements: 1 * MIB,
  pointers: 1 * MIB,
  callsInFlight: 262_144,
  callBytesInFlight: 256 * MIB,
  unfinishedAnswers: 262_144,
  promiseSteps: 256,
  exports: 2 * MIB,
  imports: 2 * MIB,
  outboundPauseBytes: 4 * MIB,
  outboundCallBytes: 128 * MIB,
  outboundAbortBytes: 256 * MIB,
};
