// A link on a TAP device, whose other side is the host's kernel.

import { openTap } from "../../host/tun.ts";
import { VNET_HEADER } from "../virtio-net.ts";
import { FdLink } from "./fd-link.ts";

/** The link, or -errno: no /dev/net/tun, no such device and no right to make it, or it is in use. */
export function openTapLink(name: string, mtu: number, mac: Uint8Array): FdLink | number {
  const fd = openTap(name, VNET_HEADER);
  return fd < 0 ? fd : new FdLink({ fd, kind: "tap", mtu, mac });
}
