// Options of datagram sockets in a sandbox, asked by a program as udp(7) and ip(7) describe them.

import { expect, it } from "vitest";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

const python = (script: string) => cell(["/usr/bin/python3", "-c", script]);

describeWith(["python3"], "datagram options", () => {
  it("receive many datagrams as one (UDP_GRO), and tell their size", async () => {
    const r = await python(`
import socket, struct
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.bind(("127.0.0.1", 0)); a.settimeout(5)
a.setsockopt(17, 104, 1); print(a.getsockopt(17, 104))
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); b.connect(a.getsockname())
b.sendmsg([bytes(i & 255 for i in range(2500))], [(17, 103, struct.pack("H", 1000))])
def take():
    data, control, flags, who = a.recvmsg(65536, 64)
    print(len(data), [(l, t, struct.unpack("i", d)[0]) for l, t, d in control])
    return data
assert take() == bytes(i & 255 for i in range(2500))
b.send(b"x" * 10); b.send(b"y" * 20)
take(); take()
a.setsockopt(17, 104, 0)
b.send(b"x" * 10); b.send(b"y" * 10)
take(); take()`);
    expect(r.stderr).toBe("");
    expect(r.stdout).toBe("1\n2500 [(17, 104, 1000)]\n10 []\n20 []\n10 []\n10 []\n");
  });

  it("choose a port within bounds (IP_LOCAL_PORT_RANGE)", async () => {
    const r = await python(`
import socket, struct
bounds = lambda low, high: struct.pack("HH", low, high)
def port(kind, low, high, connect=False):
    s = socket.socket(socket.AF_INET, kind); s.setsockopt(0, 51, bounds(low, high))
    assert s.getsockopt(0, 51, 4) == bounds(low, high)
    if connect:
        l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(); s.connect(l.getsockname())
    else: s.bind(("127.0.0.1", 0))
    return low <= s.getsockname()[1] <= high
print([port(k, 40000, 40003, c) for k, c in ((2, False), (1, False), (1, True))])
held = []
for i in range(3):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(0, 51, bounds(41000, 41001))
    try: s.bind(("127.0.0.1", 0)); held.append(s)
    except OSError as e: print(e.errno)
try: s.setsockopt(0, 51, bounds(41001, 41000))
except OSError as e: print(e.errno)`);
    expect(r.stderr).toBe("");
    expect(r.stdout).toBe("[True, True, True]\n98\n22\n");
  });

  it("leave by the interface they name (IP_UNICAST_IF), if there is one", async () => {
    const r = await python(`
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
eth = socket.if_nametoindex("eth0")
s.setsockopt(0, 50, socket.htonl(eth)); print(socket.ntohl(s.getsockopt(0, 50) & 0xffffffff) == eth)
s.connect(("192.0.2.1", 9)); print(s.getsockname()[0])
try: s.setsockopt(0, 50, socket.htonl(99))
except OSError as e: print(e.errno)
s.setsockopt(1, 25, b"lo")
try: s.setsockopt(0, 50, socket.htonl(eth))
except OSError as e: print(e.errno)`);
    expect(r.stderr).toBe("");
    expect(r.stdout).toBe("True\n10.0.2.15\n99\n22\n");
  });
});
