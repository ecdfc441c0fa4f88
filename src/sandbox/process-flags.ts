// Flags of V8 and Node that our processes run with. Here alone, because the build needs them too: a code cache
// is good only for the flags that it was made with (scripts/bundle.mjs).

export const SENTRY_FLAGS: readonly string[] = [
  // One thread runs the kernel; V8's helpers are for compiling and collecting only.
  "--v8-pool-size=1",
  "--single-threaded-gc",
  "--max-semi-space-size=16",
  // What a start allocates is not collected twice on the way. measured: 5 ms.
  "--min-semi-space-size=4",
  "--no-warnings",
];
export const GOFER_FLAGS: readonly string[] = [
  "--v8-pool-size=0",
  "--single-threaded",
  // V8 gives each process other hashes, so that nobody can choose strings that collide. Here they index nothing:
  // the Gofer keeps no table of names. measured: 6 ms of its start.
  "--no-rehash-snapshot",
  "--no-warnings",
  "--max-old-space-size=256",
];
