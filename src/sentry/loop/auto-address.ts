// eth0's address by DHCP: programs wait for it, for a bounded time, and the files under /etc follow the lease. Not
// the protocol itself (netstack/dhcp).

import { SECOND } from "../../base/clock.ts";
import { Timer } from "../../base/timers.ts";
import { DhcpClient, type Lease, type Nic, PROBE_TIMES_NEAR } from "../../netstack/index.ts";

/** DISCOVERs at 0, 4, 12 and 28 seconds. */
const WAIT_NS = 30 * SECOND;
export const NO_SERVER = `no DHCP server gave an address within ${WAIT_NS / SECOND} s; give one with --ip, or none with --net none.`;

export interface AutoAddressConfig {
  nic: Nic;
  hostName: string;
  onLease: (lease: Lease) => void;
  /** No lease in time. */
  onFailure: () => void;
}

export class AutoAddress {
  readonly #nic: Nic;
  readonly #client: DhcpClient;
  readonly #patience: Timer;
  #held: (() => void)[] | null = [];

  constructor({ nic, hostName, onLease, onFailure }: AutoAddressConfig) {
    this.#nic = nic;
    this.#client = new DhcpClient(nic, {
      hostName,
      // The other end is a bridge or a host on this machine: programs shall not wait seconds for it.
      probeTimes: PROBE_TIMES_NEAR,
      onLease: (lease) => {
        if (lease === null) return;
        onLease(lease);
        this.#letGo();
      },
    });
    this.#patience = new Timer(onFailure);
  }

  start(): void {
    const { stack } = this.#nic;
    stack.timers.arm(this.#patience, stack.clock.monotonicNs() + WAIT_NS);
    this.#client.start();
  }

  /** Runs what needs the network: now, or once there is an address. */
  whenReady(what: () => void): void {
    if (this.#held === null) what();
    else this.#held.push(what);
  }

  #letGo(): void {
    this.#nic.stack.timers.disarm(this.#patience);
    const held = this.#held ?? [];
    this.#held = null;
    for (const what of held) what();
  }

  close(): void {
    this.#client.close();
  }
}
