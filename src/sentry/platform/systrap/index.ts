// The door of the systrap platform.

export { type SystrapOptions, SystrapPlatform } from "./systrap-platform.ts";
