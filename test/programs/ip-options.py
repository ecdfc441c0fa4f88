# The options of the IPv4 header by every kind of socket, over the loopback: what is refused, what is read back, what
# comes with a datagram, what a connection answers with. Says one line for each; the same on Linux and in a sandbox.
import errno, os, socket, struct

IP_OPTIONS, IP_RECVOPTS, IP_RETOPTS, IP_HDRINCL = 4, 6, 7, 3
SOL_IP, TCP_MAXSEG = socket.IPPROTO_IP, socket.TCP_MAXSEG
LO = "127.0.0.1"


def addr(s):
    return socket.inet_aton(s)


def name(e):
    return errno.errorcode.get(e.errno, "timeout" if e.errno is None else e.errno)


def attempt(call, *args):
    try:
        return call(*args)
    except OSError as e:
        return name(e)


def record(slots, pointer=4):
    return bytes([7, 3 + 4 * slots, pointer]) + bytes(4 * slots)


def stamps(flag, slots, pointer=5):
    return bytes([68, 4 + slots, pointer, flag]) + bytes(slots)


def route(kind, *hops):
    return bytes([kind, 3 + 4 * len(hops), 4]) + b"".join(map(addr, hops))


def show(b):
    return b.hex() if isinstance(b, bytes) else b


def timeless(b):
    """Times are other ones each time."""
    b = bytearray(b)
    i = 0
    while i < len(b) and b[i] != 0:
        if b[i] == 1:
            i += 1
            continue
        if b[i] == 68:
            at = 4 if b[i + 3] & 15 == 0 else 8
            while at + 4 <= b[i + 1]:
                if any(b[i + at:i + at + 4]):
                    b[i + at:i + at + 4] = b"TIME"
                at += 4 if b[i + 3] & 15 == 0 else 8
        i += b[i + 1]
    return bytes(b)


def option(s, value):
    return attempt(s.setsockopt, SOL_IP, IP_OPTIONS, value)


def read(s):
    return show(attempt(s.getsockopt, SOL_IP, IP_OPTIONS, 40))


print("-- set and read back, with every capability")
CASES = {
    "none": b"", "one no-operation": b"\1", "five": b"\1" * 5, "forty": b"\1" * 40, "forty-one": b"\1" * 41,
    "end and rubbish": b"\0\7\7\7", "record": record(9), "record of three": record(3),
    "record with a pointer": record(3, 8), "record that is full": record(2, 12), "record too short": bytes([7, 2, 4, 0]),
    "pointer of three": record(3, 3), "pointer of nine in eleven": record(2, 9), "half a slot": bytes([7, 5, 4, 0, 0]),
    "two records": record(1) + record(1), "times": stamps(0, 16), "times and addresses": stamps(1, 32),
    "addresses given": bytes([68, 20, 5, 3]) + addr("127.0.0.9") + bytes(4) + addr("192.0.2.1") + bytes(4),
    "addresses of others": bytes([68, 12, 5, 3]) + addr("192.0.2.1") + bytes(4), "flag of two": stamps(2, 8),
    "times that are full": stamps(0, 4, 9), "overflow": bytes([68, 8, 9, 0xF0, 0, 0, 0, 0]),
    "loose route": route(131, "192.0.2.1"), "loose route of three": route(131, "192.0.2.1", "192.0.2.2", "192.0.2.3"),
    "strict route": route(137, "192.0.2.1", "192.0.2.2"), "a route behind": route(131, "192.0.2.1")[:2] + b"\x08" + bytes(4),
    "half a hop": bytes([131, 9, 4]) + bytes(6), "no hop": bytes([131, 3, 4]), "two routes": route(131, LO) + route(137, LO),
    "router alert": bytes([148, 4, 0, 0]), "short alert": bytes([148, 3, 0]), "security": bytes([130, 11]) + bytes(9),
    "stream": bytes([136, 4, 0, 1]), "unknown": bytes([0x5E, 4, 1, 2]), "length of one": bytes([7, 1, 4, 0]),
    "past the end": bytes([7, 9, 4, 0]), "length cut off": b"\1\1\1\7",
}
for what, value in CASES.items():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print(what, option(s, value), read(s))
    s.close()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("taken away", option(s, record(3)), read(s), option(s, b""), read(s))
print("kept at a mistake", option(s, record(3)), option(s, b"\7\2"), read(s))
print("a piece", show(s.getsockopt(SOL_IP, IP_OPTIONS, 5)), s.getsockopt(SOL_IP, IP_RECVOPTS), s.getsockopt(SOL_IP, IP_RETOPTS))
s.setsockopt(SOL_IP, IP_RECVOPTS, 1)
print("two flags", s.getsockopt(SOL_IP, IP_RECVOPTS), s.getsockopt(SOL_IP, IP_RETOPTS))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
print("of IPv6", option(six, record(2)), read(six))
six.close()

print("-- datagrams")
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind((LO, 0))
sink.settimeout(2)
to = sink.getsockname()
for opt in (IP_RECVOPTS, IP_RETOPTS):
    sink.setsockopt(SOL_IP, opt, 1)


def heard(room=300):
    data, control, flags, _ = sink.recvmsg(70000, room)
    named = {IP_RECVOPTS: "as it came", IP_RETOPTS: "for an answer"}
    return len(data), [(named[t], timeless(c).hex()) for _, t, c in control], bool(flags & socket.MSG_CTRUNC)


for what in ("none", "five", "record", "record of three", "record that is full", "times", "times and addresses",
             "addresses given", "addresses of others", "times that are full", "router alert", "unknown"):
    s.setsockopt(SOL_IP, IP_OPTIONS, CASES[what])
    print(what, attempt(s.sendto, b"x" * 10, to), attempt(heard))
print("both", option(s, record(2) + stamps(1, 16)), s.sendto(b"y", to), heard())
print("little room", s.sendto(b"y", to), heard(24))
print("once", s.sendmsg([b"z"], [(SOL_IP, IP_RETOPTS, record(4))], 0, to), heard(), read(s))
print("once none", s.sendmsg([b"z"], [(SOL_IP, IP_RETOPTS, b"")], 0, to), heard())
print("once wrong", attempt(s.sendmsg, [b"z"], [(SOL_IP, IP_RETOPTS, b"\7\2")], 0, to))
print("once long", attempt(s.sendmsg, [b"z"], [(SOL_IP, IP_RETOPTS, b"\1" * 44)], 0, to), heard())
s.setsockopt(SOL_IP, IP_OPTIONS, record(9))
print("largest", attempt(s.sendto, bytes(65507 - 40), to), heard(), attempt(s.sendto, bytes(65507 - 39), to))
s.setsockopt(SOL_IP, socket.IP_MTU_DISCOVER if hasattr(socket, "IP_MTU_DISCOVER") else 10, 0)
s.setsockopt(SOL_IP, IP_OPTIONS, b"")
for what in ("loose route", "strict route"):
    s.setsockopt(SOL_IP, IP_OPTIONS, CASES[what])
    print(what, "nowhere", attempt(s.sendto, b"x", to))
s.setsockopt(SOL_IP, IP_OPTIONS, route(131, LO))
sink.settimeout(0.3)
print("a loose route is not taken", s.sendto(b"x", to), attempt(heard))
sink.settimeout(2)

print("-- errors")
e = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for opt in (IP_RECVOPTS, IP_RETOPTS, 11):
    e.setsockopt(SOL_IP, opt, 1)
for what in ("none", "record of three", "times and addresses", "router alert"):
    e.setsockopt(SOL_IP, IP_OPTIONS, CASES[what])
    e.sendto(b"x", (LO, 1))
    _, control, _, _ = e.recvmsg(100, 400, socket.MSG_ERRQUEUE)
    print(what, [(t, timeless(c).hex() if t != 11 else c[:8].hex()) for _, t, c in control])
e.close()

print("-- ping and raw sockets")
ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
ping.settimeout(2)
ping.setsockopt(SOL_IP, IP_RECVOPTS, 1)
for what in ("record", "times and addresses", "unknown"):
    ping.setsockopt(SOL_IP, IP_OPTIONS, CASES[what])
    body = struct.pack("!BBHHH", 8, 0, 0, 77, 1)
    total = sum(struct.unpack("!4H", body))
    total = (total & 0xFFFF) + (total >> 16)
    ping.sendto(body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:], (LO, 0))
    for _ in range(2):
        data, control, _, _ = ping.recvmsg(2000, 300)
        print(what, data[(data[0] & 15) * 4], timeless(data[20:(data[0] & 15) * 4]).hex(), [timeless(c).hex() for _, _, c in control])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 200)
raw.setsockopt(SOL_IP, IP_OPTIONS, record(2))
raw.setsockopt(SOL_IP, IP_HDRINCL, 1)
print("own header", attempt(raw.sendto, bytes([0x45]) + bytes(19), (LO, 0)))
print("own header without", option(raw, b""), attempt(raw.sendto, bytes([0x45]) + bytes(19), (LO, 0)))

print("-- connections")
for what in ("none", "record", "record of three", "times", "addresses given", "router alert"):
    listener = socket.socket()
    listener.bind((LO, 0))
    listener.listen()
    c = socket.socket()
    for t in (listener, c):
        t.setsockopt(6, TCP_MAXSEG, 1000)
    c.setsockopt(SOL_IP, IP_OPTIONS, CASES[what])
    c.connect(listener.getsockname())
    a, _ = listener.accept()
    c.sendall(b"q" * 100000)
    got = 0
    while got < 100000:
        got += len(a.recv(65536))
    a.sendall(b"r" * 100000)
    while got < 200000:
        got += len(c.recv(65536))
    print(what, got, read(c), show(timeless(a.getsockopt(SOL_IP, IP_OPTIONS, 40))), c.getsockopt(6, TCP_MAXSEG), a.getsockopt(6, TCP_MAXSEG))
    print(what, "changed", option(a, record(2)), read(a), a.getsockopt(6, TCP_MAXSEG), option(a, b""), read(a), a.getsockopt(6, TCP_MAXSEG))
    for t in (a, c, listener):
        t.close()
c = socket.socket()
print("first hop nowhere", option(c, CASES["loose route"]), attempt(c.connect, (LO, 9)), read(c))

print("-- without capabilities")
os.setresuid(65534, 65534, 65534)
for what, value in CASES.items():
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    r = option(u, value)
    if r != option(s, value) or r is not None:
        print(what, r)
    u.close()
