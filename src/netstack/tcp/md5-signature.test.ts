import { describe, expect, it } from "vitest";
import { IPV4, IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { FIN, RST, SYN, tcpFlags } from "../wire/tcp.ts";
import { parseTcpOptions, TcpOptions } from "../wire/tcp-options.ts";
import type { Endpoint } from "./endpoint.ts";
import { Md5Keys } from "./md5-signature.ts";
import { LOCAL, REMOTE, text } from "./testing.ts";
import { Pair } from "./testing-pair.ts";

const KEY = text("a key of both");
const options = new TcpOptions();

function isSigned(segment: Uint8Array): boolean {
  parseTcpOptions(options, segment, 0, (tcpFlags(segment, 0) & SYN) !== 0);
  return options.authAt > 0;
}

const withKey =
  (key = KEY) =>
  (ep: { setMd5Key: Endpoint["setMd5Key"] }): void => {
    ep.setMd5Key(LOCAL, 32, key);
    ep.setMd5Key(REMOTE, 32, key);
  };

/** b has lost all it knew. */
function forget(pair: Pair): void {
  (pair.b.context.listeners.findOnPort(REMOTE, 80)?.endpoint as Endpoint | undefined)?.close();
  for (const tcb of [...pair.b.context.demux.all()]) pair.b.drop(tcb);
}

describe("keys", () => {
  it("the longest prefix counts; each prefix has one key", () => {
    const keys = new Md5Keys();
    keys.set(IpAddr.v4(10, 0, 0, 0), 8, text("net"));
    keys.set(IpAddr.v4(10, 0, 0, 2), 32, text("host"));
    keys.set(IpAddr.v4(10, 9, 9, 9), 8, text("net again"));
    expect(keys.count).toBe(2);
    expect(keys.find(REMOTE)).toEqual(text("host"));
    expect(keys.find(IpAddr.v4(10, 1, 1, 1))).toEqual(text("net again"));
    expect(keys.find(IpAddr.v4(11, 1, 1, 1))).toBeNull();
    expect([keys.remove(REMOTE, 31), keys.remove(REMOTE, 32)]).toEqual([false, true]);
    expect(keys.find(REMOTE)).toEqual(text("net again"));
  });

  it("are bounded in number", () => {
    const keys = new Md5Keys();
    const results = Array.from({ length: 200 }, (_, i) => keys.set(IpAddr.v4(1, 0, 0, i), 32, KEY));
    expect(results.lastIndexOf(0)).toBe(149);
    expect(results[199]).toBe(NetErr.NoBuffers);
  });
});

describe("a connection with keys", () => {
  // @rfc 2385 2.0a 2.0b
  it("signs every segment from SYN to the last ACK, large bursts too, and carries its data", () => {
    const pair = new Pair({ gsoBytesMax: 65_535 });
    let unsigned = 0;
    let largest = 0;
    pair.onSegment = (_fromA, bytes) => {
      if (!isSigned(bytes)) unsigned++;
      largest = Math.max(largest, bytes.length);
    };
    const [client, child] = pair.connect(withKey());
    const sent = new Uint8Array(60_000).map((_, i) => i);
    const got: number[] = [];
    let at = 0;
    const buffer = new Uint8Array(8_192);
    pair.run(60_000, () => {
      if (at < sent.length) at += Math.max(0, client.write(sent, at, sent.length - at, 0));
      const n = child.read(buffer, 0, buffer.length, false);
      if (n > 0) got.push(...buffer.subarray(0, n));
      return got.length === sent.length;
    });
    expect(Uint8Array.from(got)).toEqual(sent);
    client.close();
    child.close();
    pair.run(1_000);
    expect(unsigned).toBe(0);
    expect(largest).toBe(1_500 - 20);
    expect(pair.a.stats.TCPMD5Failure + pair.b.stats.TCPMD5Failure).toBe(0);
  });

  it("is not opened with another key, nor by who has none", () => {
    const pair = new Pair();
    const listener = pair.b.newEndpoint(IPV4) as Endpoint;
    withKey()(listener);
    listener.bind(REMOTE, 80);
    listener.listen(8);
    const strange = pair.a.newEndpoint(IPV4) as Endpoint;
    withKey(text("another"))(strange);
    strange.connect(REMOTE, 80);
    const open = pair.a.newEndpoint(IPV4) as Endpoint;
    open.connect(REMOTE, 80);
    pair.run(3_500);
    expect([strange.state, open.state]).toEqual([2, 2]);
    expect(pair.b.stats).toMatchObject({ TCPMD5Failure: 4, TCPMD5NotFound: 4, OutRsts: 0 });
    expect(listener.accept()).toBeNull();
  });

  it("cannot be reset or fed from outside: a segment with a byte changed, or unsigned, is dropped", () => {
    const pair = new Pair();
    const [client, child] = pair.connect(withKey());
    pair.mangle = (bytes) => {
      if ((tcpFlags(bytes, 0) & (FIN | RST)) === 0) return bytes;
      const changed = bytes.slice();
      // FIN becomes RST; the checksum is mended, as an attacker would.
      changed[13] = (changed[13] & ~FIN) | RST;
      const sum = ((changed[16] << 8) | changed[17]) - (RST - FIN);
      changed[16] = sum >> 8;
      changed[17] = sum;
      return changed;
    };
    client.shutdown(false, true);
    pair.run(500);
    expect(child.state).toBe(1);
    expect(pair.b.stats.TCPMD5Failure).toBeGreaterThan(0);
    pair.mangle = (bytes) => bytes;
    pair.run(5_000, () => child.state !== 1);
    expect(child.state).toBe(8);
  });

  it("a child keeps the key that its listener has given up", () => {
    const pair = new Pair();
    const [client, child] = pair.connect(withKey());
    expect(child.options.authKeys?.md5?.count).toBe(1);
    expect(child.setMd5Key(REMOTE, 32, null)).toBe(NetErr.NotFound);
    client.write(text("x"), 0, 1, 0);
    pair.run(1_000, () => child.readableBytes > 0);
    expect(child.readableBytes).toBe(1);
  });

  it("with the other end gone, a listener on the same port has the key to sign the RST with", () => {
    const pair = new Pair();
    const [client] = pair.connect(withKey());
    forget(pair);
    // The client's own port is listened on at b: as with BGP, where both ends use 179.
    const mirror = pair.b.newEndpoint(IPV4) as Endpoint;
    withKey()(mirror);
    mirror.bind(REMOTE, client.localPort);
    mirror.listen(1);
    client.write(text("x"), 0, 1, 0);
    pair.run(1_000, () => client.state === 7);
    expect(client.takeError()).toBe(NetErr.ConnectionReset);
  });

  it("and without one there is no answer at all", () => {
    const pair = new Pair();
    const [client] = pair.connect(withKey());
    forget(pair);
    client.write(text("x"), 0, 1, 0);
    pair.run(3_000);
    expect([client.state, pair.b.stats.OutRsts]).toEqual([1, 0]);
  });
});
