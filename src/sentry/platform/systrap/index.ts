// The door of the systrap platform.

export { readTsc } from "./blob.ts";
export { type SystrapOptions, SystrapPlatform } from "./systrap-platform.ts";
export * from "./time-page.ts";
