# IPv6's extension headers, labels and what else RFC 3542 and RFC 2292 let programs ask for, by every kind of socket,
# over the loopback: what is refused, what is read back, what comes with a datagram, how long segments are. Says one line
# for each; the same on Linux and in a sandbox.
import errno, os, socket, struct

V6 = socket.IPPROTO_IPV6
O2292PKTINFO, O2292HOPOPTS, O2292DSTOPTS, O2292RTHDR, O2292PKTOPTIONS, O2292HOPLIMIT, FLOWINFO = 2, 3, 4, 5, 6, 8, 11
MTU_DISCOVER, MTU, RECVERR, FLOWLABEL_MGR, FLOWINFO_SEND, HDRINCL, CHECKSUM = 23, 24, 25, 32, 33, 36, 7
RECVPKTINFO, PKTINFO, RECVHOPLIMIT, HOPLIMIT, RECVHOPOPTS, HOPOPTS, RTHDRDSTOPTS, RECVRTHDR, RTHDR = 49, 50, 51, 52, 53, 54, 55, 56, 57
RECVDSTOPTS, DSTOPTS, RECVPATHMTU, PATHMTU, DONTFRAG, RECVTCLASS, TCLASS, AUTOFLOWLABEL, RECVFRAGSIZE = 58, 59, 60, 61, 62, 66, 67, 70, 77
NAMES = {v: k for k, v in list(globals().items()) if isinstance(v, int) and k.isupper() and k not in ("V6",)}
LO = "::1"
MAXSEG = socket.TCP_MAXSEG


def name(e):
    return errno.errorcode.get(e.errno, "timeout" if e.errno is None else e.errno)


def attempt(call, *args):
    try:
        return call(*args)
    except OSError as e:
        return name(e)


def options(*content, length=None):
    """A header of options, padded to a multiple of 8."""
    body = b"".join(content)
    gap = -(2 + len(body)) % 8
    body += {0: b"", 1: b"\0"}.get(gap, bytes([1, gap - 2]) + bytes(gap - 2))
    return bytes([0, (2 + len(body)) // 8 - 1 if length is None else length]) + body


def segments(*hops, left=None, kind=4, tlv=b""):
    """A segment routing header; its first segment is filled in by who sends."""
    n = len(hops)
    body = b"".join(socket.inet_pton(socket.AF_INET6, h) for h in hops) + tlv
    return bytes([0, len(body) // 8, kind, n - 1 if left is None else left, n - 1, 0, 0, 0]) + body


SKIP = bytes([0x1E, 2, 7, 7])
BIG = options(*[bytes([0x1E, 100]) + bytes(100)] * 3)
CASES = {
    "pad": options(), "skip": options(SKIP), "two": options(SKIP, SKIP), "alert": options(bytes([5, 2, 0, 0])), "big": BIG,
    "nothing": b"", "one byte": b"\0", "two bytes": b"\0\0", "seven": bytes(7), "twelve": bytes(12), "too short": options(length=3),
    "longer than it says": options(SKIP, SKIP, SKIP, length=0), "longest": bytes([0, 254]) + bytes(2038), "too long": bytes([0, 255]) + bytes(2046),
    "rubbish": b"\0\0" + b"\xff" * 6,
}
ROUTES = {
    "to itself": segments(LO), "one of two": segments("::", LO, left=1), "none left": segments("::", LO, left=0),
    "three": segments("::", "2001:db8::2", LO), "left too many": segments("::", LO, left=2), "type 0": segments(LO, kind=0),
    "type 2": bytes([0, 2, 2, 1, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, LO), "with a TLV": segments("::", LO, tlv=bytes([9, 6]) + bytes(6)),
    "TLV too long": segments("::", LO, tlv=bytes([9, 7]) + bytes(6)), "eight bytes": bytes([0, 0, 4, 0, 0, 0, 0, 0]),
}

for kind, args in (("udp", (socket.SOCK_DGRAM, 0)), ("tcp", (socket.SOCK_STREAM, 0)), ("raw", (socket.SOCK_RAW, 200))):
    print("--", kind, "set and read back")
    for what, value in CASES.items():
        said = []
        for opt in (HOPOPTS, DSTOPTS, RTHDRDSTOPTS):
            s = socket.socket(socket.AF_INET6, *args)
            r = attempt(s.setsockopt, V6, opt, value)
            said.append((r, attempt(lambda: s.getsockopt(V6, opt, 1024) == value[:1024]), len(s.getsockopt(V6, opt, 1024)), s.getsockopt(V6, opt, 5).hex()))
            s.close()
        print(what, *(said[:1] if len(set(said)) == 1 else said))
    for what, value in ROUTES.items():
        s = socket.socket(socket.AF_INET6, *args)
        print("route", what, attempt(s.setsockopt, V6, RTHDR, value), s.getsockopt(V6, RTHDR, 1024).hex())
        s.close()
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for opt, value in ((HOPOPTS, CASES["skip"]), (DSTOPTS, CASES["two"]), (HOPOPTS, b""), (HOPOPTS, b"\0"), (DSTOPTS, b"")):
    print(NAMES[opt], attempt(s.setsockopt, V6, opt, value), s.getsockopt(V6, HOPOPTS, 99).hex(), s.getsockopt(V6, DSTOPTS, 99).hex())
message = lambda t, data: struct.pack("QII", 16 + len(data), V6, t) + data + bytes(-len(data) % 8)
for what, value in (("hop", message(O2292HOPOPTS, CASES["skip"])), ("both", message(HOPOPTS, CASES["pad"]) + message(DSTOPTS, CASES["two"])),
                    ("none", b""), ("hops", message(HOPLIMIT, struct.pack("i", 3))), ("unknown", message(99, b"1234")), ("route", message(RTHDR, ROUTES["to itself"]))):
    print("2292PKTOPTIONS", what, attempt(s.setsockopt, V6, O2292PKTOPTIONS, value), s.getsockopt(V6, HOPOPTS, 99).hex(), s.getsockopt(V6, DSTOPTS, 99).hex())
s.close()

print("-- datagrams")
sink = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sink.bind((LO, 0))
sink.settimeout(2)
to = sink.getsockname()
NEW = (RECVHOPOPTS, RECVDSTOPTS, RECVRTHDR, RECVHOPLIMIT, RECVTCLASS, RECVPKTINFO, RECVFRAGSIZE)
OLD = (O2292HOPOPTS, O2292DSTOPTS, O2292RTHDR, O2292HOPLIMIT, O2292PKTINFO)


def ask(s, wanted):
    for opt in NEW + OLD + (FLOWINFO,):
        s.setsockopt(V6, opt, int(opt in wanted))


def heard(s=None, room=4000):
    data, control, flags, who = (s or sink).recvmsg(70000, room)
    return len(data), [(NAMES[t], c.hex() if len(c) < 60 else len(c)) for _, t, c in control], bool(flags & socket.MSG_CTRUNC)


s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(V6, AUTOFLOWLABEL, 0)
for asked in (NEW, OLD, NEW + OLD + (FLOWINFO,)):
    ask(sink, asked)
    for hop, dst in (("nothing", "nothing"), ("skip", "nothing"), ("nothing", "two"), ("pad", "skip"), ("alert", "pad"), ("big", "big")):
        s.setsockopt(V6, HOPOPTS, CASES[hop])
        s.setsockopt(V6, DSTOPTS, CASES[dst])
        print(hop, dst, attempt(s.sendto, b"x" * 10, to), attempt(heard))
print("little room", s.sendto(b"y", to), heard(room=24))
s.setsockopt(V6, HOPOPTS, b"")
s.setsockopt(V6, DSTOPTS, CASES["skip"])
s.setsockopt(V6, RTHDRDSTOPTS, CASES["two"])
ask(sink, NEW)
print("before no route", s.sendto(b"y", to), heard())
sink.settimeout(0.2)
s.setsockopt(V6, RTHDR, ROUTES["one of two"])
print("by a route that is not taken", attempt(s.sendto, b"y", to), attempt(heard))
s.setsockopt(V6, RTHDR, segments("::", "2001:db8::5"))
print("by a route to nowhere", attempt(s.sendto, b"y", to))
s.setsockopt(V6, RTHDR, b"")
s.setsockopt(V6, DSTOPTS, b"")
s.setsockopt(V6, HOPOPTS, options(bytes([0x5E, 2, 0, 0])))
print("an option to be dropped", s.sendto(b"y", to), attempt(heard))
s.setsockopt(V6, RECVERR, 1)
s.setsockopt(V6, HOPOPTS, options(bytes([0x9E, 2, 0, 0])))
print("an option to be told of", s.sendto(b"y", to), attempt(heard))
try:
    data, control, _, _ = s.recvmsg(100, 300, socket.MSG_ERRQUEUE)
    print(data, [(t, c[:12].hex()) for _, t, c in control])
except OSError as e:
    print(name(e))
print("then", attempt(s.sendto, b"y", to))
s.close()
sink.settimeout(2)

print("-- once")
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(V6, AUTOFLOWLABEL, 0)
ask(sink, NEW + (FLOWINFO,))
s.setsockopt(V6, HOPOPTS, CASES["two"])
CONTROL = {
    "none": [], "dst": [(DSTOPTS, CASES["skip"])], "hop": [(HOPOPTS, CASES["pad"])], "2292 hop": [(O2292HOPOPTS, CASES["pad"])],
    "2292 dst": [(O2292DSTOPTS, CASES["skip"])], "both": [(DSTOPTS, CASES["skip"]), (HOPOPTS, CASES["pad"])], "before": [(RTHDRDSTOPTS, CASES["skip"])],
    "hop twice": [(HOPOPTS, CASES["pad"])] * 2, "2292 dst twice": [(O2292DSTOPTS, CASES["pad"])] * 2,
    "dst twice": [(DSTOPTS, CASES["pad"]), (DSTOPTS, CASES["skip"])], "short": [(HOPOPTS, b"\0")], "cut": [(DSTOPTS, CASES["two"][:8])],
    "longer": [(DSTOPTS, CASES["pad"] + b"12345678")], "no padding": [(HOPOPTS, b"\0\0" + b"\x1e\2\0\0")],
    "route": [(RTHDR, ROUTES["one of two"])], "2292 route": [(O2292RTHDR, ROUTES["one of two"])], "short route": [(RTHDR, b"\0\0")],
    "hops": [(HOPLIMIT, struct.pack("i", 9))], "2292 hops": [(O2292HOPLIMIT, struct.pack("i", 8))], "no hops": [(HOPLIMIT, struct.pack("i", -1))],
    "hops of 256": [(HOPLIMIT, struct.pack("i", 256))], "hops of a byte": [(HOPLIMIT, b"\7")], "class": [(TCLASS, struct.pack("i", 0xB8))],
    "class of -1": [(TCLASS, struct.pack("i", -1))], "dontfrag": [(DONTFRAG, struct.pack("i", 1))], "dontfrag of 2": [(DONTFRAG, struct.pack("i", 2))],
    "flow": [(FLOWINFO, struct.pack("!I", 0x0AB12345))], "flow and class": [(FLOWINFO, struct.pack("!I", 0x0AB12345)), (TCLASS, struct.pack("i", 4))],
    "no flow": [(FLOWINFO, bytes(4))], "short flow": [(FLOWINFO, bytes(3))], "two flows": [(FLOWINFO, struct.pack("!I", 5)), (FLOWINFO, struct.pack("!I", 6))],
    "from": [(PKTINFO, socket.inet_pton(socket.AF_INET6, LO) + struct.pack("i", 1))], "2292 from": [(O2292PKTINFO, socket.inet_pton(socket.AF_INET6, LO) + bytes(4))],
    "from others": [(PKTINFO, socket.inet_pton(socket.AF_INET6, "2001:db8::9") + bytes(4))], "from no device": [(PKTINFO, bytes(16) + struct.pack("i", 99))],
    "from a link": [(PKTINFO, socket.inet_pton(socket.AF_INET6, "fe80::1") + bytes(4))], "short from": [(PKTINFO, bytes(16))],
    "next hop": [(9, socket.inet_pton(socket.AF_INET6, LO))], "path mtu": [(PATHMTU, bytes(32))],
}
for what, control in CONTROL.items():
    said = attempt(s.sendmsg, [b"z"], [(V6, t, c) for t, c in control], 0, to)
    print(what, said, attempt(heard) if said == 1 else "")
print("kept", s.getsockopt(V6, HOPOPTS, 99).hex())

print("-- raw and ping sockets")
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 200)
ear = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 200)
ear.settimeout(1)
ask(ear, NEW)
raw.setsockopt(V6, HOPOPTS, CASES["skip"])
raw.setsockopt(V6, DSTOPTS, CASES["pad"])
print("raw", raw.sendto(b"hello raw", (LO, 0)), heard(ear))
for at in (-1, 0, 4, 6, 8):
    raw.setsockopt(V6, CHECKSUM, at)
    ear.setsockopt(V6, CHECKSUM, at)
    said = attempt(raw.sendto, bytes(8), (LO, 0))
    print("checksum at", at, said, ear.recv(100).hex() if said == 8 else "")
raw.setsockopt(V6, CHECKSUM, -1)
ear.setsockopt(V6, CHECKSUM, 2)
ear.settimeout(0.2)
print("a wrong one", raw.sendto(b"no such sum!", (LO, 0)), attempt(ear.recv, 100))
ear.close()
icmp = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
icmp.settimeout(1)
ask(icmp, NEW)
icmp.setsockopt(V6, DSTOPTS, CASES["two"])
print("icmp", icmp.sendto(struct.pack("!BBHHH", 128, 0, 0, 7, 1), (LO, 0)), sorted([heard(icmp), heard(icmp)], key=str))
icmp.setsockopt(58, 1, bytes(16) + b"\1" + bytes(15))
print("no requests", icmp.sendto(struct.pack("!BBHHH", 128, 0, 0, 8, 2), (LO, 0)), heard(icmp)[0], icmp.getsockopt(58, 1, 99).hex())
icmp.setsockopt(58, 1, b"\xff" * 16)
print("the rest stays", icmp.getsockopt(58, 1, 32).hex(), icmp.getsockopt(58, 1, 18).hex())
print("three bytes of icmp", attempt(icmp.sendto, b"\x80\0\0", (LO, 0)))
icmp.close()

print("-- how long")
s.setsockopt(V6, HOPOPTS, b"")
# Linux counts what the destination alone reads twice.
for what, twice in (("nothing", HOPOPTS), ("skip", DSTOPTS), ("big", DSTOPTS), ("skip", HOPOPTS)):
    s.setsockopt(V6, DSTOPTS, b"")
    s.setsockopt(V6, twice, CASES[what])
    room = 65535 - 8 - len(CASES[what]) * (2 if twice == DSTOPTS else 1)
    print(what, attempt(s.sendto, bytes(room), to), attempt(lambda: heard()[0]), attempt(s.sendto, bytes(room + 1), to))
s.setsockopt(V6, HOPOPTS, b"")
s.setsockopt(V6, DSTOPTS, CASES["two"])
s.setsockopt(V6, MTU, 1280)
for size in (1200, 1216, 1217, 3000):
    print("in pieces", s.sendto(bytes(size), to), heard())
s.setsockopt(V6, HOPOPTS, CASES["skip"])
print("in pieces", s.sendto(bytes(3000), to), heard())
s.setsockopt(V6, RECVPATHMTU, 1)
s.setsockopt(V6, DONTFRAG, 1)
print("not in pieces", attempt(s.sendto, bytes(3000), to), attempt(s.sendto, bytes(1192), to), heard()[0], attempt(s.sendto, bytes(1193), to))
for _ in range(2):
    try:
        # poll says nothing of it.
        data, control, flags, who = s.recvmsg(100, 300, socket.MSG_DONTWAIT)
        print("told", data, [(NAMES[t], c.hex()) for _, t, c in control], who)
    except OSError as e:
        print("told", name(e))
s.setsockopt(V6, RECVERR, 1)
print("not in pieces", attempt(s.sendto, bytes(3000), to))
data, control, _, _ = s.recvmsg(100, 300, socket.MSG_ERRQUEUE)
print([(t, c[:12].hex()) for _, t, c in control])
s.close()

print("-- connections")
for what in ("nothing", "pad", "two", "big"):
    for where in ("client", "server", "both"):
        l = socket.socket(socket.AF_INET6)
        l.bind((LO, 0))
        c = socket.socket(socket.AF_INET6)
        for t in (l, c):
            t.setsockopt(6, MAXSEG, 1000)
            if where == "both" or t is (c if where == "client" else l):
                t.setsockopt(V6, DSTOPTS, CASES[what])
        l.setsockopt(V6, RECVHOPLIMIT, 1)
        l.setsockopt(V6, TCLASS, 0x48)
        l.listen()
        c.connect(l.getsockname())
        a, _ = l.accept()
        c.sendall(b"q" * 100000)
        got = 0
        while got < 100000:
            got += len(a.recv(65536))
        a.sendall(b"r" * 100000)
        while got < 200000:
            got += len(c.recv(65536))
        said = [got, a.getsockopt(V6, RECVHOPLIMIT), a.getsockopt(V6, TCLASS)] + [(len(t.getsockopt(V6, DSTOPTS, 999)), t.getsockopt(6, MAXSEG)) for t in (c, a)]
        a.setsockopt(V6, HOPOPTS, CASES["two"])
        a.sendall(b"s" * 50000)
        while got < 250000:
            got += len(c.recv(65536))
        # Linux does not shorten the segments of such a connection; they must not be longer than the link's packets.
        print(what, where, *said, got)
        for t in (a, c, l):
            t.close()

print("-- labels")


def request(label=0, action=0, share=255, flags=1, linger=10, expires=20, dst=LO):
    return socket.inet_pton(socket.AF_INET6, dst) + struct.pack("!I", label) + struct.pack("BBHHHI", action, share, flags, expires, linger, 0)


s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
t = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
ask(sink, (FLOWINFO,))
t.setsockopt(V6, FLOWINFO_SEND, 1)
t.setsockopt(V6, AUTOFLOWLABEL, 0)
print("by an address", t.sendto(b"x", (LO, to[1], 0x54321, 0)), heard(), t.sendto(b"x", to), heard())
t.setsockopt(V6, TCLASS, 0x10)
print("with a class", t.sendto(b"x", (LO, to[1], 0x54321, 0)), heard(), t.sendto(b"x", to), heard())
t.setsockopt(V6, FLOWINFO_SEND, 0)
print("not looked at", t.sendto(b"x", (LO, to[1], 0x54321, 0)), heard())
t.setsockopt(V6, AUTOFLOWLABEL, 1)
label = lambda h: h[1][0][1][-5:] if h[1] else ""
t.sendto(b"x", to)
one = label(heard())
t.sendto(b"x", to)
print("of its own", one != "00000", one == label(heard()))
for what, value in {
    "short": request()[:31], "not there": request(0x111, flags=0), "made": request(0x111), "made again": request(0x111), "exclusively": request(0x111, flags=3),
    "otherwise shared": request(0x111, share=3), "of no share": request(0x222, share=7), "to nowhere": request(0x222, dst="::"), "to IPv4": request(0x222, dst="::ffff:1.2.3.4"),
    "too large": request(0x100000), "chosen": request(), "renewed": request(0x111, action=2, flags=0), "renewed unknown": request(0x333, action=2, flags=0),
    "given back": request(0x111, action=1), "and again": request(0x111, action=1), "a third time": request(0x111, action=1), "no such action": request(0x111, action=3),
    "reflected": request(0, flags=4), "long": request(0x444, linger=1000),
}.items():
    print(what, attempt(s.setsockopt, V6, FLOWLABEL_MGR, value))
own = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
own.setsockopt(V6, AUTOFLOWLABEL, 0)
print("its own", attempt(own.setsockopt, V6, FLOWLABEL_MGR, request(0x777, share=1)))
for u in (own, t):
    u.setsockopt(V6, FLOWINFO_SEND, 1)
    print("used", attempt(u.sendto, b"x", (LO, to[1], 0x777, 0)), attempt(heard) if u is own else "")
print("in a message", attempt(t.sendmsg, [b"z"], [(V6, FLOWINFO, struct.pack("!I", 0x778))], 0, to), attempt(t.connect, (LO, to[1], 0x779, 0)))
own.connect((LO, to[1], 0x777, 0))
print("connected", own.send(b"x"), heard(), len(own.getsockopt(V6, FLOWLABEL_MGR, 32)))
own.close()

print("-- without capabilities")
os.setresuid(65534, 65534, 65534)
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for opt, value in ((HOPOPTS, CASES["pad"]), (HOPOPTS, b""), (DSTOPTS, CASES["pad"]), (DSTOPTS, b"\0"), (RTHDRDSTOPTS, CASES["pad"]), (RTHDR, ROUTES["to itself"]), (RTHDR, ROUTES["type 0"])):
    print(NAMES[opt], attempt(u.setsockopt, V6, opt, value))
for what in ("dst", "hop", "2292 dst", "short", "cut", "before", "hops", "flow"):
    print(what, attempt(u.sendmsg, [b"z"], [(V6, t, c) for t, c in CONTROL[what]], 0, to))
print("long", attempt(u.setsockopt, V6, FLOWLABEL_MGR, request(0x555, linger=151)), "short", attempt(u.setsockopt, V6, FLOWLABEL_MGR, request(0x555, linger=150)))
print("2292PKTOPTIONS", attempt(u.setsockopt, V6, O2292PKTOPTIONS, message(HOPOPTS, CASES["pad"])))
