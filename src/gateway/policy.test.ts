import { describe, expect, it } from "vitest";
import { type Destination, forbiddenKind, Policy } from "./policy.ts";
import { parseRule, RuleError } from "./rule.ts";

const policy = (allow: string[], deny: string[] = []): Policy =>
  new Policy(allow.map(parseRule), deny.map(parseRule), ["192.0.2.7"]);

/** "tcp 1.2.3.4:443 (name, name)" or "tcp host:80". */
function to(text: string): Destination {
  const match = /^(tcp|udp|icmp) (\S+?)(?::(\d+))?(?: \((.*)\))?$/.exec(text);
  if (match === null) throw new Error(text);
  return {
    protocol: match[1] as Destination["protocol"],
    address: match[2] === "host" ? "10.0.2.2" : match[2],
    port: Number(match[3] ?? 0),
    names: match[4]?.split(", ") ?? [],
    isHost: match[2] === "host",
  };
}

describe("rules", () => {
  it.each([
    "",
    ":80",
    "exa mple",
    "a..b",
    "example.com:0",
    "example.com:70000",
    "example.com:90-80",
    "tcp:",
    "icmp:1.2.3.4:80",
    "1.2.3.999",
    "10.0.0.0/33",
    "*.",
    "-x.com",
  ])("refuses %j", (text) => {
    expect(() => parseRule(text)).toThrow(RuleError);
  });

  it.each<[string, string, boolean]>([
    ["example.com:443", "tcp 93.184.216.34:443 (example.com)", true],
    ["example.com:443", "tcp 93.184.216.34:80 (example.com)", false],
    ["example.com:443", "tcp 93.184.216.34:443", false],
    ["EXAMPLE.com.", "udp 93.184.216.34:53 (example.COM)", true],
    ["*.example.com", "tcp 1.1.1.1:1 (a.b.example.com)", true],
    ["*.example.com", "tcp 1.1.1.1:1 (example.com)", false],
    ["*.example.com", "tcp 1.1.1.1:1 (badexample.com)", false],
    ["udp:1.1.1.1:53", "udp 1.1.1.1:53", true],
    ["udp:1.1.1.1:53", "tcp 1.1.1.1:53", false],
    ["10.0.0.0/8:1-100,443", "tcp 10.255.0.1:443", true],
    ["10.0.0.0/8:1-100,443", "tcp 10.255.0.1:101", false],
    ["10.0.0.0/8", "tcp 11.0.0.0:1", false],
    ["all", "tcp 8.8.8.8:9", true],
    ["all", "icmp 8.8.8.8", true],
    ["all", "tcp host:9", false],
    ["host:9", "tcp host:9", true],
    ["host:9", "tcp host:8", false],
    ["all", "tcp 127.0.0.1:9", false],
    ["all", "tcp 169.254.169.254:80", false],
    ["all", "tcp 192.0.2.7:80", false],
    ["169.254.169.254:80", "tcp 169.254.169.254:80", true],
    ["169.254.0.0/16", "tcp 169.254.169.254:80", true],
    ["0.0.0.0/0", "tcp 169.254.169.254:80", false],
    ["0.0.0.0/0", "tcp 93.184.216.34:80", true],
    ["evil.test", "tcp 127.0.0.1:80 (evil.test)", false],
    ["[2001:db8::1]:443", "tcp 2001:db8::1:443", true],
    ["2001:db8::/32", "icmp 2001:db8:ffff::1", true],
  ])("--allow %s, %s: %s", (rule, destination, allowed) => {
    const parsed = destination.includes("2001:db8::1:443")
      ? { ...to("tcp x:443"), address: "2001:db8::1" }
      : destination.includes("2001")
        ? { ...to("icmp x"), address: "2001:db8:ffff::1" }
        : to(destination);
    expect(policy([rule]).check(parsed).allowed).toBe(allowed);
  });

  it("allows nothing by default, and lets a deny win", () => {
    expect(policy([]).check(to("tcp 8.8.8.8:443")).allowed).toBe(false);
    expect(policy(["all"], ["8.8.8.8:443"]).check(to("tcp 8.8.8.8:443")).allowed).toBe(false);
    expect(policy(["all"], ["8.8.8.8:443"]).check(to("tcp 8.8.8.8:80")).allowed).toBe(true);
  });

  it("says which rule would allow it, and that rule does", () => {
    for (const text of [
      "tcp 93.184.216.34:443 (example.com)",
      "udp 1.2.3.4:53",
      "icmp 9.9.9.9",
      "tcp host:80",
    ]) {
      const { suggestedRule } = policy([]).check(to(text));
      expect(policy([suggestedRule]).check(to(text)).allowed).toBe(true);
    }
  });

  it("resolves only names that a rule could let out", () => {
    const p = policy(["example.com:443", "*.test"], ["secret.test"]);
    expect(p.mayResolve("example.com")).toBe(true);
    expect(p.mayResolve("a.test.")).toBe(true);
    expect(p.mayResolve("secret.test")).toBe(false);
    expect(p.mayResolve("leak.attacker.net")).toBe(false);
    expect(policy(["10.0.0.0/8"]).mayResolve("example.com")).toBe(false);
  });
});

describe("forbidden addresses", () => {
  it.each<[string, boolean]>([
    ["127.0.0.53", true],
    ["0.0.0.0", true],
    ["169.254.169.254", true],
    ["224.0.0.251", true],
    ["255.255.255.255", true],
    ["::1", true],
    ["fe80::1", true],
    ["ff02::1", true],
    ["::ffff:127.0.0.1", true],
    ["192.0.2.7", true],
    ["192.0.2.8", false],
    ["10.1.2.3", false],
    ["2606:4700::1111", false],
    ["64:ff9b::a9fe:a9fe", true],
    ["64:ff9b::c000:280", false],
    ["2002:7f00:1::1", true],
    ["fd00:ec2::254", true],
    ["fd00:ec2::255", false],
  ])("%s: %s", (address, forbidden) => {
    expect(forbiddenKind(address, ["192.0.2.7"]) !== null).toBe(forbidden);
  });
});
