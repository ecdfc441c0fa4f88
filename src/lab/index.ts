// The door of the lab: experiments on the stack in virtual time.

export type { DecodedLayer } from "./decode/dissection.ts";
export { type DecodeOptions, FrameDecoder } from "./decode/frame-decoder.ts";
export {
  type DrillFamily,
  type DrillOptions,
  type DrillOutcome,
  runScript,
} from "./drill/drill.ts";
export { Cable, type CableConfig, CableEnd } from "./sim/cable.ts";
export { newTcp, openConnection, type TransferConfig } from "./sim/conversation.ts";
export { StreamSink, StreamSource } from "./sim/streams.ts";
export { type JoinConfig, type PlugConfig, World, type WorldConfig } from "./sim/world.ts";
