// struct tcp_info (include/uapi/linux/tcp.h), as of Linux 6.18: 280 bytes. A program that asks for less
// gets the front of it.

import { setU16Le, setU32Le, setU64Le } from "../../../base/bytes.ts";
import type { TcpInfo } from "../../../netstack/index.ts";

export const TCP_INFO_BYTES = 280;

/** Writes the struct at the start of out, which holds TCP_INFO_BYTES. */
export function encodeTcpInfo(out: Uint8Array, i: TcpInfo, maxPacingRate: number): void {
  out.fill(0, 0, TCP_INFO_BYTES);
  out[0] = i.state;
  out[1] = i.caState;
  out[2] = i.retransmits;
  out[3] = i.probes;
  out[4] = i.backoff;
  out[5] = i.options;
  out[7] = i.deliveryRateAppLimited;
  out[6] = (i.sndWscale & 15) | ((i.rcvWscale & 15) << 4);
  const words = [
    i.rtoUs,
    i.atoUs,
    i.sndMss,
    i.rcvMss,
    i.unacked,
    i.sacked,
    i.lost,
    i.retrans,
    0, // fackets: no longer kept
    i.lastDataSentMs,
    0, // last_ack_sent: never kept
    i.lastDataRecvMs,
    i.lastAckRecvMs,
    i.pmtu,
    i.rcvSsthresh,
    i.rttUs,
    i.rttvarUs,
    i.sndSsthresh,
    i.sndCwnd,
    i.advmss,
    i.reordering,
    i.rcvRttUs,
    i.rcvSpace,
    i.totalRetrans,
  ];
  words.forEach((word, k) => {
    setU32Le(out, 8 + 4 * k, Math.min(word, 0xffff_ffff));
  });
  putRate(out, 104, i.pacingRate);
  putRate(out, 112, maxPacingRate);
  setU64Le(out, 120, i.bytesAcked);
  setU64Le(out, 128, i.bytesReceived);
  const second = [i.segsOut, i.segsIn, i.notsentBytes, i.minRttUs, i.dataSegsIn, i.dataSegsOut];
  second.forEach((word, k) => {
    setU32Le(out, 136 + 4 * k, word);
  });
  setU64Le(out, 160, i.deliveryRate);
  setU64Le(out, 168, i.busyTimeUs);
  setU64Le(out, 176, i.rwndLimitedUs);
  setU64Le(out, 184, i.sndbufLimitedUs);
  setU32Le(out, 192, i.delivered);
  setU32Le(out, 196, i.deliveredCe);
  setU64Le(out, 200, i.bytesSent);
  setU64Le(out, 208, i.bytesRetrans);
  setU32Le(out, 216, i.dsackDups);
  setU32Le(out, 220, i.reordSeen);
  setU32Le(out, 224, i.rcvOooPack);
  setU32Le(out, 228, i.sndWnd);
  setU32Le(out, 232, i.rcvWnd);
  // 236, rehash: the flow label does not change with a timeout.
  setU16Le(out, 240, i.totalRto);
  setU16Le(out, 242, i.totalRtoRecoveries);
  setU32Le(out, 244, i.totalRtoTimeMs);
  const accEcn = [
    i.receivedCe,
    i.deliveredE1Bytes,
    i.deliveredE0Bytes,
    i.deliveredCeBytes,
    i.receivedE1Bytes,
    i.receivedE0Bytes,
    i.receivedCeBytes,
  ];
  accEcn.forEach((word, k) => {
    setU32Le(out, 248 + 4 * k, word);
  });
  setU16Le(out, 276, i.accecnFailMode);
  setU16Le(out, 278, i.accecnOptSeen);
}

/** ~0: without bound. */
function putRate(out: Uint8Array, at: number, rate: number): void {
  if (rate === Number.POSITIVE_INFINITY) out.fill(0xff, at, at + 8);
  else setU64Le(out, at, Math.floor(rate));
}
