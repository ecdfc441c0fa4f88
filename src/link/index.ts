// The door of src/link: links that need no host. Those over a descriptor stand in link/host.

export { CaptureLink } from "./capture-link.ts";
export { FrameLayout } from "./frame-layout.ts";
export { FrameStream, STREAM_HEADER, writeStreamHeader } from "./frame-stream.ts";
export { MemoryLink, type MemoryLinkConfig, MemoryPair } from "./memory-pair.ts";
export {
  type ByteSink,
  DIRECTION_IN,
  DIRECTION_OUT,
  DIRECTION_UNKNOWN,
  type PcapFormat,
  PcapWriter,
} from "./pcap-writer.ts";
export { Segmenter } from "./segment.ts";
export { SoftwareOffload } from "./software-offload.ts";
export { Switch } from "./switch.ts";
export { FRAME_MAX, readVirtioNet, VNET_HEADER, writeVirtioNet } from "./virtio-net.ts";
