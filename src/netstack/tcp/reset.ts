// RST as the answer to a segment (RFC 9293 3.10.7.1; Linux's tcp_v4_send_reset). A connection that gives itself up sends
// its own: transmit.ts.

import type { IpAddr } from "../ip-addr.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import { pseudoSum } from "../wire/checksum.ts";
import { ACK, encodeTcp, RST, TCP_HEADER_BYTES, TCP_PROTOCOL } from "../wire/tcp.ts";
import { AUTH_BROKEN, AUTH_NONE, areOptionsBroken } from "../wire/tcp-auth.ts";
import type { AuthKeys } from "./auth-keys.ts";
import type { TcpContext } from "./context.ts";
import { ECN_MASK } from "./ecn.ts";
import type { Segment } from "./segment.ts";
import { signatureOfAnswer } from "./signature.ts";
import { send } from "./transmit.ts";

/**
 * Never answers a RST. `keys` of whom the segment came to, if to anybody: the answer is signed as the segment had to
 * be.
 */
export function replyReset(ctx: TcpContext, seg: Segment, keys: AuthKeys | null = null): void {
  const pkt = seg.pkt as PacketBuffer;
  if ((seg.flags & RST) !== 0 || pkt.linkBroadcast) return;
  if (!isAnswerable(pkt.dst) || !isAnswerable(pkt.src)) return;
  const { authAt } = seg.options;
  if (authAt === AUTH_BROKEN || areOptionsBroken(pkt.bytes, pkt.l4)) return;
  const hasAck = (seg.flags & ACK) !== 0;
  const seq = hasAck ? seg.ack : 0;
  const isPlain = keys === null && authAt === AUTH_NONE;
  const signature = isPlain ? null : signatureOfAnswer(ctx, keys, seg, seq);
  if (signature === undefined) return;
  const route = ctx.network.findReplyRoute(pkt);
  if (typeof route === "number" || route.isBroadcast) return;
  const ports = (seg.dstPort << 16) | seg.srcPort;
  const out = ctx.network.allocPacket();
  const off = out.start;
  const flags = hasAck ? RST : RST | ACK;
  const header = TCP_HEADER_BYTES + (signature === null ? 0 : signature.write(out));
  encodeTcp(out.bytes, off, ports, seq, hasAck ? 0 : seg.end, header, flags, 0, 0);
  out.end = off + header;
  signature?.fill(out, pkt.dst, pkt.src);
  // Its class is that of what it answers, without ECN (tcp_v4_send_reset).
  out.tos = pkt.tos & ~ECN_MASK;
  ctx.stats.OutRsts++;
  send(ctx, route, out, pseudoSum(pkt.dst, pkt.src, TCP_PROTOCOL, 0), null);
}

const isAnswerable = (addr: IpAddr): boolean =>
  !addr.isUnspecified && !addr.isMulticast && !addr.isLimitedBroadcast;
