import { describe, expect, it } from "vitest";
import type { IpAddr } from "../ip-addr.ts";
import { parseIp } from "../parse-ip.ts";
import { NicAddress } from "./nic-address.ts";
import { addressLabel, addressScope, commonPrefixBits, selectSource } from "./source-address.ts";

const ip = (text: string): IpAddr => parseIp(text) as IpAddr;

function nicAddress(text: string): NicAddress {
  const [addr, ...marks] = text.split(" ");
  const a = new NicAddress(ip(addr), 64);
  if (marks.includes("deprecated")) a.preferredUntilNs = 0;
  if (marks.includes("temporary")) a.temporary = true;
  return a;
}

// @rfc 6724 5
// @rfc 4862 5.5.4
describe("source address selection", () => {
  // RFC 6724 10.1; those that need a home address are left out.
  it.each([
    ["2001:db8:1::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"],
    ["ff05::1", ["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"],
    ["2001:db8:1::1", ["2001:db8:1::1 deprecated", "2001:db8:2::1"], "2001:db8:1::1"],
    ["fe80::1", ["fe80::2 deprecated", "2001:db8:1::1"], "fe80::2"],
    ["2001:db8:1::1", ["2001:db8:1::2", "2001:db8:3::2"], "2001:db8:1::2"],
    ["2001:db8:1::1", ["2001:db8:3::2", "2001:db8:1::2"], "2001:db8:1::2"],
    [
      "2002:c633:6401::1",
      ["2002:c633:6401::d5e3:7953:13eb:22e8 temporary", "2001:db8:1::2"],
      "2002:c633:6401::d5e3:7953:13eb:22e8",
    ],
    [
      "2001:db8:1::d5e3:0:0:1",
      ["2001:db8:1::2", "2001:db8:1::d5e3:7953:13eb:22e8 temporary"],
      "2001:db8:1::d5e3:7953:13eb:22e8",
    ],
  ] as const)("for %s from %j is %s", (dst, from, chosen) => {
    const candidates = from.map(nicAddress);
    const policy = { nowNs: 1, preferTemporary: true };
    expect(selectSource(candidates, ip(dst), policy)).toEqual(ip(chosen));
  });

  it("prefers the public address where temporary ones are not asked for", () => {
    const candidates = [nicAddress("2001:db8::5 temporary"), nicAddress("2001:db8::6")];
    const policy = { nowNs: 1, preferTemporary: false };
    expect(selectSource(candidates, ip("2001:db8:9::1"), policy)?.toString()).toBe("2001:db8::6");
  });

  it("knows the default policy table's labels and the scopes", () => {
    const labels = [
      "::1",
      "2001:db8::1",
      "10.0.0.1",
      "2002::1",
      "2001::1",
      "fd00::1",
      "::9",
      "fec0::1",
      "3ffe::1",
    ];
    expect(labels.map((t) => addressLabel(ip(t)))).toEqual([0, 1, 4, 2, 5, 13, 3, 11, 12]);
    const scopes = [
      "fe80::1",
      "::1",
      "fec0::1",
      "2001:db8::1",
      "ff02::1",
      "ff08::1",
      "169.254.1.1",
      "10.0.0.1",
    ];
    expect(scopes.map((t) => addressScope(ip(t)))).toEqual([2, 2, 5, 14, 2, 8, 2, 14]);
  });

  it("counts common bits up to the prefix", () => {
    expect(commonPrefixBits(ip("2001:db8::1"), ip("2001:db8::3"), 128)).toBe(126);
    expect(commonPrefixBits(ip("2001:db8::1"), ip("2001:db8::3"), 64)).toBe(64);
    expect(commonPrefixBits(ip("fd00::"), ip("2001::"), 64)).toBe(0);
  });
});
