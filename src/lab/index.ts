// The door of the lab: experiments on the stack in virtual time.

export {
  type DrillFamily,
  type DrillOptions,
  type DrillOutcome,
  runScript,
} from "./drill/drill.ts";
