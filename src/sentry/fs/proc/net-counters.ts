// /proc/net/{snmp,netstat,sockstat}: counters by their MIB names (RFC 4293, 4022, 4113). Each group is a
// line of names and a line of numbers; what the stack does not count is zero.

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
} from "../../../abi/socket.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { NetCounters, NetSource } from "./net-source.ts";

const IP =
  "Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits";
const ICMP =
  "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps";
const TCP =
  "RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors";
const UDP =
  "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors";
const TCP_EXT =
  "SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled RcvPruned OfoPruned OutOfWindowIcmps LockDroppedIcmps ArpFilter TW TWRecycled TWKilled PAWSActive PAWSEstab BeyondWindow TSEcrRejected PAWSOldAck PAWSTimewait DelayedACKs DelayedACKLocked DelayedACKLost ListenOverflows ListenDrops TCPHPHits TCPPureAcks TCPHPAcks TCPRenoRecovery TCPSackRecovery TCPSACKReneging TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo TCPPartialUndo TCPDSACKUndo TCPLossUndo TCPLostRetransmit TCPRenoFailures TCPSackFailures TCPLossFailures TCPFastRetrans TCPSlowStartRetrans TCPTimeouts TCPLossProbes TCPLossProbeRecovery TCPRenoRecoveryFail TCPSackRecoveryFail TCPRcvCollapsed TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv TCPDSACKOfoRecv TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger TCPAbortFailed TCPMemoryPressures TCPMemoryPressuresChrono TCPSACKDiscard TCPDSACKIgnoredOld TCPDSACKIgnoredNoUndo TCPSpuriousRTOs TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure TCPSackShifted TCPSackMerged TCPSackShiftFallback TCPBacklogDrop PFMemallocDrop TCPMinTTLDrop TCPDeferAcceptDrop IPReversePathFilter TCPTimeWaitOverflow TCPReqQFullDoCookies TCPReqQFullDrop TCPRetransFail TCPRcvCoalesce TCPBacklogCoalesce TCPOFOQueue TCPOFODrop TCPOFOMerge TCPChallengeACK TCPSYNChallenge TCPFastOpenActive TCPFastOpenActiveFail TCPFastOpenPassive TCPFastOpenPassiveFail TCPFastOpenListenOverflow TCPFastOpenCookieReqd TCPFastOpenBlackhole TCPSpuriousRtxHostQueues BusyPollRxPackets TCPAutoCorking TCPFromZeroWindowAdv TCPToZeroWindowAdv TCPWantZeroWindowAdv TCPSynRetrans TCPOrigDataSent TCPHystartTrainDetect TCPHystartTrainCwnd TCPHystartDelayDetect TCPHystartDelayCwnd TCPACKSkippedSynRecv TCPACKSkippedPAWS TCPACKSkippedSeq TCPACKSkippedFinWait2 TCPACKSkippedTimeWait TCPACKSkippedChallenge TCPWinProbe TCPKeepAlive TCPMTUPFail TCPMTUPSuccess TCPDelivered TCPDeliveredCE TCPAckCompressed TCPZeroWindowDrop TCPRcvQDrop TCPWqueueTooBig TCPFastOpenPassiveAltKey TcpTimeoutRehash TcpDuplicateDataRehash TCPDSACKRecvSegs TCPDSACKIgnoredDubious TCPMigrateReqSuccess TCPMigrateReqFailure TCPPLBRehash TCPAORequired TCPAOBad TCPAOKeyNotFound TCPAOGood TCPAODroppedIcmps";
const IP_EXT =
  "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets InCsumErrors InNoECTPkts InECT1Pkts InECT0Pkts InCEPkts ReasmOverlaps";

const FIXED: Readonly<Record<string, number>> = {
  DefaultTTL: 64,
  RtoAlgorithm: 1,
  RtoMin: 200,
  RtoMax: 120_000,
  MaxConn: -1,
};

function group(title: string, names: string, counters: NetCounters, prefix: string): string {
  const list = names.split(" ");
  const value = (name: string): number => {
    const counted = (counters as Record<string, unknown>)[prefix + name];
    return typeof counted === "number" ? counted : (FIXED[name] ?? 0);
  };
  return `${title}: ${names}\n${title}: ${list.map(value).join(" ")}\n`;
}

export function counterTable(net: NetSource, which: "snmp" | "netstat"): ByteString {
  const ip = net.ipCounters();
  const tcp = net.tcpCounters();
  if (which === "netstat") {
    return group("TcpExt", TCP_EXT, tcp, "") + group("IpExt", IP_EXT, ip, "ip");
  }
  return (
    group("Ip", IP, { ...ip, ipForwarding: net.isForwarding() ? 1 : 2 }, "ip") +
    group("Icmp", ICMP, ip, "icmp") +
    group("Tcp", TCP, tcp, "") +
    group("Udp", UDP, ip, "udp") +
    group("UdpLite", UDP, {}, "")
  );
}

function count(net: NetSource, family: number, type: number): number {
  let n = 0;
  for (const s of net.sockets()) if (s.family === family && s.type === type) n++;
  return n;
}

export function sockstatText(net: NetSource): ByteString {
  let used = 0;
  for (const s of net.sockets()) if (s.family !== AF_UNIX || s.type !== 0) used++;
  const tcp = count(net, AF_INET, SOCK_STREAM);
  return (
    `sockets: used ${used}\n` +
    `TCP: inuse ${tcp} orphan 0 tw 0 alloc ${tcp} mem 0\n` +
    `UDP: inuse ${count(net, AF_INET, SOCK_DGRAM)} mem 0\nUDPLITE: inuse 0\n` +
    `RAW: inuse ${count(net, AF_INET, SOCK_RAW)}\nFRAG: inuse 0 memory 0\n`
  );
}
export function sockstat6Text(net: NetSource): ByteString {
  return (
    `TCP6: inuse ${count(net, AF_INET6, SOCK_STREAM)}\n` +
    `UDP6: inuse ${count(net, AF_INET6, SOCK_DGRAM)}\nUDPLITE6: inuse 0\n` +
    `RAW6: inuse ${count(net, AF_INET6, SOCK_RAW)}\nFRAG6: inuse 0 memory 0\n`
  );
}

/** /proc/net/snmp6: a counter a line. */
export function counters6Text(net: NetSource): ByteString {
  let s = "";
  for (const [name, value] of Object.entries(net.ipCounters())) {
    if (!/^(ip|icmp)6/.test(name) || typeof value !== "number") continue;
    s += `${(name[0].toUpperCase() + name.slice(1)).padEnd(32)}\t${value}\n`;
  }
  return s;
}
