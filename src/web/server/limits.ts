/**
 * What visitors can cost this program, and through it the scheduler. Times are in ms where the name
 * says so, sizes in bytes.
 */
export const WEB_LIMITS = {
  /** Connections at a time. Who comes then is not let in. */
  connections: 1000,
  /** Open pages, which are streams of events: in all, and of one address. */
  streams: 500,
  addressStreams: 100,
  /** Topics of one page, and different ones in all. */
  pageTopics: 16,
  topics: 2000,
  /** A request's headers and body, and the time that either may take. */
  headerBytes: 16 * 1024,
  bodyBytes: 1024 * 1024,
  headersMs: 10_000,
  requestMs: 60_000,
  /** For how long a reader of a stream or a download may not read. */
  stallMs: 60_000,
  /** Wrong secrets of an address in a row, and the time until it has one more. */
  wrongSecrets: 20,
  wrongSecretMs: 3000,
  /** Questions that are with the scheduler at a time, and others that wait for their turn. */
  questions: 16,
  waitingQuestions: 1000,
  /** Answers of the scheduler that are kept for a moment, as they would be as JSON. */
  cacheBytes: 64 * 1024 * 1024,
  /** What is kept of logs. */
  logCacheBytes: 16 * 1024 * 1024,
  /** Records that one search for a text goes through. */
  scannedJobs: 2500,
  /** A line of a log is shown to this length, and one window of lines reads so much. */
  lineBytes: 16 * 1024,
  windowBytes: 4 * 1024 * 1024,
  /** What one search in a log reads. */
  searchBytes: 16 * 1024 * 1024,
  /** Rows of a batch that a grid shows. */
  gridRows: 1_000_000,
  /** Drains and updates that run at a time. */
  operations: 50,
} as const;
