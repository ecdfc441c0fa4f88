import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IpAddr } from "./ip-addr.ts";
import { parseIp } from "./parse-ip.ts";

describe("an IP address in text", () => {
  // RFC 4291 2.2, RFC 5952 4 and 5.
  it.each([
    ["2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"],
    ["FF01:0:0:0:0:0:0:101", "ff01::101"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["::", "::"],
    ["0:0:0:0:0:FFFF:129.144.52.38", "129.144.52.38"],
    ["::13.1.68.3", "::d01:4403"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["10.0.2.15", "10.0.2.15"],
  ])("%s is %s", (text, shown) => {
    expect(parseIp(text)?.toString()).toBe(shown);
  });

  it.each([
    "",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "12345::",
    "g::",
    "::1.2.3",
    "1.2.3.4::",
    "::1%eth0",
    "fe80::1/64",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3",
  ])("%j is none", (text) => {
    expect(parseIp(text)).toBeNull();
  });

  it("reads back what it shows", () => {
    const word = fc.oneof(fc.constant(0), fc.integer());
    fc.assert(
      fc.property(word, word, word, word, (w0, w1, w2, w3) => {
        const addr = new IpAddr();
        Object.assign(addr, { w0, w1, w2, w3 });
        expect(parseIp(addr.toString())).toEqual(addr);
      }),
    );
  });
});
