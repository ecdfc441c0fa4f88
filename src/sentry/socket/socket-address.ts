// A struct sockaddr as the program gave it, or as it will get it: bytes and a length, nothing decided.
// The families parse it: inet/inet-address.ts, unix/unix-address.ts, netlink/netlink-socket.ts.

import { AF_UNSPEC, SOCKADDR_STORAGE_BYTES } from "../../abi/socket.ts";
import { u16Le } from "../../base/bytes.ts";

export class SocketAddress {
  readonly bytes = new Uint8Array(SOCKADDR_STORAGE_BYTES);
  /** 0: no address. */
  length = 0;

  /** sa_family; AF_UNSPEC when there are not even two bytes. */
  get family(): number {
    return this.length >= 2 ? u16Le(this.bytes, 0) : AF_UNSPEC;
  }
  set(other: SocketAddress): void {
    this.bytes.set(other.bytes);
    this.length = other.length;
  }
}
