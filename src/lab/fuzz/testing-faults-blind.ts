// More deliberate faults, written down before anybody looked at what the generators draw: a check on campaigns
// that were made to find the others (testing-faults.ts).

import { i32, u16 } from "../../base/bytes.ts";
import { seqLt } from "../../base/seqnum.ts";
import type { TcpEndpoint } from "../../netstack/index.ts";
import type { Tcb } from "../../netstack/tcp/tcb.ts";
import {
  before,
  changeWord,
  ETH,
  inStack,
  ipv4Protocol,
  onLink,
  type PlantedFault,
  raise,
} from "./planting.ts";

export const PLANTED_BLIND: readonly PlantedFault[] = [
  { layer: "ARP", what: "neighbours have no limit", target: raise("neighborEntries") },
  {
    layer: "NDP",
    what: "an option of length 0 is read again and again",
    target: inStack(({ nic }) => {
      const ndp = nic.ipv6?.ndp;
      if (ndp === undefined) throw new Error("no Neighbour Discovery");
      const bodies: Readonly<Record<number, number>> = {
        133: 8,
        134: 16,
        135: 24,
        136: 24,
        137: 40,
      };
      before(ndp, "input", (pkt, type) => {
        for (let o = pkt.l4 + (bodies[type] ?? 65_535); o + 2 <= pkt.end; ) {
          if (pkt.bytes[o + 1] === 0) throw new RangeError("options without end");
          o += pkt.bytes[o + 1] << 3;
        }
      });
    }),
  },
  {
    layer: "MLD",
    what: "a query's long delay is divided by zero",
    target: inStack(({ nic }) => {
      const mld = nic.ipv6?.mld;
      if (mld === undefined) throw new Error("no Multicast Listener Discovery");
      before(mld, "onQuery", (pkt) => {
        if (u16(pkt.bytes, pkt.l4 + 4) >= 0x8000) throw new RangeError("division by zero");
      });
    }),
  },
  {
    layer: "IGMP",
    what: "a query's number of sources is believed",
    target: inStack(({ nic }) => {
      if (nic.igmp === null) throw new Error("no IGMP");
      before(nic.igmp, "input", ({ bytes, l4, end }) => {
        if (bytes[l4] !== 0x11 || end - l4 < 12) return;
        if (l4 + 12 + 4 * u16(bytes, l4 + 10) > end) throw new RangeError("sources past the end");
      });
    }),
  },
  {
    layer: "ICMP",
    what: "the header length that an error quotes is believed",
    target: inStack(({ stack }) => {
      before(stack.icmp, "onPacket", ({ bytes, l4, end }) => {
        if (![3, 11, 12].includes(bytes[l4])) return;
        const quoted = (bytes[l4 + 8] & 15) << 2;
        if (l4 + 8 + quoted + 4 > end) throw new RangeError("quoted ports past the end");
      });
    }),
  },
  {
    layer: "ICMP",
    what: "an echo request to everybody is answered (Smurf)",
    target: inStack(({ stack, place }) => {
      before(stack.icmp, "onPacket", (pkt) => {
        if (pkt.bytes[pkt.l4] !== 8 || !pkt.linkBroadcast) return;
        pkt.dst.set(place.subject.ip4);
        pkt.linkBroadcast = false;
      });
    }),
  },
  {
    layer: "UDP",
    what: "the length field may be less than the header's",
    target: inStack(({ stack }) => {
      before(stack.udp, "onPacket", ({ bytes, l4, end }) => {
        if (end - l4 >= 8 && u16(bytes, l4 + 4) < 8) throw new RangeError("invalid array length");
      });
    }),
  },
  {
    layer: "TCP receiver",
    what: "some windows are announced at half their size",
    target: onLink({
      out: (b, at, end) => {
        const o = at + ETH + 20;
        if (ipv4Protocol(b, at) !== 6 || b[at + ETH] !== 0x45 || (b[o + 13] & 0x07) !== 0) return;
        const isPure = end === o + ((b[o + 12] >>> 4) << 2);
        if (isPure && (i32(b, o + 8) & 15) === 9)
          changeWord(b, o + 14, o + 16, u16(b, o + 14) >>> 1);
      },
    }),
  },
  {
    layer: "TCP sender",
    what: "an acknowledgment of what was never sent is taken",
    target: inStack(({ stack }) => {
      const { segment, demux } = stack.tcp.context;
      before(stack.tcp, "onPacket", (pkt) => {
        const { bytes, l4 } = pkt;
        if ((bytes[l4 + 13] & 0x17) !== 0x10) return;
        segment.parse(pkt);
        const ports = (segment.dstPort << 16) | segment.srcPort;
        const tcb = demux.find(pkt.dst, pkt.src, ports) as Tcb | null;
        if (tcb !== null && seqLt(tcb.snd.nxt, segment.ack)) tcb.snd.nxt = segment.ack;
      });
    }),
  },
  {
    layer: "socket",
    what: "what nobody has read when its socket is closed stays charged",
    target: inStack(({ stack }) => {
      const context = stack.tcp.context as unknown as { wrapChild: (tcb: Tcb) => TcpEndpoint };
      const real = context.wrapChild;
      context.wrapChild = (tcb) => {
        const child = real(tcb);
        const close = child.close.bind(child);
        child.close = () => {
          stack.socketMemoryBytes += child.readableBytes;
          close();
        };
        return child;
      };
    }),
  },
];
