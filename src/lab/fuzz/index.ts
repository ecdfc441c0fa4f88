// The door of fuzzing, for the command line and for tests: targets, campaigns, shrinking, case files. Apart from
// the lab's own door, so that whoever only decodes or drills does not load fast-check.

export type { Family } from "../../netstack/index.ts";
export { Campaign, type Case, type Found } from "./campaign.ts";
export { type CaseFile, caseFromJson, caseToJson } from "./case-file.ts";
export { FAMILIES, PROGRAM_MTU, ProgramClient, type ServerPort } from "./program-client.ts";
export {
  featureOf,
  ProgramInputs,
  type ProgramStep,
  programPlace,
  smallerCases,
} from "./program-steps.ts";
export { type Shrunk, shrink } from "./shrink.ts";
export { StackTarget, type StackTargetOptions } from "./stack-target.ts";
export { Coverage, type Failure, type Target, type Verdict, type Watch } from "./target.ts";
export { TcpTarget, type TcpTargetOptions } from "./tcp-target.ts";
export { WireTarget } from "./wire-target.ts";

import { StackTarget } from "./stack-target.ts";
import type { Target } from "./target.ts";
import { TcpTarget } from "./tcp-target.ts";
import { WireTarget } from "./wire-target.ts";

/** By its name on the command line. */
export function targetOf(name: string): Target<unknown> | null {
  if (name === "stack") return new StackTarget() as unknown as Target<unknown>;
  if (name === "tcp") return new TcpTarget() as unknown as Target<unknown>;
  return name === "wire" ? (new WireTarget() as unknown as Target<unknown>) : null;
}
