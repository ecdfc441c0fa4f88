// Flags of V8 and Node that our processes run with. Here alone, because the build needs them too: a code cache
// is good only for the flags that it was made with (scripts/bundle.mjs).

export const SENTRY_FLAGS: readonly string[] = [
  // One thread runs the kernel; V8's helpers are for compiling and collecting only.
  "--v8-pool-size=1",
  "--single-threaded-gc",
  "--max-semi-space-size=16",
  "--no-warnings",
];
export const GOFER_FLAGS: readonly string[] = [
  "--v8-pool-size=0",
  "--single-threaded",
  "--no-warnings",
  "--max-old-space-size=256",
];
