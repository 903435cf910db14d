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
}

interface PoolMonitor {
  state @0 () -> (state :PoolState);
  # The pool in numbers. Costs a little for each worker and client, and nothing for queued jobs.
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
