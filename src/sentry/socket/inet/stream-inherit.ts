// What a connection takes from its listener (Linux's sk_clone, inet_csk_clone_lock, tcp_v6_syn_recv_sock), besides the
// options of the endpoint, which the stack hands down.

import type { StreamSocket } from "./stream-socket.ts";

export function inherit(child: StreamSocket, listener: StreamSocket): void {
  child.receiveTimeoutNs = listener.receiveTimeoutNs;
  child.sendTimeoutNs = listener.sendTimeoutNs;
  child.receiveLowat = listener.receiveLowat;
  child.lingerSeconds = listener.lingerSeconds;
  child.priority = listener.priority;
  child.mark = listener.mark;
  child.ownerUid = listener.ownerUid;
  child.timestamp = listener.timestamp;
  child.zerocopy = listener.zerocopy;
  child.reuseAddress = listener.reuseAddress;
  child.reusePort = listener.reusePort;
  child.keepAlive = listener.keepAlive;
  child.oobInline = listener.oobInline;
  child.maxPacingRate = listener.maxPacingRate;
  child.reportsInq = listener.reportsInq;
  child.peekOffset = listener.peekOffset;
  child.inheritIp(listener);
}
