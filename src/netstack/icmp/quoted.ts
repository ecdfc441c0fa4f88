// The packet that an ICMP error quotes, on its way to the protocol that may have sent it: what both
// families share. Path MTUs are lowered here, and only by errors that quote something of ours (RFC 5927).

import { IpAddr } from "../ip-addr.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { Stack } from "../stack/stack.ts";
import { ICMP_KIND_PACKET_TOO_BIG, type IcmpError } from "../stack/transport.ts";

export const newIcmpError = (): IcmpError => ({
  kind: 0,
  type: 0,
  code: 0,
  mtu: 0,
  pointer: 0,
  from: new IpAddr(),
  to: new IpAddr(),
  nicId: 0,
  ttl: 0,
  tos: 0,
  carrier: null,
  src: new IpAddr(),
  dst: new IpAddr(),
  protocol: 0,
  bytes: new Uint8Array(0),
  l3: 0,
  l4: 0,
  end: 0,
});

/** What the packet that carried the error says. */
export function setCarrier(error: IcmpError, pkt: PacketBuffer): void {
  error.from.set(pkt.src);
  error.to.set(pkt.dst);
  error.nicId = pkt.nicId;
  error.ttl = pkt.ttl;
  error.tos = pkt.tos;
  error.carrier = pkt;
}

/** No packet carried it: we are the ones who say so. */
export function setNoCarrier(error: IcmpError): void {
  error.from.set(error.src);
  error.to.set(error.src);
  error.nicId = 0;
  error.ttl = 64;
  error.tos = 0;
  error.carrier = null;
  error.mtu = 0;
  error.pointer = 0;
}

// @rfc 8201 4d
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
  error.carrier = null;
}
