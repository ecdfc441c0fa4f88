// The TCP protocol of one stack.

import type { Clock } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import type { Rng } from "../../base/rng.ts";
import type { TimerQueue } from "../../base/timers.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import type { Family } from "../ip-addr.ts";
import type { NetError } from "../net-error.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";
import type { IcmpError, NetworkLayer, TransportProtocol } from "../stack/transport.ts";
import type { ForwardHandler } from "./forwarder.ts";
import { TcpStats } from "./stats.ts";

export interface TcpResources {
  readonly clock: Clock;
  readonly timers: TimerQueue;
  readonly rng: Rng;
  readonly limits: Limits;
}

export class TcpProtocol implements TransportProtocol {
  readonly protocol = 6;
  readonly stats = new TcpStats();

  constructor(_network: NetworkLayer, _resources: TcpResources) {}

  newEndpoint(_family: Family): TcpEndpoint | NetError {
    throw new Error("being written");
  }
  /** SYNs to any address without a listener go to the handler; null: they get a RST. */
  setForwarder(_handler: ForwardHandler | null): void {
    throw new Error("being written");
  }
  onPacket(_pkt: PacketBuffer): void {
    throw new Error("being written");
  }
  onIcmpError(_error: IcmpError): void {
    throw new Error("being written");
  }
  /** Aborts everything without a word: the stack goes away. */
  close(): void {
    throw new Error("being written");
  }
}
