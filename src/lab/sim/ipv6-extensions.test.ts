// IPv6 extension headers that endpoints send, between stacks: their order on the wire and in fragments, segments that
// leave room for them, routes by segments, and alerts to a router.

import { describe, expect, it } from "vitest";
import { SECOND } from "../../base/clock.ts";
import {
  type DatagramEndpoint,
  ExtensionHeaders,
  IpAddr,
  isSegmentList,
  NetErr,
  newDatagramInfo,
  parseIp,
  type Stack,
  type TcpEndpoint,
} from "../../netstack/index.ts";
import { World } from "./world.ts";

const ip = (text: string): IpAddr => parseIp(text) as IpAddr;
const NOBODY = { hopByHop: null, beforeRouting: null, routing: null, destination: null };
/** Options that are skipped by who does not know them, `words` times eight bytes. */
function header(words: number): Uint8Array {
  const b = new Uint8Array(8 * words).fill(0xee);
  b.set([0, words - 1]);
  for (let at = 2; at < b.length; at += 2 + b[at + 1]) {
    b.set([0x1e, Math.min(b.length - at - 2, 200)], at);
    if (b.length - at - 2 - b[at + 1] === 1) b[at + 1]++;
  }
  return b;
}
const alert = (value: number): Uint8Array => Uint8Array.of(0, 0, 5, 2, value >> 8, value, 1, 0);
const PROTO_RAW = 255;
const PROTO_TEST = 200;

/** A segment routing header to `hops`, of which the first is passed first; the end is filled in. */
function segments(...hops: string[]): Uint8Array {
  const b = new Uint8Array(8 + 16 * (hops.length + 1));
  b.set([0, (b.length - 8) / 8, 4, hops.length, hops.length]);
  for (const [i, hop] of hops.entries()) ip(hop).write(b, 8 + 16 * (hops.length - i), 6);
  return b;
}

/** left - router - right. */
function road(): { world: World; left: Stack; router: Stack; right: Stack; seen: Uint8Array[] } {
  const world = new World();
  const [left, router, right] = [world.stack(), world.stack(), world.stack()];
  world.join(left, router, { a: ["2001:db8:1::2/64"], b: ["2001:db8:1::1/64"] });
  world.join(router, right, { a: ["2001:db8:2::1/64"], b: ["2001:db8:2::2/64"] });
  router.forwarding.enable(6, true);
  world.run(3 * SECOND);
  left.routes.add({ dst: ip("::"), prefixBits: 0, gateway: ip("2001:db8:1::1"), nicId: 2 });
  right.routes.add({ dst: ip("::"), prefixBits: 0, gateway: ip("2001:db8:2::1"), nicId: 2 });
  const seen: Uint8Array[] = [];
  // What comes to the router, but for neighbours' talk.
  const { ipv6 } = router;
  const input = ipv6.input.bind(ipv6);
  ipv6.input = (nic, pkt, fromSelf) => {
    const b = pkt.bytes.slice(pkt.l3, pkt.end);
    if (b[6] !== 58) seen.push(b);
    input(nic, pkt, fromSelf);
  };
  return { world, left, router, right, seen };
}

/** Types of a packet's headers, with the length of each but the last. */
function chain(b: Uint8Array): string {
  const parts: string[] = [];
  let next = b[6];
  let at = 40;
  while ([0, 43, 44, 60].includes(next)) {
    const bytes = next === 44 ? 8 : (b[at + 1] + 1) * 8;
    parts.push(`${next}:${bytes}`);
    next = b[at];
    at += bytes;
    if (parts.at(-1) === "44:8" && (b[at - 6] !== 0 || (b[at - 5] & 0xf8) !== 0))
      return parts.join(" ");
  }
  return [...parts, next].join(" ");
}

function udp(stack: Stack, extensions: Partial<ExtensionHeaders> | null): DatagramEndpoint {
  const endpoint = stack.endpoints.udp(6) as DatagramEndpoint;
  if (extensions !== null)
    endpoint.setExtensions(new ExtensionHeaders({ ...NOBODY, ...extensions }));
  return endpoint;
}

describe("extension headers that are sent", () => {
  // @rfc 8200 4.1
  it("stand in the recommended order, in every fragment those in front of the fragment header", () => {
    const { world, left, right, seen } = road();
    const sink = udp(right, null);
    sink.bind(new IpAddr(), 7);
    const from = udp(left, {
      hopByHop: header(1),
      destination: header(2),
      beforeRouting: header(3),
    });
    const to = ip("2001:db8:2::2");
    from.send(new Uint8Array(100), 0, 100, to, 7);
    from.send(new Uint8Array(3000).fill(9), 0, 3000, to, 7);
    world.run(SECOND);
    // Without a routing header what stands before one is not sent (RFC 3542 6).
    expect(seen.map(chain)).toEqual(["0:8 60:16 17", "0:8 44:8 60:16 17", "0:8 44:8", "0:8 44:8"]);
    expect(Math.max(...seen.map((b) => b.length))).toBeLessThanOrEqual(1500);
    const info = newDatagramInfo();
    const bytes = new Uint8Array(4000);
    expect(sink.receive(bytes, 0, 4000, info, false)).toBe(100);
    expect(info.extra).toMatchObject({ fragmentBytes: 0, extensions: { first: 0 } });
    expect(info.extra?.extensions?.bytes).toHaveLength(24);
    expect(sink.receive(bytes, 0, 4000, info, false)).toBe(3000);
    expect(bytes.subarray(0, 3000).every((b) => b === 9)).toBe(true);
    expect(info.extra?.fragmentBytes).toBe(Math.max(...seen.map((b) => b.length)));
  });

  it("may be longer than the room in front of a packet", () => {
    const { world, left, right } = road();
    const sink = udp(right, null);
    sink.bind(new IpAddr(), 7);
    const from = udp(left, { destination: header(100) });
    from.send(Uint8Array.of(1, 2, 3), 0, 3, ip("2001:db8:2::2"), 7);
    world.run(SECOND);
    const bytes = new Uint8Array(9);
    const info = newDatagramInfo();
    expect(sink.receive(bytes, 0, 9, info, false)).toBe(3);
    expect([...bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(info.extra?.extensions?.bytes).toHaveLength(800);
  });

  it("lead by segments to the first, in front of what is sealed for the end", () => {
    const { world, left, seen } = road();
    const routing = segments("2001:db8:1::1");
    expect(isSegmentList(routing, 0, routing.length)).toBe(true);
    const from = udp(left, { routing, beforeRouting: header(1), destination: header(1) });
    from.send(new Uint8Array(4), 0, 4, ip("2001:db8:2::2"), 7);
    world.run(SECOND);
    expect(seen.map(chain)).toEqual(["60:8 43:40 60:8 17"]);
    const [b] = seen;
    expect(`${new IpAddr().read(b, 24, 6)}`).toBe("2001:db8:1::1");
    expect(`${new IpAddr().read(b, 40 + 8 + 8, 6)}`).toBe("2001:db8:2::2");
  });

  it.each([false, true])("leave room in segments, also of who listens (cookies: %s)", (cookies) => {
    const { world, left, right, seen } = road();
    const listener = right.endpoints.tcp(6) as TcpEndpoint;
    listener.setExtensions(new ExtensionHeaders({ ...NOBODY, destination: header(3) }));
    listener.bind(new IpAddr(), 80);
    listener.listen(5);
    if (cookies) right.tcp.settings.syncookies = 2;
    const client = left.endpoints.tcp(6) as TcpEndpoint;
    client.setExtensions(new ExtensionHeaders({ ...NOBODY, hopByHop: header(2) }));
    client.connect(ip("2001:db8:2::2"), 80);
    world.run(SECOND);
    const server = listener.accept() as TcpEndpoint;
    expect(server.extensions?.length).toBe(24);
    client.write(new Uint8Array(9000), 0, 9000, 0);
    server.write(new Uint8Array(9000), 0, 9000, 0);
    world.run(SECOND);
    expect([client.readableBytes, server.readableBytes]).toEqual([9000, 9000]);
    expect(new Set(seen.map(chain))).toEqual(new Set(["0:16 6", "60:24 6"]));
    expect(Math.max(...seen.map((b) => b.length))).toBe(1500);
    // Added later they make the rest shorter, too.
    server.setExtensions(new ExtensionHeaders({ ...NOBODY, destination: header(40) }));
    server.write(new Uint8Array(9000), 0, 9000, 0);
    world.run(SECOND);
    expect(client.readableBytes).toBe(18_000);
    expect(Math.max(...seen.map((b) => b.length))).toBe(1500);
  });
});

describe("a router alert", () => {
  it("brings a packet on its way to who waits for its value, and no further", () => {
    const { world, left, router, right } = road();
    const ear = router.endpoints.raw(6, PROTO_RAW) as DatagramEndpoint;
    const end = right.endpoints.raw(6, PROTO_TEST) as DatagramEndpoint;
    expect(ear.setRouterAlert?.(3)).toBe(0);
    expect(ear.setRouterAlert?.(3)).toBe(NetErr.AddressInUse);
    for (const value of [3, 4]) {
      const from = left.endpoints.raw(6, PROTO_TEST) as DatagramEndpoint;
      from.setExtensions(new ExtensionHeaders({ ...NOBODY, hopByHop: alert(value) }));
      from.send(Uint8Array.of(value), 0, 1, ip("2001:db8:2::2"), 0);
    }
    world.run(SECOND);
    const bytes = new Uint8Array(99);
    const info = newDatagramInfo();
    expect(ear.receive(bytes, 0, 99, info, false)).toBe(49);
    expect(end.receive(bytes, 0, 99, info, false)).toBe(1);
    expect(bytes[0]).toBe(4);
    expect(end.receive(bytes, 0, 99, info, false)).toBe(NetErr.WouldBlock);
    expect(ear.setRouterAlert?.(-1)).toBe(0);
    expect(ear.setRouterAlert?.(-1)).toBe(NetErr.NoBuffers);
  });
});
