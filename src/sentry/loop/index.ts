// The door of the loop: the host's side of the Sentry.

export { HostClock } from "./host-clock.ts";
export { DescriptorFiles } from "./host-files.ts";
export { MemfdMemory } from "./host-memory.ts";
export { Loop, type LoopClock } from "./loop.ts";
export { SecureRng } from "./secure-rng.ts";
export { VirtualClock } from "./virtual-clock.ts";
