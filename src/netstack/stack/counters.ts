// What the network layer and UDP, ICMP count. Names follow the SNMP MIBs as /proc/net/snmp and netstat
// spell them (RFC 4293, 4113), with the group in front; every packet that is dropped adds one to exactly
// one drop* reason. TCP keeps its own.

export class Counters {
  ipInReceives = 0;
  ipInDelivers = 0;
  ipInHdrErrors = 0;
  ipInAddrErrors = 0;
  ipForwDatagrams = 0;
  ipInNoRoutes = 0;
  ipInUnknownProtos = 0;
  ipInDiscards = 0;
  ipInTruncatedPkts = 0;
  ipInOctets = 0;
  ipInBcastPkts = 0;
  ipInMcastPkts = 0;
  ipInNoECTPkts = 0;
  ipInECT1Pkts = 0;
  ipInECT0Pkts = 0;
  ipInCEPkts = 0;
  ipOutRequests = 0;
  ipOutOctets = 0;
  ipOutDiscards = 0;
  ipOutNoRoutes = 0;
  ipReasmTimeout = 0;
  ipReasmReqds = 0;
  ipReasmOKs = 0;
  ipReasmFails = 0;
  ipReasmOverlaps = 0;
  ipFragOKs = 0;
  ipFragFails = 0;
  ipFragCreates = 0;

  ip6InReceives = 0;
  ip6InDelivers = 0;
  ip6InHdrErrors = 0;
  ip6InAddrErrors = 0;
  ip6OutForwDatagrams = 0;
  ip6InNoRoutes = 0;
  ip6InTooBigErrors = 0;
  ip6InUnknownProtos = 0;
  ip6InDiscards = 0;
  ip6InTruncatedPkts = 0;
  ip6InOctets = 0;
  ip6InMcastPkts = 0;
  ip6InNoECTPkts = 0;
  ip6InECT1Pkts = 0;
  ip6InECT0Pkts = 0;
  ip6InCEPkts = 0;
  ip6OutRequests = 0;
  ip6OutOctets = 0;
  ip6OutDiscards = 0;
  ip6OutNoRoutes = 0;
  ip6ReasmTimeout = 0;
  ip6ReasmReqds = 0;
  ip6ReasmOKs = 0;
  ip6ReasmFails = 0;
  ip6ReasmOverlaps = 0;
  ip6FragOKs = 0;
  ip6FragFails = 0;
  ip6FragCreates = 0;

  icmpInMsgs = 0;
  icmpInErrors = 0;
  icmpInCsumErrors = 0;
  icmpInDestUnreachs = 0;
  icmpInTimeExcds = 0;
  icmpInParmProbs = 0;
  icmpInSrcQuenchs = 0;
  icmpInRedirects = 0;
  icmpInEchos = 0;
  icmpInEchoReps = 0;
  icmpOutMsgs = 0;
  icmpOutErrors = 0;
  icmpOutRateLimitGlobal = 0;
  icmpOutRateLimitHost = 0;
  icmpOutDestUnreachs = 0;
  icmpOutTimeExcds = 0;
  icmpOutParmProbs = 0;
  icmpOutRedirects = 0;
  icmpOutEchos = 0;
  icmpOutEchoReps = 0;

  icmp6InMsgs = 0;
  icmp6InErrors = 0;
  icmp6InCsumErrors = 0;
  icmp6InDestUnreachs = 0;
  icmp6InPktTooBigs = 0;
  icmp6InTimeExcds = 0;
  icmp6InParmProblems = 0;
  icmp6InEchos = 0;
  icmp6InEchoReplies = 0;
  icmp6InRouterSolicits = 0;
  icmp6InRouterAdvertisements = 0;
  icmp6InNeighborSolicits = 0;
  icmp6InNeighborAdvertisements = 0;
  icmp6InRedirects = 0;
  icmp6InGroupMembQueries = 0;
  icmp6OutMsgs = 0;
  icmp6OutErrors = 0;
  icmp6OutRateLimitGlobal = 0;
  icmp6OutRateLimitHost = 0;
  icmp6OutDestUnreachs = 0;
  icmp6OutPktTooBigs = 0;
  icmp6OutTimeExcds = 0;
  icmp6OutParmProblems = 0;
  icmp6OutRedirects = 0;
  icmp6OutEchos = 0;
  icmp6OutEchoReplies = 0;
  icmp6OutRouterSolicits = 0;
  icmp6OutNeighborSolicits = 0;
  icmp6OutNeighborAdvertisements = 0;
  icmp6OutMLDv2Reports = 0;

  udpInDatagrams = 0;
  udpNoPorts = 0;
  udpInErrors = 0;
  udpOutDatagrams = 0;
  udpRcvbufErrors = 0;
  udpSndbufErrors = 0;
  udpInCsumErrors = 0;

  arpInRequests = 0;
  arpInReplies = 0;
  arpOutRequests = 0;
  arpOutReplies = 0;
  arpConflicts = 0;

  /** A frame shorter than its link header. */
  dropFrameShort = 0;
  /** For another station. */
  dropNotForUs = 0;
  dropUnknownEtherType = 0;
  /** Tagged for a VLAN that no interface is in. */
  dropUnknownVlan = 0;
  dropArpBad = 0;
  /** A Neighbour Discovery message that breaks a rule of RFC 4861, or has an option that does. */
  dropNdpBad = 0;
  /** Somebody else has an address that we wanted, or have. */
  ndpConflicts = 0;
  igmpInQueries = 0;
  igmpOutReports = 0;
  /** An IPv6 packet where IPv6 is off. */
  dropIpv6Off = 0;
  dropNicDown = 0;
  /** Version, lengths or checksum. */
  dropIpHeader = 0;
  dropIpOptions = 0;
  /** A source that no packet may have: multicast, broadcast, loopback on the wire, our own (LAND). */
  dropIpMartianSource = 0;
  dropIpMartianDestination = 0;
  /** Not one of our addresses, and we do not forward. */
  dropIpNotLocal = 0;
  /** Not to be forwarded: by its addresses or how it came, by its TTL, for want of a route. */
  dropForwardScope = 0;
  dropForwardTtl = 0;
  dropForwardNoRoute = 0;
  dropIpUnknownProtocol = 0;
  dropFragmentBad = 0;
  dropFragmentOverlap = 0;
  dropFragmentDuplicate = 0;
  dropFragmentTimeout = 0;
  dropFragmentQuota = 0;
  dropIcmpBad = 0;
  /** An error that quotes nothing of ours. */
  dropIcmpUnrelated = 0;
  dropIcmpUnknown = 0;
  dropUdpBad = 0;
  dropUdpChecksum = 0;
  dropUdpNoPort = 0;
  dropReceiveQueueFull = 0;
  dropSocketFilter = 0;
  dropNeighborFailed = 0;
  dropNeighborQueueFull = 0;
  dropNeighborTableFull = 0;
  dropLoopbackQueueFull = 0;
  /** The link had no room. */
  dropLinkFull = 0;
  dropTooBig = 0;
}
