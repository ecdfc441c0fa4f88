// Arbitraries of fast-check for everything that goes over a wire or into a socket. Each of them shrinks towards the
// shortest and most ordinary case. Not a generator for the hot path: campaigns draw from these and then mutate.

export {
  type CallOptions,
  OPTION_NAMES,
  type SocketCall,
  type SocketKind,
  socketCalls,
} from "./calls.ts";
export {
  type Conversation,
  type ConversationFrame,
  type ConversationOptions,
  conversation,
} from "./conversation.ts";
export { dhcpMessage } from "./dhcp.ts";
export { dnsMessage } from "./dns.ts";
export {
  arpFrame,
  type Fragments,
  type FrameOptions,
  fragments,
  frame,
  groupFrame,
  icmpFrame,
  otherFrame,
  tcpFrame,
  udpFrame,
} from "./ethernet.ts";
export { MOODS, type Mood } from "./mood.ts";
export { DEFAULT_PLACE, type Place, type Station } from "./place.ts";
export {
  type ConditionsBounds,
  conditions,
  type Fate,
  type Fault,
  faultSchedule,
  type Outage,
  outages,
} from "./schedules.ts";
export { disorderedSegments, type StreamPiece, segmentation, segments } from "./streams.ts";
export { tcpOptions } from "./tcp.ts";
