# What our schedulers offer beyond the shared contract, ocluster.capnp.
#
# Interfaces of our own, on objects that have an interface of the contract too: a `Ticket` is also a `QueuedTicket`, and a
# `PoolAdmin` also a `PoolMonitor`. A scheduler that does not know them answers "unimplemented", and the caller does
# without. The contract itself stays as it is, so that nothing here can ever mean something else to another peer.
# What is added later gets new ordinals at the end.

@0xfa00671b88daa6e6;

interface QueuedTicket {
  place @0 () -> (place :QueuePlace);
  # Where the job is at this moment. Cheap, whatever the queue's length; answered at once.
}

struct QueuePlace {
  queue :union {
    none @0 :Void;         # not queued (any more): a worker has it, or nobody will
    backlog @1 :Void;      # for any worker of the pool
    worker @2 :Text;       # for this worker, which holds its cache hint or has waited longest
  }
  ahead @3 :UInt32;        # jobs that would be taken before it; an estimate when jobs of that queue were cancelled
  length @4 :UInt32;       # jobs in that queue, itself included
  lacking @5 :List(Text);  # of the abilities that it needs: those that no connected worker has; empty: one has all
}

interface PoolMonitor {
  state @0 () -> (state :PoolState);
  # The pool in numbers. Costs a little for each worker and client, and nothing for queued jobs.

  explain @1 (subject :Subject) -> (explanation :Explanation);
  # Why something does not run, at this moment. Costs a little for each worker and client.
}

struct Subject {
  union {
    pool @0 :Void;         # the queued job that is next
    worker @1 :Text;       # a worker that is connected or was
    client @2 :Text;       # the first of this client's queued jobs
    job @3 :UInt64;        # a durable job that has not ended
  }
}

struct Explanation {
  job @0 :WaitingJob;      # that this is about; of a worker, the one it would be given next; null: none is queued
  obstacles @1 :List(Obstacle);
  # What keeps it from running, or the worker from being given a job: what weighs most comes first.
}

struct WaitingJob {
  client @0 :Text;
  label @1 :Text;          # its cache hint, as `show` has it
  urgent @2 :Bool;
  place @3 :QueuePlace;
  delay @4 :Float64;       # seconds until its fair start; at most 0: it is due
}

struct Obstacle {
  kind @0 :Kind;
  # Each kind says which of the other fields it sets.

  worker @1 :Text;
  workers @2 :UInt32;
  # Why workers are given no jobs:
  workerPause @3 :Bool;
  adminPause @4 :Bool;
  shuttingDown @5 :Bool;
  running @6 :UInt32;
  capacity @7 :UInt32;
  ahead @8 :UInt32;
  seconds @9 :Float64;
  job @10 :UInt64;
  jobs @11 :UInt32;
  needs @12 :List(Text);

  enum Kind {
    unknown @0;            # none of these; a later version's
    noWorkers @1;          # no worker is connected; so many `workers` were
    paused @2;             # so many connected `workers` are given no jobs, for these reasons
    busy @3;               # so many `workers` run as many jobs as they can: `running` of `capacity`
    silent @4;             # so many `workers` have room and have not asked for a job
    behind @5;             # so many jobs are `ahead` in its queue, by urgency and fair start
    share @6;              # its client has had its share: its fair start is in so many `seconds`
    reserved @7;           # waits for this `worker`, which has so many `seconds` of work queued
    disconnected @8;       # the worker is not connected; `adminPause` as it was left
    idle @9;               # the worker has asked for a job, and none is queued for it
    # Of durable jobs that are not queued:
    after @10;             # waits until so many `jobs` have succeeded, `job` among them
    pause @11;             # its next attempt is due in so many `seconds`
    running @12;           # it runs on this `worker`
    outOfTouch @13;        # it runs on this `worker` as far as is known, which is out of touch

    unable @14;            # so many connected `workers` lack some ability of those that it `needs`
  }
}

struct PoolState {
  capacity @0 :UInt32;     # jobs that the connected workers can run at a time
  ready @1 :UInt32;        # requests for a job that wait for one
  backlog @2 :JobCount;    # queued for whatever worker
  workers @3 :List(WorkerState);
  clients @4 :List(ClientState);

  # Since the scheduler started:
  submitted @5 :UInt64;
  started @6 :UInt64;
  cancelled @7 :UInt64;    # while they were queued
  finished @8 :UInt64;

  obstacles @9 :List(Obstacle);
  # What keeps the queued job that is next from running; empty if none is queued.

  wanted :union {
    untold @10 :Void;
    workers @11 :UInt32;
    # So many of the usual capacity would have the queue empty within the scheduler's target.
  }
}

struct JobCount {
  urgent @0 :UInt32;
  other @1 :UInt32;
}

struct WorkerState {
  name @0 :Text;
  connected @1 :Bool;
  # Why it is given no jobs; of one that is not connected only the administrator's pause is known.
  workerPause @2 :Bool;
  adminPause @3 :Bool;
  shuttingDown @4 :Bool;
  capacity @5 :UInt32;
  running @6 :UInt32;
  queue @7 :JobCount;      # queued for this worker
  work @8 :Float64;        # what these jobs are expected to take, in seconds
}

struct ClientState {
  id @0 :Text;
  rate @1 :Float64;        # jobs at a time that it is entitled to
  delay @2 :Float64;       # seconds until its next job is due by its share; at most 0: now
  queued @3 :JobCount;     # its jobs in all queues of the pool
}

# Durable jobs: jobs that belong to the scheduler, and not to a connection. A `Submission` is also a `DurableSubmission` and a
# `JobRecords` of its client's jobs; an `Admin` is a `JobRecords` of all; a worker's `Queue` is also a `DurableQueue`, and
# its `Job` a `DurableJob`. Times are seconds since the Unix epoch with fractions, and 0 where there is none. Sizes are bytes.

using import "ocluster.capnp".Job;
using import "ocluster.capnp".JobDescr;

interface DurableSubmission {
  submit @0 (pool :Text, descr :JobDescr, urgent :Bool, options :DurableOptions) -> (job :UInt64, known :Bool);
  # Answered when the job is on disk: it is not lost from then on. `known`: the client has a job with this key already, which
  # this is; nothing was submitted.
}

struct DurableOptions {
  name @0 :Text;
  key @1 :Text;            # not empty: the same key of the same client is the same job
  retries @2 :UInt32;      # attempts after one that failed or took too long
  lostRetries @3 :Float64; # attempts after one that was lost with its worker; may be infinite
  retryDelay @4 :Float64;  # seconds before a further attempt
  timeout @5 :Float64;     # seconds that an attempt may run; 0: any
  after @6 :List(UInt64);  # jobs of the client that must have succeeded before it starts
  outputs @7 :OutputOrder; # null: no files are kept
}

struct OutputOrder {       # which files of a job's result are kept for its client
  paths @0 :List(Text);    # absolute paths and patterns in the result; none: no files are kept
  when @1 :OutputWhen;
  optional @2 :Bool;       # what is not there is no failure
}

enum OutputWhen {
  success @0;
  failure @1;              # of the failed step's root as it was
  always @2;
}

enum JobState {
  waiting @0;              # for other jobs, or for a further attempt's time
  queued @1;
  running @2;
  succeeded @3;
  failed @4;
  cancelled @5;
}

enum Cause {
  none @0;                 # it goes on
  succeeded @1;
  failed @2;               # the build itself
  timeout @3;
  noSpace @4;              # the worker had no room
  evicted @5;              # the worker gave it back
  lost @6;                 # the worker was not heard of for too long
  crashed @7;              # the worker is back, without it
  cancelled @8;
}

struct JobRecord {
  job @0 :UInt64;
  client @1 :Text;
  pool @2 :Text;
  attached @3 :Bool;       # belonged to a connection: neither its description nor its log are kept
  name @4 :Text;
  key @5 :Text;
  hint @6 :Text;
  batch @7 :Text;
  urgent @8 :Bool;
  submitted @9 :Float64;
  started @10 :Float64;    # the first attempt
  ended @11 :Float64;
  state @12 :JobState;
  cause @13 :Cause;        # of its end
  reason @14 :Text;        # for people: why it ended, or why it waits
  output @15 :Text;        # of a job that has succeeded
  options @16 :DurableOptions;
  attempts @17 :List(AttemptRecord);
  revision @18 :UInt64;    # grows with each change
  row @19 :UInt64;         # of a batch: which of its rows, from 1; 0: of none
  retriable @20 :Bool;     # has ended, and all is there that one more attempt takes; of a batch's, by its batch
}

struct AttemptRecord {
  attempt @0 :UInt32;      # 1, 2, …
  worker @1 :Text;
  offered @2 :Float64;
  started @3 :Float64;     # the worker has said so
  ended @4 :Float64;
  outcome @5 :Cause;
  reason @6 :Text;
  logSize @7 :UInt64;      # of what the scheduler has of its log
  outOfTouch @8 :Bool;     # the scheduler waits for its worker to come back
  outputSize @9 :UInt64;   # of the stream of files that is kept of it; 0: none is (any more)
}

struct JobFilter {         # what is left out, or 0, or empty, does not matter
  states @0 :List(JobState);
  pool @1 :Text;
  client @2 :Text;
  worker @3 :Text;         # of any attempt
  hint @4 :Text;
  name @5 :Text;
  key @6 :Text;
  batch @7 :Text;
  since @8 :Float64;       # submitted then or later
  until @9 :Float64;       # submitted before
}

interface JobRecords {
  list @0 (filter :JobFilter, cursor :Text, limit :UInt32) -> (jobs :List(JobRecord), cursor :Text);
  # Newest first. The next page is had with the cursor that came with this one; empty: there is none.

  get @1 (job :UInt64, revision :UInt64) -> (job :JobRecord);
  # Waits while that is the job's revision. 0: at once.

  log @2 (job :UInt64, attempt :UInt32, start :Int64, follow :Bool) -> (log :Data, next :Int64, attempt :UInt32);
  # A chunk of an attempt's log, from byte `start` on (negative: from the end). Attempt 0: the newest. Empty data is the end:
  # with `follow` that of an attempt that has ended, without of what there is now.

  cancel @3 (job :UInt64, reason :Text) -> ();
  # Answered when that is on disk. Nothing happens to a job that has ended.

  retry @4 (job :UInt64) -> ();
  # One more attempt for a job that has ended without success. Refused when its description is not kept any more.

  usage @5 (since :Float64, until :Float64) -> (clients :List(ClientUsage));

  outputs @6 (job :UInt64, attempt :UInt32) -> (attempt :UInt32, size :UInt64);
  # Which files are kept of an attempt: bytes of their stream, which ends with its list (docs/protocol.md). Attempt 0: the newest
  # of which there are some. Size 0: there are none.

  readOutputs @7 (job :UInt64, attempt :UInt32, start :UInt64, limit :UInt32) -> (data :Data);
  # A part of that stream, from byte `start` on; not longer than `limit`. Empty data is its end.
}

struct ClientUsage {
  client @0 :Text;
  jobs @1 :UInt64;         # that were submitted in that time
  succeeded @2 :UInt64;
  failed @3 :UInt64;
  cancelled @4 :UInt64;
  seconds @5 :Float64;     # that workers spent on its attempts, of those that ended in that time
  lostSeconds @6 :Float64; # of these, on attempts that were lost, given back, or crashed
}

interface DurableQueue {
  resume @0 (book :Data, job :UInt64, attempt :UInt32, run :Job, state :HeldState) -> (verdict :Verdict);
  # Says that the worker still has an attempt from an earlier connection; before it asks for jobs. `run` is as in `pop`.
  # `book` is the scheduler's records that the numbers are of.

  pop @1 (job :Job) -> (descr :JobDescr, assignment :Assignment);
  # As `Queue.pop`, for a worker that knows what to do with durable jobs.
}

enum HeldState {
  running @0;
  ended @1;
  crashed @2;              # the worker's process that ran it is gone; `run` is null
}

enum Verdict {
  goOn @0;                 # the scheduler reads log and outcome of `run`
  stop @1;                 # given up: stop it, and forget it
}

struct Assignment {
  union {
    attached @0 :Void;
    durable :group {
      job @1 :UInt64;
      attempt @2 :UInt32;
      timeout @3 :Float64; # seconds that it may run; 0: any
      reattach @4 :Float64;# seconds for which it goes on without a scheduler
      book @5 :Data;
      outputs @6 :OutputOrder;
      outputLimit @7 :UInt64; # bytes that the files may have together
    }
  }

  # For the worker's log:
  client @8 :Text;
  number @9 :UInt64;       # of attached jobs, too; 0: it has none
}

interface DurableJob {
  begun @0 () -> ();
  # Answered when the attempt is on the worker's disk, and runs.

  outcome @1 () -> (cause :Cause, output :Text, reason :Text, logSize :UInt64, outputSize :UInt64, outputHash :Data);
  # Waits for its end. Of a job whose files are kept, the size of their stream, and its SHA-256.

  settled @2 () -> ();
  # The scheduler has log, files and outcome on disk: the worker may forget them.

  readOutputs @3 (start :UInt64, limit :UInt32) -> (data :Data);
  # A part of the stream of files, as in `JobRecords`.
}

# Files of results by an object store: their bytes go there and from there by HTTP, with URLs that the scheduler signs, each for one
# request of the next few minutes. A worker or client that cannot reach the store, or does not know these, has them relayed.

interface OutputUpload {
  # Of a worker's `DurableJob`.

  put @0 (url :Text, start :UInt64, length :UInt64) -> (status :UInt16, code :Text, tag :Text, message :Text);
  # The worker PUTs a part of the stream of files to the URL. What the store has answered: HTTP's status, its own word for an error,
  # and the ETag. Status 0: it was not reached, or gave no answer; `message` says why.
}

interface OutputLinks {
  # Of a `JobRecords`.

  link @0 (job :UInt64, attempt :UInt32) -> (url :Text, seconds :UInt32);
  # A URL at which the stream of files is read with GET and Range, by requests that begin within so many seconds. "": it is read by
  # `JobRecords.readOutputs` alone.
}

interface ClientRemoval {
  # Of an `Admin`.

  remove @0 (id :Text, cancelRunning :Bool) -> ();
  # As `Admin.removeClient`, which cancels what the client has queued; also what it has running, if so wished.
}

interface LiveJobs {
  # Of a `PoolAdmin`: the pool's jobs that have not ended, those that belong to connections included.

  list @0 (filter :LiveFilter, limit :UInt32) -> (jobs :List(LiveJob), total :UInt32);
  # So many of those that fit, and how many do. Limit 0: as many as fit into an answer.

  cancel @1 (filter :LiveFilter, reason :Text, limit :UInt32) -> (jobs :List(LiveJob), total :UInt32);
  # Cancels all that fit, and lists them as they were. Answered when that is on disk, and workers have been told.
}

struct LiveFilter {        # what is left out, or empty, does not matter
  states @0 :List(JobState);
  client @1 :Text;
  worker @2 :Text;         # that runs it: no queued job fits
  hint @3 :Text;
}

struct LiveJob {
  job @0 :UInt64;
  client @1 :Text;
  attached @2 :Bool;
  name @3 :Text;
  hint @4 :Text;
  urgent @5 :Bool;
  state @6 :JobState;
  submitted @7 :Float64;
  # Of a running one:
  attempt @8 :UInt32;
  worker @9 :Text;
  started @10 :Float64;
  lastOutput @11 :Float64; # something of its log came by, for its client or the scheduler; 0: not yet
  outOfTouch @12 :Bool;
}

# What workers are able to do. An ability is a word, such as "docker" (builds Dockerfiles) or "obuilder" (builds specs); what a
# job needs follows from its description. A worker gets only jobs whose needs it meets, unless it has never said anything, as those that
# know only the contract: then it gets all.

interface AbleQueue {
  # Of a worker's `Queue`.

  declare @0 (abilities :WorkerAbilities) -> ();
  # What the worker is able to do from now on. Said before the first request for a job, and when it has changed.
}

struct WorkerAbilities {
  able @0 :List(Text);
  # About its machine, for people; 0 or empty: not known.
  cpus @1 :Float64;        # that jobs can use
  memory @2 :UInt64;       # bytes
  architecture @3 :Text;   # as Go calls it: amd64, arm64, …
}

# Batches: one template and many rows, each of which becomes a durable job of its client when its turn is near. A `Submission` is
# also a `Batches`, of its client's; an `Admin` is one of all, in which no batch can be begun.

interface Batches {
  open @0 (batch :NewBatch) -> (batch :UInt64, rows :UInt64, isNew :Bool, again :UInt64);
  # Begins a batch, or finds the one of the client with this name and digest, which goes on: `isNew` is false then, and `again`
  # of its jobs that ended without success are tried again. `rows` of its rows have come, which need not be sent again.
  # Another batch of the name gives the name up. What has succeeded in there is not run again in the new one.

  add @1 (batch :UInt64, first :UInt64, rows :Data) -> (rows :UInt64, kept :UInt64);
  # More rows, in the form of src/batch/rows.ts; `first` is the number of the first, and as many as that must be there already.
  # Answered when they are on disk, with how many there are; `kept` of them had succeeded before.

  close @2 (batch :UInt64, rows :UInt64) -> ();
  # So many rows are all. Answered when that is on disk.

  list @3 (cursor :Text, limit :UInt32) -> (batches :List(BatchRecord), cursor :Text);
  # Newest first, without those that gave up their names. Pages as of `JobRecords.list`.

  get @4 (batch :UInt64, name :Text, revision :UInt64) -> (batch :BatchRecord);
  # By number, or if that is 0 by name. Waits while that is its revision. 0: at once.

  rows @5 (batch :UInt64, after :UInt64, limit :UInt32) -> (rows :List(BatchRow), next :UInt64);
  # Rows whose jobs have ended, in the order of their ends; from behind the one that the last call has given as `next`.

  cancel @6 (batch :UInt64, reason :Text) -> ();
  # What runs, too. Answered when that is on disk.

  retry @7 (batch :UInt64, keys :List(Text)) -> (again :UInt64);
  # Jobs that ended without success are tried again: all, or those of these keys. A batch that was stopped or cancelled goes on.

  ends @8 (batch :UInt64, after :UInt64, limit :UInt32) -> (ends :List(RowEnd), next :UInt64);
  # As `rows`, of many more rows at a time: no more of each than how it ended.
}

struct RowEnd {
  row @0 :UInt64;
  job @1 :UInt64;
  state @2 :JobState;
}

struct NewBatch {
  name @0 :Text;           # empty: it has none
  digest @1 :Data;         # 32 bytes, of all that makes the batch: the same again is the same batch
  fresh @2 :Bool;          # whatever has the name: this is another batch, and all rows are run
  pool @3 :Text;
  urgent @4 :Bool;
  options @5 :DurableOptions; # of each job, without name, key and `after`
  canary @6 :UInt64;       # the first so many rows must succeed before others begin
  maxRunning @7 :UInt64;   # at a time; 0: any number
  maxFailures @8 :Float64; # more failed rows than that stop the batch; negative: none do
  inPercent @9 :Bool;      # of all rows, that is
  template @10 :BatchTemplate;
}

struct BatchTemplate {
  columns @0 :List(Text);
  descr @1 :JobDescr;      # of all rows; what templates say is empty in here
  spec @2 :BatchText;      # of a job that builds a spec
  buildArgs @3 :List(BatchText); # of a Docker job
  hint @4 :BatchText;
}

struct BatchText {         # pieces and values, one after the other
  pieces @0 :List(BatchPiece);
}

struct BatchPiece {
  union {
    text @0 :Data;
    slot :group {
      column @1 :UInt16;
      escape @2 :UInt16;   # number in src/batch/template.ts
    }
  }
}

struct BatchRecord {
  batch @0 :UInt64;
  name @1 :Text;
  pool @2 :Text;
  submitted @3 :Float64;
  ended @4 :Float64;
  state @5 :BatchState;
  reason @6 :Text;         # for people: why it was stopped
  rows @7 :UInt64;         # that have come
  closed @8 :Bool;         # and are all
  queued @9 :UInt64;       # rows that have not begun, or wait for a further attempt
  running @10 :UInt64;
  succeeded @11 :UInt64;
  failed @12 :UInt64;
  cancelled @13 :UInt64;
  revision @14 :UInt64;
  columns @15 :List(Text);
  last @16 :UInt64;        # what `rows` would give as `next` at the end
  client @17 :Text;        # whose it is
}

enum BatchState {
  running @0;              # or waits to
  succeeded @1;
  failed @2;               # all has ended, not all well
  stopped @3;              # by its rules
  cancelled @4;
}

struct BatchRow {
  row @0 :UInt64;
  values @1 :Data;         # key and values, in the form of src/batch/rows.ts
  job @2 :JobRecord;       # its key is the row's
}

interface FormerPools {
  # Of an `Admin`: what is kept of pools that the scheduler does not have any more, as they were renamed or given up.

  list @0 () -> (pools :List(FormerPool));

  move @1 (from :Text, to :Text) -> (moved :FormerPool);
  # To a pool that there is, which keeps its own where both have something of the same name. Answered when that is on disk.

  forget @2 (name :Text) -> (forgotten :FormerPool);
  # Its durable jobs are cancelled; records of those that have ended stay.
}

struct FormerPool {
  name @0 :Text;
  workers @1 :UInt32;      # that were known, with their pauses
  rates @2 :UInt32;        # of clients
  hints @3 :UInt32;        # that workers hold
  jobs @4 :UInt32;         # durable ones that have not ended
}

interface PoolDirectory {
  # Of a `Submission`.

  pools @0 () -> (pools :List(PoolSummary));
  # The pools that jobs can be submitted to, by name, as they are at this moment. Nothing tells who uses them.
}

struct PoolSummary {
  name @0 :Text;
  workers @1 :UInt32;      # connected
  capacity @2 :UInt32;     # jobs that these can run at a time
  running @3 :UInt32;
  queued @4 :UInt32;
  able @5 :List(AbleWorkers);
  # Of the largest machine of those that have said so; 0: none has.
  cpus @6 :Float64;
  memory @7 :UInt64;
  architectures @8 :List(Text);
}

struct AbleWorkers {
  ability @0 :Text;
  workers @1 :UInt32;      # so many of the connected ones have it
}

interface Grants {
  # Of an `Admin`: capabilities that are weaker than its own, for programs that help to run a cluster. Each has a kind, and a
  # name within it. There are the kinds "scaler", for a `Scaler`, and "viewer", for a `Viewer`.

  grant @0 (kind :Text, name :Text) -> (uri :Text);
  # Makes one, and says where it is found: the content of its capability file. Answered when that is on disk.

  revoke @1 (kind :Text, name :Text) -> ();
  # Ends it, at once, for whoever has it.

  list @2 (kind :Text) -> (names :List(Text));
}

interface Scaler {
  # What starts and ends workers by the queue has: it sees pools and their workers, and can have a worker end itself.

  pools @0 () -> (names :List(Text));

  demand @1 (pool :Text) -> (demand :PoolDemand);
  # At this moment. Costs a little for each worker and client, and nothing for queued jobs.

  retire @2 (pool :Text, worker :Text, reason :Text) -> ();
  # Gives a connected worker no more jobs, and tells it to end once those that it runs have ended. Answered when it knows.
}

struct PoolDemand {
  wanted @0 :UInt32;       # workers of the usual capacity that would have the queue empty within the target
  capacity @1 :UInt32;     # the usual one
  target @2 :Float64;      # in seconds
  running @3 :UInt32;      # jobs
  queued @4 :UInt32;       # jobs for whatever worker
  seconds @5 :Float64;     # that one of these is expected to take; 0: not known of any
  workers @6 :List(PoolMember);
  departed @7 :List(Text); # workers that were forgotten lately because they were to be when they are gone
}

struct PoolMember {
  name @0 :Text;
  connected @1 :Bool;
  active @2 :Bool;         # is given jobs, or would be
  capacity @3 :UInt32;
  running @4 :UInt32;      # jobs; of one that is not connected, those durable ones that it may still run
}

interface Retirement {
  # Of a worker's `Worker`.

  retire @0 (reason :Text) -> ();
  # Takes no more jobs, finishes those that it runs, and ends. Answered at once.
}

interface EphemeralQueue {
  # Of a worker's `Queue`.

  forgetWhenGone @0 () -> ();
  # The worker's name will not come back once it is gone: nothing is to be kept of it then.
}

# Short jobs by the dozen: many durable jobs in one answer, and many ends in one call (docs/protocol.md).

interface BulkQueue {
  # Of a worker's `Queue`.

  take @0 (job :Job, room :UInt32, ahead :UInt32, templates :List(UInt64))
       -> (descr :JobDescr, client :Text, number :UInt64,
           leases :Data, templates :List(LeaseTemplate), book :Data, reattach :Float64);
  # As `DurableQueue.pop`, of a worker that can begin `room` jobs at once, and expects to begin `ahead` more within moments.
  # The answer is either an attached job, which `job` is for, or some `leases` of durable ones: those that are there, and no more
  # than this worker's part of what is queued. `templates` are of the batches whose templates the worker has; the answer's are of
  # the others that it needs. Leases are in the form of src/api/lease-bytes.ts.

  begun @1 (job :UInt64, attempt :UInt32, run :Job) -> (verdict :Verdict);
  # It has begun, and is not over yet. From now on it is like one that `DurableQueue.pop` has given, with `run`.

  ended @2 (ends :Data) -> (unwanted :List(UInt64));
  # In that form, too. Answered when they are on disk: the worker may forget them. Leases of the `unwanted` jobs that have not
  # begun are to be given back, or dropped: nobody waits for them.

  keep @3 (jobs :List(UInt64)) -> ();
  # The worker goes on with leases of these jobs. It gives back all others, whether they have reached it or not. Answered when
  # that is on disk.
}

struct LeaseTemplate {
  batch @0 :UInt64;
  content @1 :Data;        # a `NewBatch`, in the same form
}

# Looking at a scheduler. An `Admin` is also a `PoolDirectory`, and a `Batches` of all clients'.

interface Viewer {
  # What sees all and changes nothing. It is also a `PoolDirectory`, and a `JobRecords` and a `Batches` of all clients' of
  # which the methods that change something are refused.

  pool @0 (name :Text) -> (pool :PoolMonitor);
  # It is also a `LiveJobs`, that lists.
}

interface Access {
  # Of a `Submission`, an `Admin` and a `Viewer`: what it is, for programs that serve any of them.

  describe @0 () -> (kind :AccessKind, id :Text);
  # `id`: of the client or the viewer.
}

enum AccessKind {
  client @0;
  viewer @1;
  administrator @2;
}

# Local directories as build contexts. A job whose `repository` is "ocluster-context:" has as its only commit the SHA-256 of a manifest
# (docs/protocol.md), which names the directory's files by theirs. A blob is a manifest, or what is in a file. Hashes are 32 bytes
# each, several of them one after the other.

interface ContextStore {
  # Of a `Submission`: what is kept for its client.

  known @0 (manifest :Data) -> (known :Bool, limits :ContextLimits);
  # Whether all of that context is there. If so it stays for some minutes, by when a job should need it.

  missing @1 (blobs :Data) -> (missing :Data);
  # Those that are not there. The others stay for some minutes.

  put @2 (sizes :List(UInt32), data :Data) -> ();
  # Whole blobs, one after the other.

  append @3 (blob :Data, size :UInt64, start :UInt64, data :Data) -> (length :UInt64);
  # A part of a large blob, and how many bytes of it are there now. Nothing is taken of a part that does not begin where these end.
  # When all are there their hash is checked.

  keep @4 (manifest :Data) -> (missing :Data);
  # Of that manifest, which is there, some blobs that are not. None: the context is complete, and on disk.
}

struct ContextLimits {     # of one context
  bytes @0 :UInt64;        # of its files together
  entries @1 :UInt32;      # files, directories and links
}

interface ContextSource {
  # Of a worker's `Queue`.

  read @0 (client :Text, blobs :Data, start :UInt64, limit :UInt32) -> (data :Data);
  # A part of these blobs as if they were one; not longer than `limit`. Empty data is the end.
}

interface Backups {
  # Of an `Admin`.

  begin @0 (logs :Bool, outputs :Bool) -> (backup :Backup);
  # Copies all that the scheduler keeps, as it is at this moment; logs of durable jobs and files of their results if so wished.
  # Answered when there is the copy, from which it can be read. There is one at a time.
}

interface Backup {
  # A copy; it is removed when it is released, or was not asked for anything for some minutes.

  files @0 (first :UInt32, limit :UInt32) -> (files :List(BackupFile));
  # Those from number `first` on, `limit` at most; the scheduler may give fewer. None: there are no more.

  read @1 (file :UInt32, start :UInt64, limit :UInt32) -> (data :Data);
  # A part of the file of that number, from byte `start` on; not longer than `limit`. Empty data is its end.
}

struct BackupFile {
  name @0 :Text;           # as it is in a backup: parts with `/` between (docs/cluster.md)
  size @1 :UInt64;
  modified @2 :Float64;    # in seconds since the Unix epoch
}
