// TCP-AO (RFC 5925) as programs use it by numbers of options: between two processes of one sandbox, and between two
// sandboxes with a router between them, whose segments are then judged by another reading of the RFC: codes are made
// here anew out of the capture. Few kernels have it: there is none to talk to.

import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";
import { TapBench } from "./support/tap.ts";

const BYTES = 256_000;

/** struct tcp_ao_add, tcp_ao_del, tcp_ao_info_opt; an echo server, and who checks the echo. */
const TOOLS = `
import ctypes, os, socket, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def addr(net):
    if ":" in net: return (struct.pack("=HHI", 10, 0, 0) + socket.inet_pton(10, net)).ljust(128, b"\\0")
    return (struct.pack("=H", 2) + b"\\0\\0" + socket.inet_aton(net)).ljust(128, b"\\0")
def add(s, net, bits, ids, key, name=b"hmac(sha1)", choose=0, mac=0, flags=0):
    s.setsockopt(6, 38, addr(net) + name.ljust(64, b"\\0")
        + struct.pack("=iIHBBBBBB", 0, choose, 0, bits, ids[0], ids[1], mac, flags, len(key)) + key.ljust(80, b"\\0"))
def remove(s, net, bits, ids):
    s.setsockopt(6, 39, addr(net) + struct.pack("=iIHBBBBBB", 0, 0, 0, bits, ids[0], ids[1], 0, 0, 0))
def set_rnext(s, rnext):
    s.setsockopt(6, 40, struct.pack("=IHBB5Q", 2, 0, 0, rnext, 0, 0, 0, 0, 0))
def info(s):
    b = ctypes.create_string_buffer(48); n = ctypes.c_int(48)
    if libc.getsockopt(s.fileno(), 6, 40, b, ctypes.byref(n)) < 0: raise OSError(ctypes.get_errno(), "TCP_AO_INFO")
    return list(struct.unpack_from("=BB", b, 6)), list(struct.unpack_from("=5Q", b, 8))
def counters():
    names, values = [l.split() for l in open("/proc/net/netstat") if l.startswith("TcpExt")]
    return {n: int(v) for n, v in zip(names, values) if n.startswith("TCPAO")}
def echo(c):
    while True:
        data = c.recv(65536)
        if not data: break
        c.sendall(data)
    return c
def check(s, count=${BYTES}):
    data = bytes(range(256)) * (count // 256)
    threading.Thread(target=lambda: s.sendall(data)).start()
    got = b""
    while len(got) < count: got += s.recv(65536)
    return got == data
`;

describeWith(["python3"], "TCP-AO in one sandbox", () => {
  const python = (script: string) => cell(["/usr/bin/python3", "-c", `${TOOLS}\n${script}`]);

  it.each(["hmac(sha1)", "cmac(aes128)", "hmac(sha256)"])("signs with %s", async (name) => {
    const r = await python(`
name = b"${name}"
l = socket.socket(); add(l, "127.0.0.0", 8, (1, 1), b"key", name); l.bind(("127.0.0.1", 179)); l.listen()
if os.fork() == 0:
    print("there", info(echo(l.accept()[0]))[1][1:], flush=True); os._exit(0)
s = socket.socket(); add(s, "127.0.0.1", 32, (1, 1), b"key", name); s.connect(("127.0.0.1", 179))
print(check(s), flush=True); s.shutdown(1); s.recv(1); os.wait()
print("here", info(s)[1][1:])
got = counters(); print(got.pop("TCPAOGood") > 10, sorted(got.items()))`);
    expect(r.stderr).toBe("");
    expect(r.stdout.split("\n")).toEqual([
      "True",
      "there [0, 0, 0, 0]",
      "here [0, 0, 0, 0]",
      "True [('TCPAOBad', 0), ('TCPAODroppedIcmps', 0), ('TCPAOKeyNotFound', 0), ('TCPAORequired', 0)]",
      "",
    ]);
  });

  it("signs IPv6, and takes IPv4 on an IPv6 socket by the mapped prefix", async () => {
    const r = await python(`
l = socket.socket(10); add(l, "::1", 128, (1, 1), b"six"); add(l, "::ffff:127.0.0.0", 8, (1, 1), b"four")
l.bind(("::", 179)); l.listen()
for family, net, bits, key in ((10, "::", 0, b"six"), (2, "127.0.0.1", 32, b"four"), (10, "::ffff:127.0.0.1", 32, b"four")):
    s = socket.socket(family); add(s, net, bits, (1, 1), key); s.settimeout(5)
    s.connect(("::1" if net == "::" else net, 179)); c, _ = l.accept()
    threading.Thread(target=echo, args=(c,), daemon=True).start()
    print(check(s, 51200), info(s)[1][1:], info(c)[1][1:]); s.close()`);
    expect(r.stderr).toBe("");
    expect(r.stdout).toBe("True [0, 0, 0, 0] [0, 0, 0, 0]\n".repeat(3));
  });

  it("changes keys while data flows, and lets nobody in who has none", async () => {
    const r = await python(`
l = socket.socket(); add(l, "0.0.0.0", 0, (1, 1), b"first"); l.bind(("127.0.0.1", 179)); l.listen()
for key in (b"wrong", None):
    s = socket.socket(); s.settimeout(0.5)
    if key: add(s, "127.0.0.1", 32, (1, 1), key)
    try: s.connect(("127.0.0.1", 179)); print("connected")
    except OSError as e: print(type(e).__name__)
    s.close()
s = socket.socket(); add(s, "0.0.0.0", 0, (1, 1), b"first"); s.connect(("127.0.0.1", 179))
c, _ = l.accept()
for e in (s, c):
    try: add(e, "127.0.0.1", 32, (1, 2), b"second")
    except OSError as x: print(x.errno)
    add(e, "127.0.0.1", 32, (2, 2), b"second", b"cmac(aes128)", 0, 16, 2)
threading.Thread(target=echo, args=(c,), daemon=True).start()
print(check(s), info(s)[0], info(c)[0])
set_rnext(s, 2); print(check(s), info(s)[0], info(c)[0])
set_rnext(c, 2); print(check(s), info(s)[0], info(c)[0])
for e in (s, c): remove(e, "0.0.0.0", 0, (1, 1))
print(check(s), info(s)[1][1:], info(c)[1][1:])
try: remove(s, "127.0.0.1", 32, (2, 2))
except OSError as x: print(x.errno)
print({n: v for n, v in counters().items() if v and n != "TCPAOGood"})`);
    expect(r.stderr).toBe("");
    expect(r.stdout.split("\n")).toEqual([
      "TimeoutError",
      "TimeoutError",
      "17",
      "17",
      "True [1, 1] [1, 1]",
      "True [1, 2] [2, 1]",
      "True [2, 2] [2, 2]",
      "True [0, 0, 0, 0] [0, 0, 0, 0]",
      "16",
      "{'TCPAORequired': 1, 'TCPAOBad': 1}",
      "",
    ]);
  });
});

/** Of one direction: the first number, and how often the numbers have wrapped. */
interface Direction {
  isn: number;
  last: number;
  sne: number;
}

const SECRET = "between two houses";

/** RFC 5925 5.1 and 5926 3.1 for IPv4 and HMAC-SHA-1-96: [segments of the port, those rightly signed]. */
function judge(pcap: Buffer, port: number): [number, number] {
  const directions = new Map<string, Direction>();
  let segments = 0;
  let right = 0;
  for (let at = 24; at < pcap.length; at += 16 + pcap.readUInt32LE(at + 8)) {
    const frame = pcap.subarray(at + 16, at + 16 + pcap.readUInt32LE(at + 8));
    if (frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 6) continue;
    const ip = frame.subarray(14, 14 + frame.readUInt16BE(16));
    const tcp = Buffer.from(ip.subarray((ip[0] & 15) * 4));
    const [from, to] = [tcp.readUInt16BE(0), tcp.readUInt16BE(2)];
    if (from !== port && to !== port) continue;
    segments++;
    const seq = tcp.readUInt32BE(4);
    const [self, other] = [`${from}-${to}`, `${to}-${from}`];
    const isSyn = (tcp[13] & 2) !== 0;
    if (isSyn) directions.set(self, { isn: seq, last: seq, sne: 0 });
    const mine = directions.get(self);
    if (mine === undefined) continue;
    if (seq < 0x4000_0000 && mine.last > 0xc000_0000) mine.sne++;
    mine.last = seq;
    const isFirst = isSyn && (tcp[13] & 16) === 0;
    const numbers = Buffer.alloc(10);
    numbers.writeUInt32BE(mine.isn, 0);
    numbers.writeUInt32BE(isFirst ? 0 : (directions.get(other)?.isn ?? 0), 4);
    numbers.writeUInt16BE(160, 8);
    const context = [Buffer.from("\x01TCP-AO", "latin1"), ip.subarray(12, 20), tcp.subarray(0, 4)];
    const traffic = createHmac("sha1", SECRET)
      .update(Buffer.concat([...context, numbers]))
      .digest();
    // The first option.
    if (tcp[20] !== 29 || tcp[21] !== 16) continue;
    const carried = Buffer.from(tcp.subarray(24, 36));
    tcp.fill(0, 24, 36).writeUInt16BE(0, 16);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(mine.sne, 0);
    head.writeUInt16BE(6, 4);
    head.writeUInt16BE(tcp.length, 6);
    const message = [head.subarray(0, 4), ip.subarray(12, 20), head.subarray(4), tcp];
    const mac = createHmac("sha1", traffic).update(Buffer.concat(message)).digest();
    if (mac.subarray(0, 12).equals(carried)) right++;
  }
  return [segments, right];
}

describeWith(["root", "ip", "python3"], "TCP-AO between two sandboxes", () => {
  let tap: TapBench;

  beforeAll(() => {
    tap = new TapBench("tap0", ["10.82.0.1/24"]);
    for (const line of [
      "ip tuntap add dev tap1 mode tap vnet_hdr",
      "ip addr add 10.82.1.1/24 dev tap1",
      "ip link set tap1 up",
      "sysctl -qw net.ipv4.ip_forward=1",
    ]) {
      tap.exec(line);
    }
    writeFileSync(join(tap.directory, "tools.py"), TOOLS);
  });
  afterEach(() => tap.finish());
  afterAll(() => tap?.remove());

  it("every segment is signed as the RFC says, over a line that loses some", async () => {
    const python = (code: string): string[] => [
      "/usr/bin/python3",
      "-c",
      `import sys; sys.path.insert(0, "${tap.directory}")\nfrom tools import *\n${code}`,
    ];
    // The probe of the port comes without a key.
    tap.serve(
      ["--ip", "10.82.0.2/24", "--router", "10.82.0.1"],
      python(`
l = socket.socket(); l.setsockopt(1, 2, 1); add(l, "10.82.1.0", 24, (4, 3), b"${SECRET}")
l.bind(("", 179)); l.listen()
l.accept()[0].close(); echo(l.accept()[0]).close()`),
    );
    await tap.reachable("10.82.0.2", 179);
    const capture = join(tap.directory, "client.pcap");
    const flags = ["--net", "tap=tap1", "--ip", "10.82.1.2/24", "--router", "10.82.1.1"];
    const r = await tap.inside(
      [...flags, "--seed", "5", "--impair", "delay=5ms,loss=1%", "--pcap", capture],
      python(`
s = socket.socket(); add(s, "10.82.0.0", 24, (3, 4), b"${SECRET}"); s.connect(("10.82.0.2", 179))
print(check(s)); s.shutdown(1); print(s.recv(1), info(s)[1][1:])`),
    );
    expect(r.stderr).toBe("");
    expect(r.stdout).toBe("True\nb'' [0, 0, 0, 0]\n");
    const [segments, right] = judge(readFileSync(capture), 179);
    expect(segments).toBeGreaterThan((2 * BYTES) / 1_460);
    expect(right).toBe(segments);
  });
});
