// Requirements of RFC 9293 and its companions that no other test is about.

import { describe, expect, it } from "vitest";
import { IPV6, IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { parseIp } from "../parse-ip.ts";
import { Ready } from "../readiness.ts";
import { tcpHeaderBytes } from "../wire/tcp.ts";
import type { Endpoint } from "./endpoint.ts";
import { defaultOptions, keepIdleNs } from "./options.ts";
import { TcpSettings } from "./settings.ts";
import { CLOSED, ESTABLISHED, SYN_RECEIVED } from "./state.ts";
import {
  established,
  Harness,
  handshake,
  LOCAL,
  listening,
  REMOTE,
  segmentBytes,
} from "./testing.ts";

describe("windows", () => {
  // @rfc 9293 MUST-1
  it("a window of 65535 is that many bytes, not a negative number", () => {
    const h = established({ syn: { wnd: 1_000 } });
    h.inject({ flags: ".", seq: 1, ack: 1, wnd: 65_535 });
    expect(h.tcb.snd.wnd).toBe(65_535);
  });

  // @rfc 7323 2.2b 2.3a
  it("the window of a SYN is not scaled, later ones are", () => {
    const h = established({ syn: { wscale: 7, wnd: 1_000 } });
    expect(h.tcb.snd.wnd).toBe(1_000);
    h.inject({ flags: ".", seq: 1, ack: 1, wnd: 1_000 });
    expect(h.tcb.snd.wnd).toBe(128_000);
  });

  // @rfc 9293 MUST-66
  it("RST and URG count even at a zero window", () => {
    const h = established({ setup: (ep) => (ep.options.receiveBufferBytes = 4_000) });
    let seq = 1;
    for (
      let room = h.tcb.rcv.wnd;
      room > 0;
      room = h.tcb.rcv.wnd - (h.tcb.rcv.nxt - h.tcb.rcv.wup)
    ) {
      const data = "x".repeat(Math.min(room, 1_000));
      h.inject({ flags: ".", seq, ack: 1, data });
      h.advanceMs(300);
      seq += data.length;
    }
    expect(h.take().at(-1)?.wnd).toBe(0);
    h.inject({ flags: "U.", seq, ack: 1, urg: 3 });
    expect(h.ep.readiness() & Ready.Urgent).toBe(Ready.Urgent);
    h.inject({ flags: "R", seq });
    expect(h.state).toBe(CLOSED);
  });
});

describe("MSS", () => {
  // @rfc 9293 MUST-15
  it("1220 is assumed over IPv6 when the peer names none", () => {
    const h = new Harness();
    h.network.route.family = IPV6;
    const local = parseIp("2001:db8::1") as IpAddr;
    Object.assign(h.network, { local });
    const ep = h.tcp.newEndpoint(IPV6) as Endpoint;
    h.ep = ep;
    expect(ep.connect(parseIp("2001:db8::2") as IpAddr, 4_000)).toBe(NetErr.InProgress);
    const pkt = h.network.allocPacket();
    const b = pkt.bytes;
    b.fill(0, pkt.start, pkt.start + 20);
    b.set([4_000 >> 8, 4_000 & 255, ep.localPort >> 8, ep.localPort & 255], pkt.start);
    const ack = (h.iss + 1) | 0;
    b.set([ack >> 24, ack >> 16, ack >> 8, ack], pkt.start + 8);
    b[pkt.start + 12] = 0x50;
    b[pkt.start + 13] = 0x12;
    pkt.l4 = pkt.start;
    pkt.end = pkt.start + 20;
    pkt.src.set(parseIp("2001:db8::2") as IpAddr);
    pkt.dst.set(local);
    pkt.checksumValid = true;
    h.tcp.onPacket(pkt);
    expect(h.state).toBe(ESTABLISHED);
    expect(h.tcb.snd.mss).toBe(1_220);
  });

  // @rfc 9293 MUST-16
  it("the effective MSS is the least of the peer's and the path's, less the options of each segment", () => {
    expect(established({ syn: { mss: 1_000 } }).tcb.snd.mss).toBe(1_000);
    expect(established({ mtu: 700, syn: { mss: 1_460 } }).tcb.snd.mss).toBe(660);
    expect(established({ mtu: 700, syn: { mss: 1_460, ts: [1, 0] } }).tcb.snd.mss).toBe(648);
    const h = established({ syn: { sackOk: true } });
    h.inject({ flags: ".", seq: 5, ack: 1, data: "x" });
    h.take();
    h.write("y".repeat(2_000));
    // One SACK block and two NOPs.
    expect(h.take()[0].data.length).toBe(1_460 - 12);
  });

  // @rfc 9293 MUST-65
  it("MSS goes on SYNs only", () => {
    const h = established();
    const kinds = new Set<number>();
    h.network.onSend = (pkt) => {
      const b = segmentBytes(pkt);
      for (let at = 20; at < tcpHeaderBytes(b, 0); at += b[at] <= 1 ? 1 : b[at + 1])
        kinds.add(b[at]);
    };
    h.write("x".repeat(5_000));
    h.inject({ flags: ".", seq: 9, ack: 1, data: "y" });
    h.advanceMs(3_000);
    expect(kinds.has(2)).toBe(false);
  });
});

describe("opening", () => {
  // @rfc 9293 MUST-11
  it("SYN-RECEIVED remembers where it came from: a RST is told to an active opener only", () => {
    const active = new Harness();
    active.ep = active.tcp.newEndpoint(4) as Endpoint;
    active.ep.connect(REMOTE, active.peerPort);
    active.inject({ flags: "S", seq: 0, mss: 1_460 });
    expect(active.state).toBe(SYN_RECEIVED);
    active.inject({ flags: "R", seq: 1 });
    expect(active.ep.takeError()).toBe(NetErr.ConnectionRefused);

    const passive = listening();
    passive.inject({ flags: "S", seq: 0, mss: 1_460 });
    passive.inject({ flags: "R", seq: 1 });
    expect(passive.ep.takeError()).toBe(0);
    passive.take();
    handshake(passive, 4_321);
    expect(passive.ep.accept()?.remotePort).toBe(4_321);
  });

  // @rfc 9293 MUST-41
  it("a listener changes no connection that is there", () => {
    const h = established();
    const port = h.ep.localPort;
    h.ep.options.reuseAddress = true;
    const other = h.tcp.newEndpoint(4) as Endpoint;
    other.options.reuseAddress = true;
    expect(other.bind(LOCAL, port) || other.listen(4)).toBe(0);
    h.inject({ flags: ".", seq: 1, ack: 1, data: "still here" });
    expect(h.read()).toBe("still here");
  });

  // @rfc 9293 MUST-42
  it("one listens on a port while another connection with that port is being opened", () => {
    const h = new Harness();
    h.ep = h.tcp.newEndpoint(4) as Endpoint;
    h.ep.options.reuseAddress = true;
    expect(h.ep.bind(LOCAL, 5_000)).toBe(0);
    expect(h.ep.connect(REMOTE, 80)).toBe(NetErr.InProgress);
    const other = h.tcp.newEndpoint(4) as Endpoint;
    other.options.reuseAddress = true;
    expect(other.bind(LOCAL, 5_000) || other.listen(4)).toBe(0);
  });

  // @rfc 9293 MUST-44 MUST-45
  it("the network layer chooses the source when none is bound, and it stays", () => {
    const h = established();
    expect(h.ep.localAddr.equals(LOCAL)).toBe(true);
    const sources = new Set<string>();
    h.network.onSend = (pkt) => sources.add(pkt.src.toString());
    h.write("x");
    h.advanceMs(5_000);
    expect([...sources]).toEqual([LOCAL.toString()]);
  });

  // @rfc 9293 MUST-46
  it("a broadcast or multicast destination is refused", () => {
    const h = new Harness();
    for (const to of [IpAddr.v4(224, 0, 0, 1), IpAddr.v4(255, 255, 255, 255)]) {
      const ep = h.tcp.newEndpoint(4) as Endpoint;
      expect(ep.connect(to, 80)).toBe(NetErr.NetworkUnreachable);
    }
    h.network.route.isBroadcast = true;
    const ep = h.tcp.newEndpoint(4) as Endpoint;
    expect(ep.connect(IpAddr.v4(10, 255, 255, 255), 80)).toBe(NetErr.NetworkUnreachable);
    expect(h.take()).toEqual([]);
  });

  // @rfc 6298 5.7
  it("after a lost SYN the timer is three seconds when data begins", () => {
    const h = new Harness();
    h.ep = h.tcp.newEndpoint(4) as Endpoint;
    h.ep.connect(REMOTE, h.peerPort);
    h.advanceMs(1_100);
    h.take();
    h.inject({ flags: "S.", seq: 0, ack: 1, mss: 1_460 });
    expect(h.tcb.rtt.rtoUs).toBe(3_000_000);
  });
});

describe("what the application sets", () => {
  // @rfc 9293 MUST-25 MUST-28
  it("keep-alives are off, and wait two hours when they are on", () => {
    const settings = new TcpSettings();
    const options = defaultOptions(settings);
    expect(options.keepAlive).toBe(false);
    expect(keepIdleNs(options, settings)).toBe(7_200e9);
    const h = established();
    h.advanceMs(10 * 3_600_000);
    expect(h.take()).toEqual([]);
  });

  // @rfc 1122 3.2.1.7b
  // @rfc 9293 MUST-48 MUST-49
  it("TTL and DSCP are on every segment from then on", () => {
    const h = established();
    h.ep.options.ttl = 7;
    h.ep.options.tos = 0xb8;
    const seen: number[][] = [];
    h.network.onSend = (pkt) => seen.push([pkt.ttl, pkt.tos & 0xfc]);
    h.write("x");
    h.inject({ flags: ".", seq: 1, ack: 2, data: "y" });
    h.advanceMs(300);
    expect(seen.length).toBeGreaterThan(1);
    for (const s of seen) expect(s).toEqual([7, 0xb8]);
  });

  // @rfc 9293 MUST-32
  it("urgent data is announced before it is read, even before its byte is there", () => {
    const h = established();
    const masks: number[] = [];
    h.ep.onReadiness = (m) => masks.push(m);
    h.inject({ flags: "U.", seq: 1, ack: 1, urg: 5 });
    expect(masks.some((m) => (m & Ready.Urgent) !== 0)).toBe(true);
  });
});

describe("timestamps", () => {
  // @rfc 7323 3.2a
  it("every segment carries timestamps once they are agreed", () => {
    const h = established({ syn: { ts: [1, 0], sackOk: true } });
    h.tsVal = 2;
    h.write("x".repeat(4_000));
    h.inject({ flags: ".", seq: 1, ack: 1, data: "a" });
    h.inject({ flags: ".", seq: 9, ack: 1, data: "b" });
    h.advanceMs(2_000);
    h.ep.shutdown(false, true);
    const sent = h.take();
    expect(sent.length).toBeGreaterThan(5);
    for (const s of sent) expect(s.ts).not.toBeNull();
  });

  // @rfc 7323 5.3b
  it("a RST with an old timestamp resets all the same", () => {
    const h = established({ syn: { ts: [1_000, 0] } });
    h.inject({ flags: "R", seq: 1, ts: [1, 0] });
    expect(h.state).toBe(CLOSED);
  });

  // @rfc 7323 5.4
  it("the timestamp clock ticks once a millisecond", () => {
    const h = established({ syn: { ts: [1, 0] } });
    const values: number[] = [];
    for (let i = 0; i < 3; i++) {
      h.write("x");
      values.push(h.take().at(-1)?.ts?.[0] ?? 0);
      h.inject({ flags: ".", seq: 1, ack: 2 + i, ts: [2, 0] });
      h.advanceMs(100);
    }
    expect([values[1] - values[0], values[2] - values[1]]).toEqual([100, 100]);
  });
});

describe("SACK", () => {
  // @rfc 2018 3
  it("no SACK to who did not permit it", () => {
    const h = established({ syn: { sackOk: false } });
    h.inject({ flags: ".", seq: 9, ack: 1, data: "x" });
    h.inject({ flags: ".", seq: 9, ack: 1, data: "x" });
    for (const s of h.take()) expect(s.sack).toEqual([]);
  });
});

describe("ECN", () => {
  // @rfc 3168 6.1.1b 6.1.5 6.1.6
  it("only new data is marked: no pure ACK, retransmission or window probe", () => {
    const h = established();
    h.tcb.ecnOk = true;
    const marks: string[] = [];
    h.network.onSend = (pkt) => {
      const kind = pkt.length > 20 ? `data at ${segmentBytes(pkt)[7]}` : "ack";
      marks.push(`${kind}: ${pkt.tos & 3}`);
    };
    h.inject({ flags: "P.", seq: 1, ack: 1, data: "x" });
    expect(new Set(marks.splice(0))).toEqual(new Set(["ack: 0"]));
    h.write("y");
    expect(marks.splice(0)[0]).toMatch(/data.*: 2$/);
    h.advanceMs(3_000);
    expect(marks.length).toBeGreaterThan(0);
    for (const m of marks.splice(0)) expect(m).toMatch(/: 0$/);
    h.inject({ flags: ".", seq: 2, ack: 2, wnd: 0 });
    h.write("z".repeat(100));
    h.advanceMs(3_000);
    expect(marks.length).toBeGreaterThan(0);
    for (const m of marks) expect(m).toMatch(/: 0$/);
  });
});

describe("NewReno (RFC 6582)", () => {
  // @rfc 6582 4.1
  it("duplicates of before a timeout start no recovery and cut nothing again", () => {
    const h = established({ syn: { sackOk: false }, rttMs: 20 });
    h.write("x".repeat(14_600));
    h.advanceMs(2_000);
    h.take();
    const { ssthresh } = h.tcb;
    const recoveries = h.tcp.stats.TCPRenoRecovery;
    for (let i = 0; i < 9; i++) h.inject({ flags: ".", seq: 1, ack: 1 });
    expect(h.tcb.ssthresh).toBe(ssthresh);
    expect(h.tcp.stats.TCPRenoRecovery).toBe(recoveries);
  });
});
