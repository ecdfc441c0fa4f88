// What the levels SOL_IP and SOL_IPV6 keep per socket: which control messages it wants, and what its options say
// where the endpoint need not know. Set and read by ip-options.ts, ipv6-options.ts and those that read them.

import {
  IP_BIND_ADDRESS_NO_PORT,
  IP_CHECKSUM,
  IP_FREEBIND,
  IP_NODEFRAG,
  IP_PASSSEC,
  IP_PKTINFO,
  IP_RECVERR_RFC4884,
  IP_RECVFRAGSIZE,
  IP_RECVOPTS,
  IP_RECVORIGDSTADDR,
  IP_RECVTOS,
  IP_RECVTTL,
  IP_RETOPTS,
  IP_TRANSPARENT,
  IPV6_2292DSTOPTS,
  IPV6_2292HOPLIMIT,
  IPV6_2292HOPOPTS,
  IPV6_2292PKTINFO,
  IPV6_2292RTHDR,
  IPV6_AUTOFLOWLABEL,
  IPV6_FLOWINFO,
  IPV6_FLOWINFO_SEND,
  IPV6_FREEBIND,
  IPV6_RECVDSTOPTS,
  IPV6_RECVERR_RFC4884,
  IPV6_RECVFRAGSIZE,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVHOPOPTS,
  IPV6_RECVORIGDSTADDR,
  IPV6_RECVPATHMTU,
  IPV6_RECVPKTINFO,
  IPV6_RECVRTHDR,
  IPV6_RECVTCLASS,
  IPV6_ROUTER_ALERT_ISOLATE,
  IPV6_TRANSPARENT,
} from "../../../abi/in.ts";
import type { FlowLabel } from "./flow-labels.ts";

export class IpState {
  receivePktInfo = false;
  receiveTtl = false;
  receiveTos = false;
  /** IP_RECVOPTS: as they came; IP_RETOPTS: as an answer would carry them. */
  receiveOptions = false;
  returnOptions = false;
  receiveOrigDstAddr = false;
  receiveFragSize = false;
  /** Of errors' extensions nothing is told, whoever asks. */
  receiveErrorRfc4884 = false;
  /** There are no labels of a security module to pass on. */
  receiveSecurity = false;
  /** The sum that a device has made of all of a packet: ours verify, and keep none (CHECKSUM_UNNECESSARY). */
  receiveChecksum = false;
  /** Nothing puts fragments together before they reach IP. */
  leavesFragments = false;
  includeHeader = false;
  bindAddressNoPort = false;
  freeBind = false;
  transparent = false;
  multicastAll: boolean;
  routerAlert = false;
  /** Interface for multicast sends; 0: by route. */
  multicastIndex = 0;
  multicastSource = 0;
  /** IP_UNICAST_IF, IPV6_UNICAST_IF. */
  unicastIndex = 0;

  receivePktInfo6 = false;
  receiveHopLimit = false;
  receiveTclass = false;
  receiveOrigDstAddr6 = false;
  receiveErrorRfc4884v6 = false;
  receiveFragSize6 = false;
  receiveFlowInfo = false;
  receiveHopOptions = false;
  receiveDestinationOptions = false;
  receiveRouting = false;
  receivePathMtu = false;
  /** As RFC 2292 numbered them. */
  receiveOldPktInfo = false;
  receiveOldHopLimit = false;
  receiveOldHopOptions = false;
  receiveOldDestinationOptions = false;
  receiveOldRouting = false;
  /** IPV6_AUTOFLOWLABEL: packets get a flow label of ours where the program gives none. */
  autoFlowLabel = true;
  /** What labels of ours are made from; 0: not drawn yet. */
  flowSeed = 0;
  /** Those that this socket has reserved. */
  flowLabels: FlowLabel[] | null = null;
  /** Class and label of what goes to the connected peer, as connect() was told. */
  peerFlowInfo = 0;
  /** IPV6_FLOWINFO_SEND: sin6_flowinfo is looked at. */
  sendsFlowInfo = false;
  routerAlertIsolate = false;
  multicastAll6 = true;
  /** IPV6_PKTINFO as an option: where what names no interface leaves. */
  stickyIndex = 0;
  /** IPV6_ADDR_PREFERENCES: of IPV6_PREFER_SRC_*, those that are not Linux's own way. */
  sourcePreferences = 0;

  constructor(isIpv6: boolean) {
    // inet6_create: of IPv4's groups a socket of IPv6 hears only its own.
    this.multicastAll = !isIpv6;
  }
}

type FlagName = {
  [K in keyof IpState]: IpState[K] extends boolean ? K : never;
}[keyof IpState];

/** Options that are one bit, and nothing but kept until it matters. */
export const IP_FLAGS: ReadonlyMap<number, FlagName> = new Map([
  [IP_RECVOPTS, "receiveOptions"],
  [IP_RETOPTS, "returnOptions"],
  [IP_PKTINFO, "receivePktInfo"],
  [IP_RECVTTL, "receiveTtl"],
  [IP_RECVTOS, "receiveTos"],
  [IP_FREEBIND, "freeBind"],
  [IP_PASSSEC, "receiveSecurity"],
  [IP_TRANSPARENT, "transparent"],
  [IP_RECVORIGDSTADDR, "receiveOrigDstAddr"],
  [IP_NODEFRAG, "leavesFragments"],
  [IP_CHECKSUM, "receiveChecksum"],
  [IP_BIND_ADDRESS_NO_PORT, "bindAddressNoPort"],
  [IP_RECVFRAGSIZE, "receiveFragSize"],
  [IP_RECVERR_RFC4884, "receiveErrorRfc4884"],
]);

export const IPV6_FLAGS: ReadonlyMap<number, FlagName> = new Map([
  [IPV6_2292PKTINFO, "receiveOldPktInfo"],
  [IPV6_2292HOPOPTS, "receiveOldHopOptions"],
  [IPV6_2292DSTOPTS, "receiveOldDestinationOptions"],
  [IPV6_2292RTHDR, "receiveOldRouting"],
  [IPV6_2292HOPLIMIT, "receiveOldHopLimit"],
  [IPV6_FLOWINFO, "receiveFlowInfo"],
  [IPV6_ROUTER_ALERT_ISOLATE, "routerAlertIsolate"],
  [IPV6_RECVERR_RFC4884, "receiveErrorRfc4884v6"],
  [IPV6_FLOWINFO_SEND, "sendsFlowInfo"],
  [IPV6_RECVPKTINFO, "receivePktInfo6"],
  [IPV6_RECVHOPLIMIT, "receiveHopLimit"],
  [IPV6_RECVHOPOPTS, "receiveHopOptions"],
  [IPV6_RECVRTHDR, "receiveRouting"],
  [IPV6_RECVDSTOPTS, "receiveDestinationOptions"],
  [IPV6_RECVPATHMTU, "receivePathMtu"],
  [IPV6_RECVTCLASS, "receiveTclass"],
  [IPV6_RECVORIGDSTADDR, "receiveOrigDstAddr6"],
  [IPV6_TRANSPARENT, "transparent"],
  [IPV6_RECVFRAGSIZE, "receiveFragSize6"],
  [IPV6_FREEBIND, "freeBind"],
  [IPV6_AUTOFLOWLABEL, "autoFlowLabel"],
]);
