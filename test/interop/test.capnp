# What the interop tests and the benchmarks talk about. A C++ program (peer.c++) and a TypeScript one (service.ts) both
# serve a Peer and both use the other's.

@0xb3f5c0a8e1d74692;

annotation allowCancellation @0xac7096ff8cfc9dce (method) :Void;
# What capnp/c++.capnp calls by this name since version 1.0. Declared here under the same id, as 0.9 has none.

interface Peer {
  echo @0 (data :Data) -> Echoed;
  sink @1 (data :Data) -> (size :UInt64);
  source @2 (size :UInt32) -> (data :Data);

  fail @3 (kind :ErrorKind, reason :Text) -> ();

  hold @4 (key :UInt32) -> (key :UInt32);
  # Answered when somebody calls letGo with the same key.
  letGo @5 (key :UInt32) -> ();
  # Fails if nothing is held under the key.

  never @6 () -> () $allowCancellation;
  # Ends only by being cancelled.
  cancellations @7 (atLeast :UInt32) -> (count :UInt32);
  # Answered when so many calls of `never` have been cancelled.

  counter @8 (start :UInt32) -> (counter :Counter);
  counterLater @9 (key :UInt32, start :UInt32) -> (counter :Counter);
  # Like counter, answered after letGo(key).
  counters @10 (atMost :UInt32) -> (live :UInt32);
  # Answered when there are so few objects of counter and counterLater alive.

  same @11 (cap :Counter) -> (cap :Counter);
  # Answered at once with its argument.
  sameLater @12 (key :UInt32, cap :Counter) -> (cap :Counter);
  # Answered at once with a promise, which resolves to the argument after letGo(key).

  repeat @13 (callback :Callback, times :UInt32) -> (sum :UInt32);
  # Calls callback with 0, 1, …, one after the other, and adds up what it gives.

  forward @14 (target :Peer, data :Data) -> Echoed;
  # A tail call of target.echo.
}

struct Echoed {
  data @0 :Data;
}

enum ErrorKind {
  failed @0;
  overloaded @1;
  disconnected @2;
  unimplemented @3;
}

interface Counter {
  next @0 (tag :UInt32) -> (value :UInt32);
  # Gives start, start + 1, …
}

interface Callback {
  call @0 (n :UInt32) -> (n :UInt32);
}

interface Stranger {
  # Nobody implements this.
  greet @0 () -> ();
}
