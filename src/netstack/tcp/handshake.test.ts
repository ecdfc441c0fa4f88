import { describe, expect, it } from "vitest";
import { IPV4, IpAddr } from "../ip-addr.ts";
import { NetErr } from "../net-error.ts";
import { Ready } from "../readiness.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ForwardRequest } from "./forwarder.ts";
import { CLOSED, ESTABLISHED, SYN_RECEIVED, SYN_SENT } from "./state.ts";
import { established, Harness, handshake, LOCAL, listening, REMOTE, seg } from "./testing.ts";

function connecting(): Harness {
  const h = new Harness();
  h.ep = h.tcp.newEndpoint(IPV4) as Endpoint;
  expect(h.ep.connect(REMOTE, h.peerPort)).toBe(NetErr.InProgress);
  return h;
}

describe("active open", () => {
  // @rfc 2018 2
  // @rfc 9293 MUST-14 MUST-67
  it("offers MSS, SACK, timestamps and scaling as Linux does", () => {
    const h = connecting();
    const [syn] = h.take();
    expect(syn).toMatchObject({
      flags: "S",
      seq: 0,
      mss: 1460,
      sackOk: true,
      wscale: 7,
      wnd: 64_240,
    });
    expect(syn.ts?.[1]).toBe(0);
    expect(h.state).toBe(SYN_SENT);
  });

  // @rfc 9293 MUST-22
  it("repeats the SYN each second four times, then six times doubling, and reports a timeout after 131 s", () => {
    const h = connecting();
    h.take();
    h.advanceMs(4_000);
    expect(h.take().length).toBe(4);
    h.advanceMs(126_000);
    expect(h.take().length).toBe(6);
    expect(h.state).toBe(SYN_SENT);
    h.advanceMs(2_000);
    expect(h.state).toBe(CLOSED);
    expect(h.ep.takeError()).toBe(NetErr.TimedOut);
  });

  it("is refused by a RST with the right ACK only", () => {
    const h = connecting();
    h.take();
    h.inject({ flags: "R.", seq: 0, ack: 7 });
    h.inject({ flags: "R", seq: 0 });
    expect(h.state).toBe(SYN_SENT);
    h.inject({ flags: "R.", seq: 0, ack: 1 });
    expect(h.state).toBe(CLOSED);
    expect(h.ep.readiness() & Ready.Error).not.toBe(0);
    expect(h.ep.connect(REMOTE, h.peerPort)).toBe(NetErr.ConnectionRefused);
  });

  it("answers an unacceptable ACK with a RST and stays (a half-open peer, RFC 9293 figure 9)", () => {
    const h = connecting();
    h.take();
    h.inject({ flags: ".", seq: 50, ack: 900 });
    expect(h.take()).toMatchObject([{ flags: "R", seq: 900 }]);
    expect(h.state).toBe(SYN_SENT);
  });

  // @rfc 7323 2.2a
  // @rfc 9293 MUST-15
  // @rfc 7323 3.2b
  it("uses only the options that both sides sent", () => {
    const h = established({ syn: { mss: 0, ts: null, wscale: -1, sackOk: false } });
    const { tcb } = h;
    expect([tcb.tsOk, tcb.sackOk, tcb.wscaleOk, tcb.rcv.wscale, tcb.snd.mss]).toEqual([
      false,
      false,
      false,
      0,
      536,
    ]);
  });

  // @rfc 7323 2.3b
  it("takes a scale above 14 as 14 and an MSS below the floor as the floor", () => {
    const h = established({ syn: { mss: 8, wscale: 200 } });
    expect(h.tcb.snd.wscale).toBe(14);
    expect(h.tcb.snd.mss).toBe(48);
  });

  // @rfc 9293 MUST-10
  it("opens simultaneously (RFC 9293 figure 7)", () => {
    const h = connecting();
    h.take();
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    expect(h.state).toBe(SYN_RECEIVED);
    expect(h.take()).toMatchObject([{ flags: "S.", seq: 0, ack: 1 }]);
    h.inject({ flags: "S.", seq: 0, ack: 1, mss: 1460 });
    expect(h.state).toBe(ESTABLISHED);
    h.inject({ flags: "P.", seq: 1, ack: 1, data: "hi" });
    expect(h.read()).toBe("hi");
  });

  it("gives second connects Linux's answers", () => {
    const h = connecting();
    expect(h.ep.connect(REMOTE, 1)).toBe(NetErr.AlreadyConnecting);
    h.inject({ flags: "S.", seq: 0, ack: 1, mss: 1460 });
    expect(h.ep.connect(REMOTE, 1)).toBe(0);
    expect(h.ep.connect(REMOTE, 1)).toBe(NetErr.IsConnected);
  });

  it("connects to itself", () => {
    const h = new Harness();
    h.ep = h.tcp.newEndpoint(IPV4) as Endpoint;
    h.ep.bind(LOCAL, 5000);
    h.ep.connect(LOCAL, 5000);
    expect(h.take()).toMatchObject([{ flags: "S" }]);
    expect(h.tcp.context.demux.find(LOCAL, LOCAL, (5000 << 16) | 5000)).toBe(h.tcb);
  });
});

describe("passive open", () => {
  it("queues the child once the handshake is done, and readiness says so", () => {
    const h = listening();
    const masks: number[] = [];
    h.ep.onReadiness = (mask) => masks.push(mask);
    h.inject({ flags: "S", seq: 0, mss: 1400, sackOk: true, wscale: 3 });
    expect(h.take()).toMatchObject([
      { flags: "S.", seq: 0, ack: 1, wscale: 7, sackOk: true, ts: null },
    ]);
    expect(h.ep.accept()).toBeNull();
    h.inject({ flags: "P.", seq: 1, ack: 1, data: "first" });
    expect(masks).toEqual([Ready.Read]);
    const child = h.ep.accept();
    expect(child?.remotePort).toBe(4000);
    expect(child?.readableBytes).toBe(5);
    expect(h.ep.accept()).toBeNull();
  });

  it("repeats the SYN-ACK when the SYN comes again, with the same number", () => {
    const h = listening();
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    expect(h.take()).toMatchObject([
      { flags: "S.", seq: 0, ack: 1 },
      { flags: "S.", seq: 0, ack: 1 },
    ]);
    expect(h.tcp.context.halfOpenCount).toBe(1);
  });

  it("gives up after five SYN-ACKs and forgets", () => {
    const h = listening();
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    h.advanceMs(64_000);
    expect(h.take().length).toBe(6);
    expect(h.tcp.context.halfOpenCount).toBe(0);
    expect(h.tcp.context.demux.count).toBe(0);
  });

  it("resets an ACK that acknowledges nothing of ours, and a stray ACK to the listener", () => {
    const h = listening();
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    h.take();
    h.inject({ flags: ".", seq: 1, ack: 77 });
    expect(h.take()).toMatchObject([{ flags: "R", seq: 77 }]);
    h.peerPort = 4001;
    h.inject({ flags: ".", seq: 1, ack: 5 });
    expect(h.take()).toMatchObject([{ flags: "R", seq: 5 }]);
  });

  it("drops SYNs while the accept queue is full, and serves again when there is room", () => {
    const h = listening(1);
    handshake(h, 1001);
    handshake(h, 1002);
    h.take();
    h.peerPort = 1003;
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    expect(h.take()).toEqual([]);
    expect(h.tcp.stats.ListenOverflows).toBe(1);
    expect(h.ep.accept()?.remotePort).toBe(1001);
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    expect(h.take()).toMatchObject([{ flags: "S." }]);
  });

  it("resets whom it has no room for with tcp_abort_on_overflow", () => {
    const h = listening(1);
    h.tcp.settings.abortOnOverflow = 1;
    handshake(h, 1001);
    h.peerPort = 1002;
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    const { iss } = h;
    handshake(h, 1003);
    h.take();
    h.peerPort = 1002;
    h.iss = iss;
    h.inject({ flags: ".", seq: 1, ack: 1 });
    expect(h.take()).toMatchObject([{ flags: "R", seq: 1 }]);
    expect(h.tcp.stats.EmbryonicRsts).toBe(1);
    expect(h.tcp.context.halfOpenCount).toBe(0);
  });

  it("holds a bounded number of half-open connections under a flood of SYNs", () => {
    const h = listening(10_000, { limits: { halfOpenConnections: 50 } });
    h.tcp.settings.syncookies = 0;
    for (let port = 1; port <= 5_000; port++) {
      h.peerPort = port;
      h.inject({ flags: "S", seq: 0, mss: 1460 });
    }
    expect(h.tcp.context.halfOpenCount).toBe(50);
    expect(h.tcp.context.demux.count).toBe(50);
    expect(h.tcp.stats.TCPReqQFullDrop).toBe(4_950);
    h.advanceMs(70_000);
    h.take();
    handshake(h, 9_999);
    expect(h.ep.accept()?.remotePort).toBe(9_999);
  });

  // @rfc 9293 MUST-57 MUST-63
  it("does not answer LAND, SYN+FIN, or SYNs to broadcast and multicast", () => {
    const h = listening();
    h.inject({ flags: "SF", seq: 0 });
    const pkt = h.network.allocPacket();
    const land = (src: IpAddr, dst: IpAddr, sport: number): void => {
      const b = pkt.bytes;
      b.fill(0, pkt.start, pkt.start + 20);
      b.set([sport >> 8, sport & 255, 0, 80], pkt.start);
      b[pkt.start + 12] = 5 << 4;
      b[pkt.start + 13] = 2;
      pkt.l4 = pkt.start;
      pkt.end = pkt.start + 20;
      pkt.src.set(src);
      pkt.dst.set(dst);
      pkt.checksumValid = true;
      h.tcp.onPacket(pkt);
    };
    land(LOCAL, LOCAL, 80);
    land(REMOTE, IpAddr.v4(255, 255, 255, 255), 7);
    land(REMOTE, IpAddr.v4(224, 0, 0, 1), 7);
    land(IpAddr.v4(224, 0, 0, 1), LOCAL, 7);
    expect(h.take()).toEqual([]);
    expect(h.tcp.context.demux.count).toBe(0);
  });

  it("waits for data with TCP_DEFER_ACCEPT", () => {
    const h = listening();
    h.ep.setDeferAccept(5);
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    h.inject({ flags: ".", seq: 1, ack: 1 });
    expect(h.ep.accept()).toBeNull();
    h.inject({ flags: "P.", seq: 1, ack: 1, data: "x" });
    expect(h.ep.accept()?.readableBytes).toBe(1);
  });

  it("closing the listener resets what nobody accepted", () => {
    const h = listening();
    handshake(h, 1001);
    h.take();
    h.ep.close();
    expect(h.take()).toMatchObject([{ flags: "R." }]);
    expect(h.tcp.context.demux.count).toBe(0);
  });
});

describe("no listener", () => {
  it("answers with RST: of the ACK's number, or acknowledging the segment", () => {
    const h = new Harness();
    h.localPort = 9;
    h.inject({ flags: "S", seq: 5, ack: 0 });
    h.inject({ flags: ".", seq: 5, ack: 300, data: "abc" });
    h.inject({ flags: "R", seq: 5 });
    expect(h.take()).toMatchObject([
      { flags: "R.", seq: 0, ack: 6 },
      { flags: "R", seq: 300 },
    ]);
  });
});

describe("a gateway's forwarder", () => {
  function syn(h: Harness): ForwardRequest {
    let request: ForwardRequest | null = null;
    h.tcp.setForwarder((r) => {
      request = r;
    });
    h.localPort = 443;
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    h.inject({ flags: "S", seq: 0, mss: 1460 });
    if (request === null) throw new Error("no request");
    return request;
  }

  it("is asked once, answers later, and gets an endpoint that becomes writable", () => {
    const h = new Harness();
    const request = syn(h);
    expect(h.take()).toEqual([]);
    expect([request.localPort, request.remotePort]).toEqual([443, 4000]);
    h.advanceMs(5_000);
    const ep = request.accept() as Endpoint;
    expect(request.accept()).toBeNull();
    expect(h.take()).toMatchObject([{ flags: "S.", ack: 1 }]);
    const masks: number[] = [];
    ep.onReadiness = (m) => masks.push(m);
    expect(ep.readiness()).toBe(0);
    h.inject(seg({ flags: ".", seq: 1, ack: 1 }));
    expect(masks[0] & Ready.Write).toBe(Ready.Write);
    expect(ep.state).toBe(ESTABLISHED);
  });

  it("refuses with a RST that acknowledges the SYN", () => {
    const h = new Harness();
    syn(h).reject();
    expect(h.take()).toMatchObject([{ flags: "R.", seq: 0, ack: 1 }]);
    expect(h.tcp.context.demux.count).toBe(0);
    expect(h.tcp.context.halfOpenCount).toBe(0);
  });

  it("is told by isPending that the peer gave up", () => {
    const h = new Harness();
    const request = syn(h);
    h.inject({ flags: "R", seq: 1 });
    expect(request.isPending).toBe(false);
    expect(request.accept()).toBeNull();
  });
});
