// Counters of the TCP layer under Linux's names: RFC 4022's Tcp group (/proc/net/snmp) and the TcpExt
// group (/proc/net/netstat). A field exists only when the code counts it.

export class TcpStats {
  // Tcp
  ActiveOpens = 0;
  PassiveOpens = 0;
  AttemptFails = 0;
  EstabResets = 0;
  CurrEstab = 0;
  InSegs = 0;
  OutSegs = 0;
  RetransSegs = 0;
  InErrs = 0;
  OutRsts = 0;
  InCsumErrors = 0;
  // TcpExt
  ListenOverflows = 0;
  ListenDrops = 0;
  TCPReqQFullDrop = 0;
  TW = 0;
  TWRecycled = 0;
  TCPTimeWaitOverflow = 0;
  PAWSEstab = 0;
  DelayedACKs = 0;
  DelayedACKLost = 0;
  TCPHPHits = 0;
  TCPPureAcks = 0;
  TCPRenoRecovery = 0;
  TCPSackRecovery = 0;
  TCPSACKReneging = 0;
  TCPSACKDiscard = 0;
  TCPFastRetrans = 0;
  TCPSlowStartRetrans = 0;
  TCPTimeouts = 0;
  TCPDSACKRecv = 0;
  TCPDSACKIgnoredDubious = 0;
  TCPDSACKUndo = 0;
  TCPFullUndo = 0;
  TCPPartialUndo = 0;
  TCPLossUndo = 0;
  TCPSpuriousRTOs = 0;
  TCPLostRetransmit = 0;
  TCPLossProbes = 0;
  TCPLossProbeRecovery = 0;
  TCPTSReorder = 0;
  TCPSACKReorder = 0;
  TCPRenoReorder = 0;
  TCPHystartTrainDetect = 0;
  TCPHystartTrainCwnd = 0;
  TCPHystartDelayDetect = 0;
  TCPHystartDelayCwnd = 0;
  TCPDSACKOldSent = 0;
  TCPDSACKOfoSent = 0;
  TCPAbortOnData = 0;
  TCPAbortOnClose = 0;
  TCPAbortOnTimeout = 0;
  TCPAbortOnLinger = 0;
  TCPDeferAcceptDrop = 0;
  TCPTimeWaitAssassinationIgnored = 0;
  TCPOFOQueue = 0;
  TCPOFODrop = 0;
  TCPOFOMerge = 0;
  TCPRcvQDrop = 0;
  TCPZeroWindowDrop = 0;
  TCPChallengeACK = 0;
  TCPSYNChallenge = 0;
  TCPACKSkipped = 0;
  TCPKeepAlive = 0;
  TCPWinProbe = 0;
  TCPFromZeroWindowAdv = 0;
  TCPToZeroWindowAdv = 0;
  TCPSynRetrans = 0;
  TCPOrigDataSent = 0;
  TCPDelivered = 0;
  OutOfWindowIcmps = 0;
}
