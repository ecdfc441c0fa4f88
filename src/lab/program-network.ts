// The addresses on the link of a program that is replayed to or fuzzed: its own, and where it finds whoever is played.

import { IpAddr } from "../netstack/index.ts";

/** What the sandbox is to be started with. */
export const PROGRAM_NETWORK = { net: "gateway", ip: "10.0.2.15/24", mac: "02:6e:63:00:00:0f" };
/** And where there is IPv6. */
export const PROGRAM_NETWORK6 = { ip6: "fd00:6e63::15/64", router6: "fd00:6e63::2" };
export const GUEST = IpAddr.v4(10, 0, 2, 15);
export const GUEST6 = v6(0x15);
export const GUEST_MAC = Uint8Array.of(2, 0x6e, 0x63, 0, 0, 0x0f);
/** Clients of a program come from here; in a replay names lead here. */
export const ROUTER = IpAddr.v4(10, 0, 2, 2);
export const ROUTER6 = v6(2);

function v6(last: number): IpAddr {
  const addr = new IpAddr();
  addr.w0 = 0xfd00_6e63 | 0;
  addr.w3 = last;
  return addr;
}
