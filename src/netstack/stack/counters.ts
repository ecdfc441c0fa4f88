// What the network layer and UDP, ICMP count. Names follow the SNMP MIBs as /proc/net/snmp and netstat
// spell them (RFC 4293, 4113), with the group in front; every packet that is dropped adds one to exactly
// one drop* reason. TCP keeps its own.

export class Counters {
  ipInReceives = 0;
  ipInDelivers = 0;
  ipInHdrErrors = 0;
  ipInAddrErrors = 0;
  ipInUnknownProtos = 0;
  ipInDiscards = 0;
  ipInTruncatedPkts = 0;
  ipInOctets = 0;
  ipInBcastPkts = 0;
  ipInMcastPkts = 0;
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
  icmpOutRateLimited = 0;
  icmpOutDestUnreachs = 0;
  icmpOutTimeExcds = 0;
  icmpOutParmProbs = 0;
  icmpOutEchos = 0;
  icmpOutEchoReps = 0;

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
  dropArpBad = 0;
  dropNicDown = 0;
  /** IPv4 version, lengths or checksum. */
  dropIpHeader = 0;
  dropIpOptions = 0;
  /** A source that no packet may have: multicast, broadcast, loopback on the wire, our own (LAND). */
  dropIpMartianSource = 0;
  dropIpMartianDestination = 0;
  /** Not one of our addresses, and we do not forward. */
  dropIpNotLocal = 0;
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
  dropNeighborFailed = 0;
  dropNeighborQueueFull = 0;
  dropNeighborTableFull = 0;
  dropLoopbackQueueFull = 0;
  /** The link had no room. */
  dropLinkFull = 0;
  dropTooBig = 0;
}
