# The wire contract between scheduler, workers and clients.
#
# The ids of everything below derive from the file id and the names, so names, nesting and ordinals are fixed for ever:
# peers built from the original OCluster schema must find exactly these. What we add gets new ordinals at the end; an
# old peer answers it as "unimplemented" and the caller falls back.

@0x8378b104cef5b2eb;

struct DockerBuild {
  dockerfile :union {
    contents @0 :Text;   # the Dockerfile itself
    path @5 :Text;       # its path inside the build context
  }
  pushTarget @1 :Text;   # REPO:TAG; empty: do not push
  pushUser @2 :Text;
  pushPassword @3 :Text;
  buildArgs @4 :List(Text);
  squash @6 :Bool;
  buildkit @7 :Bool;
  includeGit @8 :Bool;   # keep .git in the build context
}

struct OBuilder {
  spec @0 :Text;         # an S-expression
}

struct Custom {
  kind @0 :Text;
  payload @1 :AnyPointer;
}

struct Secret {
  id @0 :Text;
  value @1 :Text;
}

struct JobDescr {
  action :union {
    dockerBuild @0 :DockerBuild;
    obuilder @4 :OBuilder;
    custom @6 :Custom;
  }
  cacheHint @1 :Text;    # jobs with the same hint like the same worker
  repository @2 :Text;   # Git URL of the build context; empty: no context
  commits @3 :List(Text);# full hashes; the first is checked out, the others are merged into it
  secrets @5 :List(Secret);
}

interface Job {
  log @0 (start :Int64) -> (log :Data, next :Int64);
  # A chunk of the log from byte `start` (negative: from the end). Waits while there is none; empty data is the end.

  result @1 () -> (output :Text);
  cancel @2 () -> ();
}

interface Queue {
  pop @0 (job :Job) -> (descr :JobDescr);
  # Offers `job`, which the scheduler connects to the ticket it picks. Answered when there is a job.

  setActive @1 (active :Bool) -> ();
}

struct Metric {
  contentType @0 :Text;
  data @1 :Text;
}

struct AdditionalMetric {
  union {
    metric @0 :Metric;
    notReported @1 :Void;
  }
}

interface Worker {
  enum MetricsSource {
    agent @0;            # the worker process
    host @1;             # the machine it runs on
  }

  metrics @0 (source :MetricsSource) -> (contentType :Text, data :Text);
  additionalMetric @2 (source :Text) -> (metric :AdditionalMetric);
  selfUpdate @1 () -> ();
  # Finishes the running jobs, then restarts. A successful worker never answers: its connection breaks.
}

interface Registration {
  register @0 (name :Text, worker :Worker, capacity :Int32) -> (queue :Queue);
}

interface Ticket {
  job @0 () -> (job :Job);
  # A promise, answered at once; it resolves when a worker takes the job.

  cancel @1 () -> ();
}

interface Submission {
  submit @0 (pool :Text, descr :JobDescr, urgent :Bool) -> (ticket :Ticket);
}

struct WorkerInfo {
  name @0 :Text;
  active @1 :Bool;
  connected @2 :Bool;
}

interface Progress {
  report @0 (status :Text) -> ();
}

interface PoolAdmin {
  show @0 () -> (state :Text);
  workers @1 () -> (workers :List(WorkerInfo));
  worker @3 (worker :Text) -> (worker :Worker);
  setActive @2 (worker :Text, active :Bool, autoCreate :Bool) -> ();
  drain @7 (worker :Text, progress :Progress) -> ();
  update @4 (worker :Text, progress :Progress) -> ();
  setRate @5 (id :Text, rate :Float64) -> ();
  forget @6 (worker :Text) -> ();
}

interface Admin {
  pools @0 () -> (names :List(Text));
  pool @1 (name :Text) -> (pool :PoolAdmin);
  addClient @2 (id :Text) -> (cap :Submission);
  removeClient @3 (id :Text) -> (cap :Submission);
  listClients @4 () -> (clients :List(Text));
}
