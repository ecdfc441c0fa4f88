import { describe, expect, it } from "vitest";
import { NodeMacs } from "../../sentry/loop/node-macs.ts";
import type { TcpEndpoint } from "../endpoints.ts";
import { newIcmpError } from "../icmp/quoted.ts";
import { IPV4, IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { PacketBuffer } from "../stack/packet-buffer.ts";
import {
  ICMP_KIND_PACKET_TOO_BIG,
  ICMP_KIND_PORT_UNREACHABLE,
  type IcmpError,
} from "../stack/transport.ts";
import { FIN, RST, SYN, tcpFlags, tcpHeaderBytes, tcpSeq } from "../wire/tcp.ts";
import { isAo } from "../wire/tcp-auth.ts";
import { parseTcpOptions, TcpOptions } from "../wire/tcp-options.ts";
import { type AoInfo, type AoKeySpec, extended } from "./ao-keys.ts";
import { segmentMac } from "./ao-mac.ts";
import type { Endpoint } from "./endpoint.ts";
import { LOCAL, REMOTE, text } from "./testing.ts";
import { Pair } from "./testing-pair.ts";

const macs = new NodeMacs();
const KEEP = { currentId: -1, rnextId: -1 };
const NO_CHOICE = { isCurrent: false, isRnext: false };
const options = new TcpOptions();

function spec(s: Partial<AoKeySpec> = {}): AoKeySpec {
  return {
    addr: IpAddr.v4(10, 0, 0, 0),
    prefixBits: 24,
    sendId: 1,
    receiveId: 1,
    macBytes: 0,
    excludesOptions: false,
    isOfDevice: false,
    algorithm: "hmac(sha1)",
    secret: text("a key of both"),
    ...s,
  };
}

const withKeys =
  (...keys: Partial<AoKeySpec>[]) =>
  (ep: TcpEndpoint): void => {
    for (const key of keys.length === 0 ? [{}] : keys) {
      expect(ep.addAoKey(spec(key), NO_CHOICE)).toBe(0);
    }
  };

const infoOf = (ep: Endpoint): AoInfo => ep.ao as AoInfo;

/** [KeyID, RNextKeyID]; null: unsigned. */
function idsOf(bytes: Uint8Array): [number, number] | null {
  parseTcpOptions(options, bytes, 0, (tcpFlags(bytes, 0) & SYN) !== 0);
  const at = options.authAt;
  return at > 0 && isAo(bytes, at) ? [bytes[at], bytes[at + 1]] : null;
}

function packetOf(bytes: Uint8Array): PacketBuffer {
  const pkt = new PacketBuffer(bytes.length + 256);
  pkt.bytes.set(bytes, pkt.start);
  pkt.l4 = pkt.start;
  pkt.end = pkt.start + bytes.length;
  return pkt;
}

/** Client to child and back. */
function exchange(pair: Pair, client: Endpoint, child: Endpoint): void {
  const buffer = new Uint8Array(8);
  for (const [from, to] of [
    [client, child],
    [child, client],
  ]) {
    from.write(text("x"), 0, 1, 0);
    pair.run(5_000, () => to.readableBytes > 0);
    expect(to.read(buffer, 0, 8, false)).toBe(1);
  }
  pair.run(500);
}

function transfer(pair: Pair, from: Endpoint, to: Endpoint, bytes: number): void {
  const sent = new Uint8Array(bytes).map((_, i) => i ^ (i >> 8));
  const got = new Uint8Array(bytes);
  let at = 0;
  let read = 0;
  pair.run(60_000, () => {
    if (at < bytes) at += Math.max(0, from.write(sent, at, bytes - at, 0));
    const n = to.read(got, read, bytes - read, false);
    if (n > 0) read += n;
    return read === bytes;
  });
  expect(got.findIndex((byte, i) => byte !== sent[i])).toBe(-1);
}

const openPair = (...keys: Partial<AoKeySpec>[]): [Pair, Endpoint, Endpoint] => {
  const pair = new Pair({ macs });
  const [client, child] = pair.connect(withKeys(...keys));
  return [pair, client, child];
};

function listenAt(pair: Pair, setup: (ep: TcpEndpoint) => void): Endpoint {
  const listener = pair.b.newEndpoint(IPV4) as Endpoint;
  setup(listener);
  listener.bind(REMOTE, 80);
  listener.listen(8);
  return listener;
}

function connectFrom(pair: Pair, setup: (ep: TcpEndpoint) => void = () => {}): Endpoint {
  const client = pair.a.newEndpoint(IPV4) as Endpoint;
  setup(client);
  expect(client.connect(REMOTE, 80)).toBe(NetErr.InProgress);
  return client;
}

describe("a connection with keys", () => {
  // @rfc 5925 7.4 7.5
  it.each([
    ["hmac(sha1)", 12, false],
    ["cmac(aes128)", 12, true],
    ["hmac(sha256)", 16, false],
    ["hmac(sha512)", 5, false],
  ])(
    "signs every segment from SYN to the last ACK: %s, %i bytes",
    (algorithm, macBytes, excludesOptions) => {
      const pair = new Pair({ gsoBytesMax: 65_535, macs });
      let unsigned = 0;
      let largest = 0;
      pair.onSegment = (_fromA, bytes) => {
        if (idsOf(bytes) === null) unsigned++;
        expect(tcpHeaderBytes(bytes, 0)).toBeLessThanOrEqual(60);
        largest = Math.max(largest, bytes.length);
      };
      const [client, child] = pair.connect(withKeys({ algorithm, macBytes, excludesOptions }));
      transfer(pair, client, child, 60_000);
      transfer(pair, child, client, 20_000);
      client.close();
      pair.run(500);
      child.close();
      pair.run(1_000);
      expect([unsigned, largest]).toEqual([0, 1_500 - 20]);
      for (const { stats } of [pair.a, pair.b]) {
        expect(stats.TCPAOGood).toBeGreaterThan(10);
        expect(stats).toMatchObject({ TCPAOBad: 0, TCPAOKeyNotFound: 0, TCPAORequired: 0 });
      }
      expect(pair.a.context.timeWaits.count).toBe(1);
    },
  );

  it("keeps SACK and says lost data again", () => {
    const pair = new Pair({ macs });
    const [client, child] = pair.connect(withKeys());
    let n = 0;
    pair.fate = () => ({ copies: ++n % 17 === 0 ? 0 : 1, extraMs: 0 });
    transfer(pair, client, child, 100_000);
    expect(pair.a.stats.TCPSackRecovery).toBeGreaterThan(0);
    expect(pair.a.stats.TCPAOBad + pair.b.stats.TCPAOBad).toBe(0);
  });

  it("answers in TIME-WAIT with a signature", () => {
    const [pair, client, child] = openPair();
    client.close();
    pair.run(200);
    // The last ACK is lost: the FIN comes again to who has forgotten all but its keys.
    pair.fate = () => ({ copies: 0, extraMs: 0 });
    child.close();
    pair.run(5);
    pair.fate = () => ({ copies: 1, extraMs: 0 });
    let wasLost = false;
    pair.mangle = (bytes) => {
      if (wasLost || pair.a.context.timeWaits.count === 0) return bytes;
      wasLost = true;
      return bytes.subarray(0, 8);
    };
    expect(pair.run(20_000, () => child.tcb === null || child.state === 7)).toBe(true);
    expect([wasLost, pair.b.stats.TCPAOBad, pair.b.stats.TCPAORequired]).toEqual([true, 0, 0]);
  });

  it("is opened by a cookie", () => {
    const pair = new Pair({ macs });
    pair.b.settings.syncookies = 2;
    const [client, child] = pair.connect(withKeys({ sendId: 3, receiveId: 3 }, {}));
    expect(pair.b.stats.SyncookiesRecv).toBe(1);
    exchange(pair, client, child);
    expect(infoOf(child).current?.sendId).toBe(1);
  });

  it("is not opened with another key, with an ID that nobody knows, nor by who has none", () => {
    const pair = new Pair({ macs });
    const listener = listenAt(pair, withKeys());
    const strange = connectFrom(pair, withKeys({ secret: text("another") }));
    const unknown = connectFrom(pair, withKeys({ sendId: 9 }));
    const short = connectFrom(pair, withKeys({ macBytes: 8 }));
    const open = connectFrom(pair);
    pair.run(3_500);
    expect([strange, unknown, short, open].map((e) => e.state)).toEqual([2, 2, 2, 2]);
    const { stats } = pair.b;
    expect(stats).toMatchObject({ TCPAOBad: 8, TCPAOKeyNotFound: 4, TCPAORequired: 4, OutRsts: 0 });
    expect(infoOf(listener).counters).toMatchObject({
      bad: 8,
      keyNotFound: 4,
      required: 4,
      good: 0,
    });
    expect(infoOf(listener).keys[0].bad).toBe(8);
    expect(listener.accept()).toBeNull();
  });

  it("who asks for a key that the other end has not is not answered", () => {
    const pair = new Pair({ macs });
    listenAt(pair, withKeys());
    const client = connectFrom(pair, withKeys({ receiveId: 7 }));
    pair.run(1_500);
    expect(client.state).toBe(2);
    expect(pair.b.stats.TCPAOGood).toBe(2);
  });

  it("beside others: a listener answers peers without keys, but not when TCP-AO is required", () => {
    const other = { addr: IpAddr.v4(192, 168, 0, 0), prefixBits: 16 };
    const pair = new Pair({ macs });
    const listener = listenAt(pair, withKeys(other));
    const first = connectFrom(pair);
    pair.run(500);
    expect((listener.accept() as Endpoint).ao).toBeNull();
    const settings = { ...KEEP, isRequired: true, acceptsIcmps: false, counters: null };
    expect(listener.setAo(settings)).toBe(0);
    const second = connectFrom(pair);
    pair.run(500);
    expect([first.state, second.state, pair.b.stats.TCPAORequired]).toEqual([1, 2, 1]);
  });

  it("nobody who has no keys takes a signed segment", () => {
    const pair = new Pair({ macs });
    listenAt(pair, () => {});
    const client = connectFrom(pair, withKeys());
    pair.run(500);
    expect([client.state, pair.b.stats.TCPAOKeyNotFound, pair.b.stats.OutRsts]).toEqual([2, 1, 0]);
  });
});

describe("what comes from outside", () => {
  it("a RST that is made of a FIN, or unsigned, is dropped; a signed one is obeyed", () => {
    const [pair, client, child] = openPair();
    pair.mangle = (bytes) => {
      if ((tcpFlags(bytes, 0) & (FIN | RST)) === 0) return bytes;
      const changed = bytes.slice();
      changed[13] = (changed[13] & ~FIN) | RST;
      const sum = ((changed[16] << 8) | changed[17]) - (RST - FIN);
      changed[16] = sum >> 8;
      changed[17] = sum;
      return changed;
    };
    client.shutdown(false, true);
    pair.run(500);
    expect(child.state).toBe(1);
    expect(infoOf(child).counters.bad).toBeGreaterThan(0);
    const [other, sender, receiver] = openPair();
    sender.abort();
    other.run(500);
    expect([receiver.state, receiver.takeError()]).toEqual([7, NetErr.ConnectionReset]);
  });

  // @rfc 5925 7.7
  it("data for who has closed is answered by a RST that the peer believes", () => {
    const [pair, client, child] = openPair();
    child.options.lingerNs = -1;
    child.close();
    pair.run(200);
    client.write(text("x"), 0, 1, 0);
    pair.run(500, () => client.state === 7);
    expect(client.state).toBe(7);
    expect(pair.b.stats.OutRsts).toBe(1);
  });

  it("with the other end gone there is no answer: nobody knows what to sign it with", () => {
    const [pair, client] = openPair();
    for (const tcb of [...pair.b.context.demux.all()]) pair.b.drop(tcb);
    (pair.b.context.listeners.findOnPort(REMOTE, 80)?.endpoint as Endpoint | undefined)?.close();
    client.write(text("x"), 0, 1, 0);
    pair.run(3_000);
    expect([client.state, pair.b.stats.OutRsts]).toEqual([1, 0]);
  });

  // @rfc 5925 7.8
  it("ICMP errors are not listened to, unless told", () => {
    const [pair, client] = openPair();
    const { tcb } = client;
    if (tcb === null) throw new Error("no connection");
    const error = (kind: number, code: number): IcmpError => {
      const e = newIcmpError();
      e.bytes = new Uint8Array(8);
      for (let i = 0; i < 4; i++) e.bytes[i] = tcb.ports >>> (24 - 8 * i);
      for (let i = 0; i < 4; i++) e.bytes[4 + i] = tcb.snd.una >>> (24 - 8 * i);
      e.src.set(LOCAL);
      e.dst.set(REMOTE);
      return Object.assign(e, { kind, type: 3, code, end: 8, mtu: 600 });
    };
    const tooBig = error(ICMP_KIND_PACKET_TOO_BIG, 4);
    const refused = error(ICMP_KIND_PORT_UNREACHABLE, 3);
    expect(pair.a.mayHaveSent(tooBig)).toBe(false);
    pair.a.onIcmpError(refused);
    expect([tcb.softError, pair.a.stats.TCPAODroppedIcmps]).toEqual([0, 2]);
    expect(infoOf(client).counters.droppedIcmps).toBe(2);
    client.setAo({ ...KEEP, isRequired: false, acceptsIcmps: true, counters: null });
    expect(pair.a.mayHaveSent(tooBig)).toBe(true);
    pair.a.onIcmpError(refused);
    expect(tcb.softError).toBe(NetErr.ConnectionRefused);
  });

  it("an option of a wrong length, or a second one, has the segment dropped", () => {
    const [pair, client, child] = openPair();
    const before = pair.b.stats.InErrs;
    for (const edit of [
      (b: Uint8Array) => {
        b[21] = 4;
      },
      (b: Uint8Array) => {
        b.set([29, 5, 1, 1, 0], 20);
        b.set([29, 11, 1, 1], 25);
      },
    ]) {
      const made: Uint8Array[] = [];
      pair.onSegment = (fromA, bytes) => void (fromA && made.push(bytes.slice()));
      client.write(text("x"), 0, 1, 0);
      pair.run(200);
      const pkt = packetOf(made[0]);
      edit(pkt.bytes.subarray(pkt.start));
      pkt.src.set(LOCAL);
      pkt.dst.set(REMOTE);
      pkt.checksumValid = true;
      pair.b.onPacket(pkt);
    }
    expect(pair.b.stats.InErrs - before).toBe(2);
    expect(child.readableBytes).toBe(2);
  });
});

describe("sequence number extensions", () => {
  it("count the wraps on both sides of an edge", () => {
    expect(extended(5, 100, 50)).toBe(5);
    expect(extended(5, 100, -50)).toBe(4);
    expect(extended(5, -50, 100)).toBe(6);
    expect(extended(5, -50, -100)).toBe(5);
    expect(extended(0, -1, -1)).toBe(0);
    expect(extended(0, 0x7fff_ffff, 0x8000_0001 | 0)).toBe(0);
  });

  // @rfc 5925 6.2
  it("both directions wrap, with losses, and what follows is signed as the second round", () => {
    const pair = new Pair({ macs });
    for (const tcp of [pair.a, pair.b]) tcp.context.secrets.isn = () => -20_000;
    const late: [boolean, Uint8Array][] = [];
    pair.onSegment = (fromA, bytes) => {
      if ((tcpFlags(bytes, 0) & SYN) === 0 && tcpSeq(bytes, 0) >= 0)
        late.push([fromA, bytes.slice()]);
    };
    const [client, child] = pair.connect(withKeys());
    let n = 0;
    pair.fate = () => ({ copies: ++n % 9 === 0 ? 0 : 1, extraMs: n % 5 });
    transfer(pair, client, child, 60_000);
    transfer(pair, child, client, 60_000);
    expect(pair.a.stats.TCPAOBad + pair.b.stats.TCPAOBad).toBe(0);
    for (const side of [true, false]) {
      const found = late.find(([fromA]) => fromA === side);
      if (found === undefined) throw new Error("no segment behind the wrap");
      const pkt = packetOf(found[1]);
      idsOf(found[1]);
      const key = infoOf(side ? client : child).keys[0];
      const at = pkt.l4 + options.authAt + 2;
      const [src, dst] = side ? [LOCAL, REMOTE] : [REMOTE, LOCAL];
      const traffic = key.sendTraffic ?? new Uint8Array(20);
      const mac = (sne: number): Uint8Array =>
        segmentMac(key, traffic, pkt, pkt.l4, at, sne, src, dst).slice(0, 12);
      expect(mac(1)).toEqual(pkt.bytes.slice(at, at + 12));
      expect(mac(0)).not.toEqual(mac(1));
    }
  });
});

describe("another key", () => {
  // @rfc 5925 6.1 7.5.2
  it("is taken when the peer asks for it, and the first can go", () => {
    const second = { sendId: 2, receiveId: 2, secret: text("the second"), macBytes: 16 };
    const [pair, client, child] = openPair(second, {});
    // The newest was found first.
    expect([infoOf(client).current?.sendId, infoOf(client).rnext?.receiveId]).toEqual([1, 1]);
    const seen = new Set<string>();
    pair.onSegment = (fromA, bytes) => void seen.add(`${fromA ? "a" : "b"} ${idsOf(bytes)}`);
    exchange(pair, client, child);
    expect([...seen].sort()).toEqual(["a 1,1", "b 1,1"]);
    const settings = { isRequired: false, acceptsIcmps: false, counters: null };
    expect(client.setAo({ currentId: -1, rnextId: 2, ...settings })).toBe(0);
    seen.clear();
    exchange(pair, client, child);
    // a asks, b follows.
    expect([...seen].sort()).toEqual(["a 1,2", "b 2,1"]);
    const before = child.tcb?.snd.mss ?? 0;
    expect(child.setAo({ currentId: -1, rnextId: 2, ...settings })).toBe(0);
    exchange(pair, client, child);
    seen.clear();
    exchange(pair, client, child);
    expect([...seen].sort()).toEqual(["a 2,2", "b 2,2"]);
    expect([client.tcb?.snd.mss, before]).toEqual([before, before]);
    for (const e of [client, child]) {
      expect(e.removeAoKey(spec(), KEEP)).toBe(0);
      expect(e.removeAoKey(spec(second), KEEP)).toBe(NetErr.Busy);
    }
    exchange(pair, client, child);
    expect(pair.a.stats.TCPAOBad + pair.b.stats.TCPAOBad).toBe(0);
  });

  it("may be added to a connection, and take over at once from one that is removed", () => {
    const [pair, client, child] = openPair();
    const second = spec({ sendId: 2, receiveId: 2, secret: text("later") });
    for (const e of [client, child]) expect(e.addAoKey(second, NO_CHOICE)).toBe(0);
    expect(client.removeAoKey(spec(), { currentId: 2, rnextId: 2 })).toBe(0);
    exchange(pair, client, child);
    expect(infoOf(child).current?.sendId).toBe(2);
    expect(client.addAoKey(spec(), { isCurrent: true, isRnext: false })).toBe(0);
    expect(infoOf(client).current?.sendId).toBe(1);
  });
});

describe("calls", () => {
  const closed = (): [Pair, Endpoint] => {
    const pair = new Pair({ macs });
    return [pair, pair.a.newEndpoint(IPV4) as Endpoint];
  };
  const settings = { ...KEEP, isRequired: false, acceptsIcmps: false, counters: null };

  // @rfc 5925 3.1
  it("IDs must not overlap where peers do", () => {
    const [, e] = closed();
    withKeys()(e);
    const add = (s: Partial<AoKeySpec>): number => e.addAoKey(spec(s), NO_CHOICE);
    expect(add({ sendId: 2 })).toBe(NetErr.Exists);
    expect(add({ receiveId: 2 })).toBe(NetErr.Exists);
    expect(add({ addr: IpAddr.v4(10, 0, 0, 9), prefixBits: 32 })).toBe(NetErr.Exists);
    expect(add({ addr: IpAddr.v4(0, 0, 0, 0), prefixBits: 0 })).toBe(NetErr.Exists);
    expect(add({ addr: new IpAddr(), prefixBits: 0 })).toBe(0);
    expect(add({ addr: IpAddr.v4(10, 0, 1, 0) })).toBe(0);
    expect(infoOf(e).keys).toHaveLength(3);
  });

  it("algorithms and lengths", () => {
    const [, e] = closed();
    const add = (s: Partial<AoKeySpec>): number => e.addAoKey(spec(s), NO_CHOICE);
    expect(add({ algorithm: "hmac(none)" })).toBe(NetErr.NotFound);
    expect(add({ algorithm: "sha1" })).toBe(NetErr.NotFound);
    expect(add({ macBytes: 17 })).toBe(NetErr.MessageTooLong);
    expect(add({ algorithm: "cmac(aes)" })).toBe(NetErr.InvalidArgument);
    expect(e.ao).toBeNull();
    expect(add({ algorithm: "hmac(md5)", macBytes: 16 })).toBe(0);
    const without = new Pair().a.newEndpoint(IPV4) as Endpoint;
    expect(without.addAoKey(spec(), NO_CHOICE)).toBe(NetErr.NotFound);
  });

  it("are bounded in number", () => {
    const [, e] = closed();
    const results = Array.from({ length: 151 }, (_, i) =>
      e.addAoKey(spec({ addr: IpAddr.v4(1, 0, 0, i), prefixBits: 32 }), NO_CHOICE),
    );
    expect(results.indexOf(NetErr.NoBuffers)).toBe(150);
  });

  it("are counted over all endpoints and connections: a child for which there is no room is not made", () => {
    const pair = new Pair({ macs, limits: { signingKeys: 5 } });
    const listener = listenAt(pair, withKeys({}, { sendId: 2, receiveId: 2 }));
    expect(pair.b.context.signingKeyCount).toBe(2);
    const client = connectFrom(pair, withKeys());
    pair.run(500);
    expect([client.state, pair.b.context.signingKeyCount]).toEqual([1, 4]);
    const late = connectFrom(pair, withKeys());
    pair.run(500);
    expect([late.state, pair.b.stats.ListenDrops]).toEqual([2, 1]);
    const child = listener.accept() as Endpoint;
    expect(child.addAoKey(spec({ sendId: 3, receiveId: 3 }), NO_CHOICE)).toBe(0);
    expect(child.addAoKey(spec({ sendId: 4, receiveId: 4 }), NO_CHOICE)).toBe(NetErr.NoBuffers);
    child.abort();
    expect(pair.b.context.signingKeyCount).toBe(5);
    child.close();
    expect(pair.b.context.signingKeyCount).toBe(2);
    pair.run(3_000);
    // There is room again.
    expect([late.state, pair.b.context.signingKeyCount]).toEqual([1, 4]);
    for (const e of [listener, client, late]) e.close();
    pair.run(1);
    expect([pair.a, pair.b].map((tcp) => tcp.context.signingKeyCount)).toEqual([1, 0]);
  });

  it("a peer has keys of one kind", () => {
    const [, e] = closed();
    withKeys()(e);
    expect(e.setMd5Key(REMOTE, 32, text("k"))).toBe(NetErr.KeyRejected);
    expect(e.setMd5Key(IpAddr.v4(10, 0, 1, 1), 32, text("k"))).toBe(0);
    expect(e.addAoKey(spec({ addr: IpAddr.v4(10, 0, 1, 1), prefixBits: 32 }), NO_CHOICE)).toBe(
      NetErr.KeyRejected,
    );
    expect(e.setAo({ ...settings, isRequired: true })).toBe(NetErr.KeyRejected);
    expect(e.connect(IpAddr.v4(10, 0, 1, 1), 80)).toBe(NetErr.InProgress);
    expect([e.ao, e.options.authKeys?.md5?.count]).toEqual([null, 1]);
  });

  it("a connection needs a key for its peer, keeps only those, and cannot begin to sign", () => {
    const [pair, e] = closed();
    withKeys({ addr: IpAddr.v4(10, 0, 1, 0) }, { sendId: 5, receiveId: 6 })(e);
    expect(e.connect(IpAddr.v4(11, 0, 0, 1), 80)).toBe(NetErr.KeyRejected);
    expect(e.connect(REMOTE, 80)).toBe(NetErr.InProgress);
    expect(infoOf(e).keys.map((k) => k.sendId)).toEqual([5]);
    const [plain] = pair.connect();
    expect(plain.addAoKey(spec(), NO_CHOICE)).toBe(NetErr.IsConnected);
    expect(plain.setAo(settings)).toBe(NetErr.IsConnected);
    expect(plain.removeAoKey(spec(), KEEP)).toBe(NetErr.IsConnected);
  });

  it("a listener has no current key", () => {
    const pair = new Pair({ macs });
    const listener = listenAt(pair, withKeys());
    const other = spec({ sendId: 2, receiveId: 2 });
    expect(listener.addAoKey(other, { isCurrent: true, isRnext: false })).toBe(
      NetErr.InvalidArgument,
    );
    expect(listener.setAo({ ...settings, currentId: 1 })).toBe(NetErr.InvalidArgument);
    expect(listener.removeAoKey(spec({ sendId: 2 }), KEEP)).toBe(NetErr.NotFound);
    expect(listener.removeAoKey(spec(), KEEP)).toBe(0);
  });
});

describe("the header has no more room than there is", () => {
  it.each([true, false])("AccECN's counters take what a signature leaves, with SACK %s", (sack) => {
    for (const setup of [
      withKeys({ macBytes: 16 }),
      (e: TcpEndpoint) => {
        e.setMd5Key(LOCAL, 32, text("k"));
        e.setMd5Key(REMOTE, 32, text("k"));
      },
    ]) {
      const pair = new Pair({ macs });
      for (const { settings } of [pair.a, pair.b]) {
        settings.ecn = 3;
        settings.sack = sack ? 1 : 0;
      }
      let largest = 0;
      pair.onSegment = (_fromA, bytes) => {
        largest = Math.max(largest, tcpHeaderBytes(bytes, 0));
      };
      const [client, child] = pair.connect(setup);
      expect([client.tcb?.accEcn, child.tcb?.accEcn]).not.toContain(null);
      transfer(pair, client, child, 20_000);
      expect(largest).toBeLessThanOrEqual(60);
    }
  });

  it("a Fast Open cookie stays away beside a signature, and the connection is opened all the same", () => {
    const pair = new Pair({ macs });
    pair.a.settings.fastopen = pair.b.settings.fastopen = 3;
    const peer = pair.a.context.fastOpenCache.obtain(REMOTE);
    peer.cookieLength = 16;
    let largest = 0;
    pair.onSegment = (_fromA, bytes) => {
      largest = Math.max(largest, tcpHeaderBytes(bytes, 0));
    };
    for (const setup of [
      withKeys({ macBytes: 16 }),
      (e: TcpEndpoint) => void e.setMd5Key(REMOTE, 32, text("k")),
    ]) {
      const client = pair.a.newEndpoint(IPV4) as Endpoint;
      setup(client);
      largest = 0;
      client.connectWithData(REMOTE, 80, text("data"), 0, 4);
      expect(largest).toBeGreaterThan(32);
      expect(largest).toBeLessThanOrEqual(60);
      client.abort();
    }
  });
});
