// Deliberate faults, at least one in each layer: mistakes that stacks have been shipped with. Campaigns must find each
// of them. Not part of the product.

import { setU16, u16 } from "../../base/bytes.ts";
import { FIN_WAIT_1, LAST_ACK } from "../../netstack/tcp/state.ts";
import { setState, type Tcb } from "../../netstack/tcp/tcb.ts";
import {
  before,
  changeWord,
  ETH,
  inPair,
  inStack,
  ipv4Protocol,
  isIpv4,
  onLink,
  type PlantedFault,
  raise,
} from "./planting.ts";
import { STALE } from "./subject.ts";

export const PLANTED: readonly PlantedFault[] = [
  {
    layer: "wire",
    what: "short frames are padded with what lies behind them (CVE-2003-0001)",
    target: onLink({
      out: (b, _at, end, pkt) => {
        if (pkt.length >= 60) return;
        b.fill(STALE, end, pkt.start + 60);
        pkt.end = pkt.start + 60;
      },
    }),
  },
  {
    layer: "wire",
    what: "a TCP option of length 0 or 1 is read past its end",
    target: inStack(({ stack }) => {
      before(stack.tcp.context.segment, "parse", (pkt) => {
        const end = pkt.l4 + ((pkt.bytes[pkt.l4 + 12] >>> 4) << 2);
        for (let o = pkt.l4 + 20; o < end && pkt.bytes[o] !== 0; ) {
          const size = pkt.bytes[o] === 1 ? 1 : pkt.bytes[o + 1];
          if (pkt.bytes[o] !== 1 && size < 2) throw new RangeError("read past the options");
          o += size;
        }
      });
    }),
  },
  {
    layer: "checksum",
    what: "one header checksum in sixteen is off by one",
    target: onLink({
      out: (b, at) => {
        if (isIpv4(b, at) && (b[at + ETH + 5] & 15) === 3) b[at + ETH + 11] ^= 1;
      },
    }),
  },
  {
    layer: "checksum",
    what: "transport checksums of what arrives are taken as checked",
    target: onLink({
      in: (pkt) => {
        pkt.checksumValid = true;
      },
    }),
  },
  {
    layer: "ARP",
    what: "it answers for the address one above its own",
    target: inStack(({ nic }) => {
      const real = nic.hasAddress.bind(nic);
      nic.hasAddress = (addr) => real(addr) || (addr.isV4 && addr.w3 === 0x0a00_0002);
    }),
  },
  {
    layer: "NDP",
    what: "Neighbour Discovery leaves with hop limit 64",
    target: onLink({
      out: (b, at) => {
        const isNd = u16(b, at + 12) === 0x86dd && b[at + ETH + 6] === 58;
        if (isNd && b[at + ETH + 40] === 136) b[at + ETH + 7] = 64;
      },
    }),
  },
  {
    layer: "IPv4",
    what: "packets with an odd protocol are dropped without a count",
    target: inStack(({ stack }) => {
      const real = stack.ipv4.deliver.bind(stack.ipv4);
      stack.ipv4.deliver = (pkt) => {
        if (pkt.protocol !== 253) real(pkt);
      };
    }),
  },
  {
    layer: "IPv6",
    what: "more than three extension headers overflow a table",
    target: inStack(({ stack }) => {
      before(stack.ipv6, "input", (_nic, pkt) => {
        let next = pkt.bytes[pkt.l3 + 6];
        let at = pkt.l3 + 40;
        for (let n = 0; [0, 43, 44, 60].includes(next) && at < pkt.end; n++) {
          if (n === 3) throw new RangeError("the table of headers is full");
          const size = next === 44 ? 8 : (pkt.bytes[at + 1] + 1) << 3;
          next = pkt.bytes[at];
          at += size;
        }
      });
    }),
  },
  {
    layer: "fragments",
    what: "a fragment that ends past 65535 bytes is written where it says (ping of death)",
    target: inStack(({ stack }) => {
      before(stack.fragments, "add", (pkt) => {
        const offset = (u16(pkt.bytes, pkt.l3 + 6) & 0x1fff) * 8;
        if (offset + (pkt.end - pkt.l4) > 65_535) throw new RangeError("written past the buffer");
      });
    }),
  },
  { layer: "fragments", what: "bytes held have no limit", target: raise("reassemblyBytes") },
  {
    layer: "ICMP",
    what: "echo requests are answered once for each byte of a small payload",
    target: inStack(({ stack }) => {
      const real = stack.icmp.onPacket.bind(stack.icmp);
      stack.icmp.onPacket = (pkt) => {
        const bytes = pkt.bytes.slice(pkt.start, pkt.end);
        for (let n = Math.min(8, Math.max(1, pkt.end - pkt.l4 - 8)); n > 0; n--) {
          pkt.bytes.set(bytes, pkt.start);
          real(pkt);
        }
      };
    }),
  },
  {
    layer: "UDP",
    what: "the checksum of a datagram of odd length forgets its last byte",
    target: onLink({
      out: (b, at, end) => {
        const isUdp = ipv4Protocol(b, at) === 17 && b[at + ETH] === 0x45;
        if (isUdp && ((end - at - ETH) & 1) === 1) {
          const sumAt = at + ETH + 26;
          setU16(b, sumAt, u16(b, sumAt) ^ (b[end - 1] << 8) ^ 0x0100);
        }
      },
    }),
  },
  {
    layer: "UDP",
    what: "datagrams of more than 100 bytes are not given back to the memory account",
    target: inStack(({ stack }) => {
      before(stack.udp, "onPacket", (pkt) => {
        if (pkt.end - pkt.l4 > 108) stack.socketMemoryBytes += 100;
      });
    }),
  },
  {
    layer: "TCP sender",
    what: "the peer's window is taken for twice what it is",
    target: inStack(({ stack }) => {
      const { segment } = stack.tcp.context;
      const real = segment.parse.bind(segment);
      segment.parse = (pkt) => {
        real(pkt);
        segment.window *= 2;
      };
    }),
  },
  {
    layer: "TCP sender",
    what: "a segment that is lost twice is never sent again",
    target: inPair((client) => {
      const context = client.tcp.context as unknown as { onTimer: (tcb: Tcb) => void };
      const real = context.onTimer;
      context.onTimer = (tcb) => {
        if (tcb.backoff < 1) real(tcb);
      };
    }),
  },
  {
    layer: "TCP receiver",
    what: "a small segment behind a hole is acknowledged as if it were not",
    target: onLink({
      out: (b, at, end) => {
        const o = at + ETH + 20;
        if (ipv4Protocol(b, at) !== 6 || b[at + ETH] !== 0x45 || (b[o + 13] & 0x07) !== 0) return;
        const isPure = end === o + ((b[o + 12] >>> 4) << 2);
        if (isPure && (u16(b, o + 14) & 15) === 7) {
          changeWord(b, o + 10, o + 16, (u16(b, o + 10) + 100) & 0xffff);
        }
      },
    }),
  },
  {
    layer: "TCP receiver",
    what: "data in front of an urgent pointer moves by a byte",
    target: inStack(({ stack }) => {
      const { segment } = stack.tcp.context;
      const real = segment.parse.bind(segment);
      segment.parse = (pkt) => {
        real(pkt);
        if ((segment.flags & 32) === 0 || segment.urgent >= segment.length) return;
        segment.offset++;
        segment.length--;
      };
    }),
  },
  {
    layer: "timers",
    what: "the timer of a connection that was half closed re-arms itself at once",
    target: inStack(({ stack }) => {
      const context = stack.tcp.context as unknown as { onTimer: (tcb: Tcb) => void };
      const real = context.onTimer;
      context.onTimer = (tcb) => {
        real(tcb);
        if (tcb.state === LAST_ACK) stack.timers.arm(tcb, stack.clock.monotonicNs());
      };
    }),
  },
  {
    layer: "congestion",
    what: "each acknowledgment doubles the window",
    target: inPair((client) => {
      before(client.tcp, "onPacket", () => {
        for (const tcb of client.tcp.context.demux.all()) tcb.cwnd = Math.min(2 * tcb.cwnd, 10_000);
      });
    }),
  },
  {
    layer: "close states",
    what: "a FIN in FIN-WAIT-1 leads to LAST-ACK",
    target: inStack(({ stack }) => {
      before(stack.tcp, "onPacket", (pkt) => {
        if ((pkt.bytes[pkt.l4 + 13] & 1) === 0) return;
        for (const tcb of stack.tcp.context.demux.all()) {
          if (tcb.state === FIN_WAIT_1) setState(tcb, LAST_ACK);
        }
      });
    }),
  },
  {
    layer: "close states",
    what: "TIME-WAIT is begun anew whenever it should end",
    target: inStack(({ stack }) => {
      const { timeWaits } = stack.tcp.context;
      timeWaits.remove = (tw) => timeWaits.restart(tw, stack.clock.monotonicNs());
    }),
  },
  {
    layer: "limits",
    what: "connections in TIME-WAIT have none",
    target: raise("timeWaitConnections"),
  },
  {
    layer: "limits",
    what: "half-open connections have none",
    target: raise("halfOpenConnections"),
  },
];
