// The variables that a code block sees: struct tcp_info under its C names.

import { newTcpInfo, type TcpEndpoint, type TcpInfo } from "../../netstack/index.ts";

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
  total_rto_time: "totalRtoTimeMs",
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
