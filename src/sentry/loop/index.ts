// The door of the loop: the host's side of the Sentry.

export { DescriptorFiles } from "./host-files.ts";
export { MemfdMemory } from "./host-memory.ts";
export { SecureRng } from "./secure-rng.ts";
