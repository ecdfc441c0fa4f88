import { decode, encode, type RecordType } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DnsServer } from "./dns.ts";
import { NameTable } from "./name-table.ts";
import { Policy } from "./policy.ts";
import { parseRule } from "./rule.ts";

function server(allow: string[], zone: Record<string, string[]>, hasIpv6 = false) {
  const asked: string[] = [];
  const names = new NameTable();
  const dns = new DnsServer({
    policy: new Policy(allow.map(parseRule), []),
    names,
    routerAddress: "10.0.2.2",
    ownAddresses: [],
    hasIpv6,
    resolve: async (name) => {
      asked.push(name);
      if (zone[name] === undefined) throw Object.assign(new Error("none"), { code: "ENOTFOUND" });
      return zone[name];
    },
  });
  const ask = async (name: string, type: RecordType = "A") => {
    const query = encode({
      type: "query",
      id: 77,
      flags: 0x100,
      questions: [{ name, type } as never],
    });
    const reply = decode(Buffer.from((await dns.answer(query, false)) as Uint8Array));
    expect(reply.id).toBe(77);
    return {
      rcode: (reply.flags ?? 0) & 15,
      data: (reply.answers ?? []).map((a) => (a as { data: unknown }).data),
      truncated: ((reply.flags ?? 0) & 0x200) !== 0,
    };
  };
  return { ask, asked, names, dns };
}

describe("DnsServer", () => {
  it("answers allowed names with what the host's resolver says, and remembers them", async () => {
    const { ask, names } = server(["*.test:80"], { "a.test": ["192.0.2.1", "192.0.2.2"] });
    expect(await ask("A.test")).toMatchObject({ rcode: 0, data: ["192.0.2.1", "192.0.2.2"] });
    expect(names.namesOf("192.0.2.2")).toEqual(["a.test"]);
    expect(await ask("b.test")).toMatchObject({ rcode: 3, data: [] });
  });

  it("never asks about other names, and gives them a stand-in that knows the name", async () => {
    const { ask, asked, names } = server(["a.test"], {});
    const { data } = await ask("secret-data.attacker.test");
    expect(asked).toEqual([]);
    expect(data[0]).toMatch(/^198\.1[89]\./);
    expect(names.namesOf(data[0] as string)).toEqual(["secret-data.attacker.test"]);
    expect((await ask("secret-data.attacker.test")).data).toEqual(data);
    expect(await ask("leak.attacker.test", "TXT")).toMatchObject({ rcode: 5, data: [] });
  });

  it("leaves out forbidden addresses when there are others", async () => {
    const { ask } = server(["all"], {
      "m.test": ["127.0.0.1", "192.0.2.9"],
      "l.test": ["127.0.0.1"],
    });
    expect((await ask("m.test")).data).toEqual(["192.0.2.9"]);
    expect((await ask("l.test")).data).toEqual(["127.0.0.1"]);
  });

  it("knows the host and the router", async () => {
    const { ask } = server([], {});
    expect((await ask("host.netcell.internal")).data).toEqual(["10.0.2.2"]);
    expect((await ask("router.netcell.internal", "AAAA")).data).toEqual([]);
  });

  it("answers AAAA where there is IPv6, in one spelling, without IPv4 in disguise", async () => {
    const zone = { "a.test": ["2001:DB8:0::0:1", "::ffff:192.0.2.1"] };
    expect((await server(["a.test"], zone).ask("a.test", "AAAA")).data).toEqual([]);
    const { ask, names } = server(["a.test"], zone, true);
    expect((await ask("a.test", "AAAA")).data).toEqual(["2001:db8::1"]);
    expect(names.namesOf("2001:db8::1")).toEqual(["a.test"]);
    // A name that may not go out has its stand-in in IPv4 only.
    expect((await ask("b.test", "AAAA")).data).toEqual([]);
  });

  it("truncates what does not fit a datagram", async () => {
    const many = Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`);
    const { ask } = server(["all"], { "big.test": many });
    expect((await ask("big.test")).truncated).toBe(true);
  });

  it("survives any bytes", async () => {
    const { dns } = server(["all"], {});
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        await dns.answer(bytes, false);
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
