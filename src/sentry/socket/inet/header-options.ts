// The options of the IPv4 header as programs see them: IP_OPTIONS of a socket, the control messages IP_RECVOPTS (as
// they came) and IP_RETOPTS (turned round for an answer; also what one sendmsg shall carry). ip(7), ip_sockglue.c.

import { CAP_NET_RAW } from "../../../abi/capability.ts";
import { EINVAL, EPERM } from "../../../abi/errno.ts";
import { IP_RECVOPTS, IP_RETOPTS } from "../../../abi/in.ts";
import { SOL_IP } from "../../../abi/socket.ts";
import { IPV4_OPTIONS_MAX, type IpOptions, type ReceivedOptions } from "../../../netstack/index.ts";
import type { Task } from "../../kernel/task.ts";
import type { ControlWriter } from "../control.ts";
import { resultOf } from "../errno-of.ts";
import type { InetSocket } from "./inet-socket.ts";

/**
 * Options in a program's bytes, or -errno. More than 40 are not looked at. A source route is for the privileged (since
 * Linux 6.18).
 */
export function readHeaderOptions(
  t: Task,
  s: InetSocket,
  bytes: Uint8Array,
  offset: number,
  length: number,
): IpOptions | number {
  const isPrivileged = t.creds.hasCapability(CAP_NET_RAW);
  const used = Math.min(length, IPV4_OPTIONS_MAX);
  const options = s.network.compileIpOptions(bytes, offset, used, isPrivileged);
  if (options === null) return -EINVAL;
  return options.hasSourceRoute && !isPrivileged ? -EPERM : options;
}

export function setHeaderOptions(
  t: Task,
  s: InetSocket,
  value: Uint8Array,
  length: number,
): number {
  if (length > IPV4_OPTIONS_MAX) return -EINVAL;
  const options = readHeaderOptions(t, s, value, 0, length);
  if (typeof options === "number") return options;
  return resultOf(s.endpoint.setIpOptions(options));
}

/** Their length. */
export function getHeaderOptions(s: InetSocket, out: Uint8Array): number {
  const options = s.endpoint.ipOptions?.undone();
  if (options === undefined) return 0;
  out.set(options);
  return options.length;
}

/** ip_cmsg_recv_opts and ip_cmsg_recv_retopts. */
export function putHeaderOptions(
  s: InetSocket,
  options: ReceivedOptions,
  control: ControlWriter,
): void {
  const { raw, answer } = options;
  if (s.ip.receiveOptions) control.put(SOL_IP, IP_RECVOPTS, raw, 0, raw.length);
  if (!s.ip.returnOptions) return;
  if (answer === null) control.isTruncated = true;
  else control.put(SOL_IP, IP_RETOPTS, answer, 0, answer.length);
}
