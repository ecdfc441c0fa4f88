// The variables that a code block sees: struct tcp_info under its C names.

import type { TcpEndpoint, TcpInfo } from "../../netstack/index.ts";

export const newTcpInfo = (): TcpInfo => ({
  state: 0,
  caState: 0,
  retransmits: 0,
  probes: 0,
  backoff: 0,
  options: 0,
  sndWscale: 0,
  rcvWscale: 0,
  rtoUs: 0,
  atoUs: 0,
  sndMss: 0,
  rcvMss: 0,
  unacked: 0,
  sacked: 0,
  lost: 0,
  retrans: 0,
  lastDataSentMs: 0,
  lastDataRecvMs: 0,
  lastAckRecvMs: 0,
  pmtu: 0,
  rcvSsthresh: 0,
  rttUs: 0,
  rttvarUs: 0,
  sndSsthresh: 0,
  sndCwnd: 0,
  advmss: 0,
  reordering: 0,
  rcvRttUs: 0,
  rcvSpace: 0,
  totalRetrans: 0,
  bytesAcked: 0,
  bytesReceived: 0,
  segsOut: 0,
  segsIn: 0,
  notsentBytes: 0,
  minRttUs: 0,
  dataSegsIn: 0,
  dataSegsOut: 0,
  delivered: 0,
  deliveredCe: 0,
  deliveryRate: 0,
  busyTimeUs: 0,
  rwndLimitedUs: 0,
  sndbufLimitedUs: 0,
  bytesSent: 0,
  bytesRetrans: 0,
  dsackDups: 0,
  reordSeen: 0,
  rcvOooPack: 0,
  sndWnd: 0,
  rcvWnd: 0,
});

/** Units that our names carry and C's do not. */
const SPECIAL: Readonly<Record<string, keyof TcpInfo>> = {
  rto: "rtoUs",
  ato: "atoUs",
  last_data_sent: "lastDataSentMs",
  last_data_recv: "lastDataRecvMs",
  last_ack_recv: "lastAckRecvMs",
  rtt: "rttUs",
  rttvar: "rttvarUs",
  rcv_rtt: "rcvRttUs",
  min_rtt: "minRttUs",
  busy_time: "busyTimeUs",
  rwnd_limited: "rwndLimitedUs",
  sndbuf_limited: "sndbufLimitedUs",
  rcv_ooopack: "rcvOooPack",
};

const snake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

const info = newTcpInfo();
const NAMES: readonly (readonly [string, keyof TcpInfo])[] = [
  ...(Object.keys(info) as (keyof TcpInfo)[]).map((key) => [snake(key), key] as const),
  ...Object.entries(SPECIAL),
];

/** Every tcpi_* variable of a connection now. */
export function tcpInfoVariables(endpoint: TcpEndpoint): [string, number][] {
  endpoint.info(info);
  return NAMES.map(([name, key]) => [`tcpi_${name}`, info[key]]);
}
