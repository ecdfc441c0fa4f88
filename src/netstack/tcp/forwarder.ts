// What a gateway sees of a connection that a host behind it wants to open: a SYN to an address that has
// no listener here. The gateway decides at once or later; until then the SYN's repetitions are ignored.

import type { TcpEndpoint } from "../endpoints.ts";
import type { IpAddr } from "../ip-addr.ts";

export interface ForwardRequest {
  /** Who connects. Valid for as long as the request is held. */
  readonly remoteAddr: IpAddr;
  readonly remotePort: number;
  /** Whom it wants to reach. */
  readonly localAddr: IpAddr;
  readonly localPort: number;
  /** False once the peer gave up (RST), the request timed out or was answered. */
  readonly isPending: boolean;
  /** Sends the SYN-ACK. The endpoint becomes writable when the handshake is over. Null when no longer pending. */
  accept(): TcpEndpoint | null;
  /** Answers with RST: connection refused. */
  reject(): void;
  /** Forgets it silently. */
  drop(): void;
}

export type ForwardHandler = (request: ForwardRequest) => void;
