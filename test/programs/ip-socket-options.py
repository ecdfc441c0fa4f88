# Every option of the levels IP and IPv6 from 0 to 100, and the first of those of raw sockets, on every kind of socket:
# what it is, what it is after it was set to a few numbers, of which lengths it may be, who may set it. One line for each
# answer, with the sockets that give it; the same on Linux and in a sandbox.
import errno, os, socket, struct, sys

NUMBERS = {"ip": range(101), "ipv6": range(101), "raw": range(9), "icmpv6": range(4)}
IP_PROTOCOL = 52
LEVELS = {"ip": socket.IPPROTO_IP, "ipv6": socket.IPPROTO_IPV6, "raw": 255, "icmpv6": 58}
VALUES = (0, 1, 2, 255, 256, -1, 70000)
# Of netfilter, which has numbers of its own.
NOT_ASKED = {"ip": {*range(64, 72), 80, 83, *range(96, 100)}, "ipv6": {64, 65, 68, 69, 80, 83}}
CONNECTED = {"tcp4c": "tcp4", "tcp6c": "tcp6", "mapped-c": "tcp6", "udp4c": "udp4", "udp6c": "udp6"}
V4, V6 = socket.AF_INET, socket.AF_INET6


def listener(family):
    l = socket.socket(family)
    l.bind(("127.0.0.1" if family == V4 else "::1", 0))
    l.listen()
    return l


listeners = {f: listener(f) for f in (V4, V6)}
others = []


def make(kind):
    """A "c" at the end: connected."""
    while others:
        others.pop().close()
    if kind in ("tcp4c", "tcp6c", "mapped-c"):
        to = listeners[V6 if kind == "tcp6c" else V4]
        s = socket.socket(V4 if kind == "tcp4c" else V6)
        s.connect(("::ffff:127.0.0.1", to.getsockname()[1]) if kind == "mapped-c" else to.getsockname())
        others.append(to.accept()[0])
        return s
    if kind in ("udp4c", "udp6c"):
        s = socket.socket(V4 if kind == "udp4c" else V6, socket.SOCK_DGRAM)
        s.connect(("127.0.0.1" if kind == "udp4c" else "::1", 9))
        return s
    return socket.socket(*{
        "tcp4": (V4, socket.SOCK_STREAM, 0), "tcp6": (V6, socket.SOCK_STREAM, 0),
        "udp4": (V4, socket.SOCK_DGRAM, 0), "udp6": (V6, socket.SOCK_DGRAM, 0),
        "raw4": (V4, socket.SOCK_RAW, 200), "raw6": (V6, socket.SOCK_RAW, 200),
        "icmp4": (V4, socket.SOCK_RAW, 1), "icmp6": (V6, socket.SOCK_RAW, 58),
        "ping4": (V4, socket.SOCK_DGRAM, 1), "ping6": (V6, socket.SOCK_DGRAM, 58),
    }[kind])


def name(e):
    return errno.errorcode.get(e.errno, str(e.errno))


def get(s, level, number, room=4):
    """What is put into a buffer of 0xee's is told from what is left of it by its length."""
    try:
        b = s.getsockopt(level, number, room) if room else s.getsockopt(level, number, 0)
    except OSError as e:
        return name(e)
    if room == 4 and isinstance(b, bytes) and len(b) == 4:
        if number == IP_PROTOCOL and s.getsockname()[1] and b == struct.pack("i", s.getsockname()[1]):
            return "its port"
        return str(struct.unpack("i", b)[0])
    return b.hex() + "." if isinstance(b, bytes) else str(b)


def put(s, level, number, value):
    try:
        s.setsockopt(level, number, value)
    except OSError as e:
        return name(e)
    return "ok"


def short(pairs):
    """Said once where it is the same for all."""
    told = list(dict.fromkeys(said for _, said in pairs))
    return f"all:{told[0]}" if len(told) == 1 else " ".join(f"{what}:{said}" for what, said in pairs)


def answer(kind, level, number):
    s = make(kind)
    first = get(s, level, number)
    s.close()
    pairs = []
    for value in VALUES:
        s = make(kind)
        said = put(s, level, number, value)
        pairs.append((value, get(s, level, number) if said == "ok" else said))
        s.close()
    return f"is {first} {short(pairs)}"


def lengths(kind, level, number):
    pairs = []
    for length in (0, 1, 2, 3, 5, 8, 16):
        s = make(kind)
        pairs.append((length, put(s, level, number, bytes([1] + [0] * 15)[:length])))
        s.close()
    s = make(kind)
    reads = [(room, get(s, level, number, room)) for room in (1, 2, 3, 8)]
    s.close()
    return f"takes {short(pairs)} gives {short(reads)}"


UNKNOWN = {"is ENOPROTOOPT all:ENOPROTOOPT", "takes all:ENOPROTOOPT gives all:ENOPROTOOPT"}
OF_ANOTHER_FAMILY = {"is ENOTSUP all:ENOPROTOOPT", "takes all:ENOPROTOOPT gives all:ENOTSUP"}


def ranges(numbers):
    runs = []
    for n in numbers:
        if runs and runs[-1][1] == n - 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def table(title, kinds, ask, without=None):
    print("--", title)
    found = {}
    rows = {}
    for level_name, level in LEVELS.items():
        for number in NUMBERS[level_name]:
            if number in NOT_ASKED.get(level_name, ()):
                continue
            by = {}
            for kind in kinds:
                said = ask(kind, level, number)
                if without is None or without[kind, level, number] != said:
                    by.setdefault(said, []).append(kind)
                found[kind, level, number] = said
            for said, who in by.items():
                if said in UNKNOWN:
                    said = "unknown"
                if said in OF_ANOTHER_FAMILY:
                    said = "another family's"
                if said in ("unknown", "another family's") and title == "lengths":
                    continue
                rows.setdefault((level_name, "+".join(who), said), []).append(number)
    for (level_name, who, said), numbers in rows.items():
        print(level_name, ranges(numbers), who, said)
    return found


kinds = ["tcp4", "tcp6", "udp4", "udp6", "raw4", "raw6", "icmp4", "icmp6", "ping4", "ping6"]
if len(sys.argv) > 1:
    kinds = sys.argv[1].split(",")
first = table("set and read", kinds, answer)
table("lengths", kinds, lengths)
plain = {(k, l, n): first[CONNECTED[k], l, n] for k in CONNECTED if CONNECTED[k] in kinds for l in LEVELS.values() for n in range(101)
         if (CONNECTED[k], l, n) in first}
table("where they differ once connected", [k for k in CONNECTED if CONNECTED[k] in kinds], answer, plain)
mine = [k for k in kinds if k[:3] in ("tcp", "udp", "pin")]
sys.stdout.flush()
os.setresuid(65534, 65534, 65534)
table("where they differ without capabilities", mine, answer, first)
