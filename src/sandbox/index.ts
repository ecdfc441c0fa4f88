// The door of the package `netcell`.

export { DEFAULT_LIMITS, GiB, KiB, type Limits, MiB } from "../base/limits.ts";
export { type Bundle, readBundle } from "./bundle/read-bundle.ts";
export { NetcellError, type NetcellErrorCode } from "./errors.ts";
export type {
  BindMount,
  CapabilitySets,
  Mount,
  OutsideLink,
  Refusal,
  SandboxOptions,
  SpawnOptions,
  StdioMode,
  TmpfsMount,
  WriteMode,
} from "./options.ts";
export { type ExitStatus, type Process, shellStatus } from "./process.ts";
export { type RunResult, Sandbox } from "./sandbox.ts";
export { type SwitchOptions, SwitchServer } from "./switch-server.ts";
