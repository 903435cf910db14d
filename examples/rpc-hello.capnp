# The services of rpc-hello.ts. After a change: npm run generate

@0xd9e8c1b7a3f24560;

interface Guide {
  guest @0 (name :Text) -> (guest :Guest);
  # Answered when the guest has been announced.
}

interface Guest {
  greet @0 (listener :Listener) -> (greeting :Text);
}

interface Listener {
  hear @0 (text :Text) -> ();
}
