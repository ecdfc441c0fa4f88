// The packet that an ICMP error quotes, on its way to the protocol that may have sent it: what both
// families share. Path MTUs are lowered here, and only by errors that quote something of ours (RFC 5927).

import { IpAddr } from "../ip-addr.ts";
import type { Stack } from "../stack/stack.ts";
import { ICMP_KIND_PACKET_TOO_BIG, type IcmpError } from "../stack/transport.ts";

export const newIcmpError = (): IcmpError => ({
  kind: 0,
  type: 0,
  code: 0,
  mtu: 0,
  from: new IpAddr(),
  src: new IpAddr(),
  dst: new IpAddr(),
  protocol: 0,
  bytes: new Uint8Array(0),
  l4: 0,
  end: 0,
});

export function dispatchIcmpError(stack: Stack, error: IcmpError): void {
  const protocol = stack.protocols[error.protocol];
  if (error.kind === ICMP_KIND_PACKET_TOO_BIG) {
    // A raw endpoint may have sent anything of its protocol.
    const believed = protocol?.mayHaveSent(error) || stack.raw.mayHaveSent(error);
    if (!believed) {
      stack.counters.dropIcmpUnrelated++;
      return;
    }
    const route = stack.findRoute(null, error.dst);
    if (typeof route !== "number") stack.pathMtu.lower(error.dst, error.mtu, route.mtu);
  }
  stack.raw.onIcmpError(error);
  protocol?.onIcmpError(error);
}
