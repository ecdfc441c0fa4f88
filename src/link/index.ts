// The door of src/link: links that need no host. Those over a descriptor stand in link/host.

export { FrameLayout, Segmenter } from "../netstack/index.ts";
export { type ByteSink, SinkBuffer } from "./capture/byte-sink.ts";
export { type ByteSource, sourceOf } from "./capture/byte-window.ts";
export { CaptureLink, type FrameCauses, type FrameWriter } from "./capture/capture-link.ts";
export { CaptureReader } from "./capture/capture-reader.ts";
export {
  CapturedFrame,
  type CaptureProblem,
  LINKTYPE_ETHERNET,
  LINKTYPE_IPV4,
  LINKTYPE_IPV6,
  LINKTYPE_LINUX_SLL,
  LINKTYPE_LINUX_SLL2,
  LINKTYPE_LOOP,
  LINKTYPE_NULL,
  LINKTYPE_RAW,
  LINKTYPE_RAW_BSD,
  LINKTYPE_RAW_OLD,
} from "./capture/captured-frame.ts";
export {
  DIRECTION_IN,
  DIRECTION_OUT,
  DIRECTION_UNKNOWN,
  type PcapFormat,
  PcapWriter,
} from "./capture/pcap-writer.ts";
export type { CaptureInterface, CaptureNote } from "./capture/pcapng-section.ts";
export { PcapngWriter } from "./capture/pcapng-writer.ts";
export { FrameStream, STREAM_HEADER, writeStreamHeader } from "./frame-stream.ts";
export {
  HELLO_BYTES,
  type Hello,
  helloFrame,
  readHello,
  readHelloFrame,
  writeHello,
} from "./hello.ts";
export {
  type Conditions,
  gsoBytesOf,
  PERFECT,
  parseConditions,
  parseRate,
} from "./impair/conditions.ts";
export { ImpairedLink, type ImpairedLinkConfig } from "./impair/impaired-link.ts";
export { Impairment, type ImpairmentCounters } from "./impair/impairment.ts";
export { MemoryLink, type MemoryLinkConfig, MemoryPair } from "./memory-pair.ts";
export { SoftwareOffload } from "./software-offload.ts";
export { Switch } from "./switch.ts";
export { FRAME_MAX, readVirtioNet, VNET_HEADER, writeVirtioNet } from "./virtio-net.ts";
export { VlanTrunk } from "./vlan.ts";
