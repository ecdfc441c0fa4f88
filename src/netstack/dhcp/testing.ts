// A DHCP server of the tests' own, on a UDP endpoint of another stack: it answers as a test wants, also wrongly.
// Not part of the product.

import { setU32, u32 } from "../../base/bytes.ts";
import type { DatagramInfo } from "../endpoints.ts";
import { newDatagramInfo } from "../endpoints.ts";
import { IpAddr } from "../ip-addr.ts";
import type { Nic } from "../stack/nic.ts";
import type { UdpEndpoint } from "../udp/udp-endpoint.ts";
import * as dhcp from "../wire/dhcp.ts";

const EVERYBODY = IpAddr.v4(255, 255, 255, 255);

export interface Heard {
  type: number;
  xid: number;
  ciaddr: number;
  isBroadcast: boolean;
  secs: number;
  /** Where it came from. */
  from: string;
  options: Map<number, Uint8Array>;
  timeNs: number;
}

export type Options = [code: number, value: readonly number[]][];

export class DhcpServer {
  readonly heard: Heard[] = [];
  readonly #endpoint: UdpEndpoint;
  readonly #nic: Nic;
  /** The next address to give; the last byte counts up. */
  offered: IpAddr;
  options: Options;
  /** What it says to each kind of message; 0: nothing. */
  answers: Record<number, number> = {
    [dhcp.DHCPDISCOVER]: dhcp.DHCPOFFER,
    [dhcp.DHCPREQUEST]: dhcp.DHCPACK,
  };
  mangle: (bytes: Uint8Array) => void = () => {};

  constructor(nic: Nic, offered: IpAddr, options: Options) {
    this.#nic = nic;
    this.offered = offered;
    this.options = options;
    const ep = nic.stack.udp.open(4);
    if (typeof ep === "number") throw new Error("no endpoint");
    ep.options.broadcast = true;
    ep.options.boundNicId = nic.id;
    ep.bind(IpAddr.v4(0, 0, 0, 0), dhcp.DHCP_SERVER_PORT);
    ep.onReadiness = () => this.#receive();
    this.#endpoint = ep;
  }

  get types(): number[] {
    return this.heard.map((h) => h.type);
  }
  get last(): Heard {
    return this.heard[this.heard.length - 1];
  }

  #receive(): void {
    const b = new Uint8Array(1500);
    const info: DatagramInfo = newDatagramInfo();
    for (;;) {
      const n = this.#endpoint.receive(b, 0, b.length, info, false);
      if (n < 0) return;
      // Read as an answer: the two differ in the first byte only.
      b[0] = 2;
      const read = dhcp.readDhcpReply(b, n, b.slice(28, 34));
      if (read === null) throw new Error("the client's message cannot be read");
      this.heard.push({
        ...{ type: read.type, xid: read.xid, ciaddr: u32(b, 12), secs: (b[8] << 8) | b[9] },
        ...{ isBroadcast: (b[10] & 0x80) !== 0, from: info.addr.toString() },
        ...{ options: read.options, timeNs: this.#nic.stack.clock.monotonicNs() },
      });
      const answer = this.answers[read.type] ?? 0;
      if (answer !== 0) this.say(answer, b.slice(28, 34), read.xid, info.addr);
    }
  }

  say(type: number, mac: Uint8Array, xid: number, to: IpAddr): void {
    const b = new Uint8Array(1500);
    const own = this.#nic.addresses[0].addr.w3;
    const id = [own >>> 24, (own >>> 16) & 255, (own >>> 8) & 255, own & 255];
    const options: Options = [
      [dhcp.DHCP_MESSAGE_TYPE, [type]],
      [dhcp.DHCP_SERVER_ID, id],
    ];
    if (type !== dhcp.DHCPNAK) options.push(...this.options);
    const request = { xid, secs: 0, broadcast: false, ciaddr: 0, mac };
    const length = dhcp.writeDhcp(b, { ...request, options });
    b[0] = 2;
    if (type !== dhcp.DHCPNAK) setU32(b, 16, this.offered.w3);
    this.mangle(b);
    const where = to.isUnspecified ? EVERYBODY : to;
    this.#endpoint.send(b, 0, length, where, dhcp.DHCP_CLIENT_PORT);
  }
}
