# Groups and their source filters over the loopback, in both families: each call's answer, and whose datagrams are then
# heard. Says one line for each; the same on Linux and in a sandbox. Needs 127.0.0.0/8 and a route for groups.
import errno, socket, struct, sys

IP_UNBLOCK, IP_BLOCK, IP_ADD, IP_DROP, IP_MSFILTER = 37, 38, 39, 40, 41
JOIN, BLOCK, UNBLOCK, LEAVE, JOIN_SOURCE, LEAVE_SOURCE, MSFILTER = 42, 43, 44, 45, 46, 47, 48
V4, V6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
GROUP, GROUP6 = "239.1.2.3", "ff15::123"
SOURCES = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
SOURCES6 = ["2001:db8::2", "2001:db8::3", "2001:db8::4"]
INDEX = socket.if_nametoindex("lo")


def attempt(call, *args):
    try:
        r = call(*args)
        return "ok" if r is None else r
    except OSError as e:
        return errno.errorcode.get(e.errno, e.errno)


def storage(a):
    if ":" in a:
        b = struct.pack("<HHI", socket.AF_INET6, 0, 0) + socket.inet_pton(socket.AF_INET6, a)
    else:
        b = struct.pack("<HH", socket.AF_INET, 0) + socket.inet_aton(a)
    return b + bytes(128 - len(b))


def mreq(group, source, interface="127.0.0.1"):
    return socket.inet_aton(group) + socket.inet_aton(interface) + socket.inet_aton(source)


def source_req(group, source, index=INDEX):
    return struct.pack("<II", index, 0) + storage(group) + storage(source)


def ip_filter(group, mode, *sources, interface="127.0.0.1", count=None):
    head = socket.inet_aton(group) + socket.inet_aton(interface)
    return head + struct.pack("<II", mode, len(sources) if count is None else count) + b"".join(map(socket.inet_aton, sources))


def group_filter(group, mode, *sources, index=INDEX, count=None):
    n = len(sources) if count is None else count
    return struct.pack("<II", index, 0) + storage(group) + struct.pack("<II", mode, n) + b"".join(map(storage, sources))


libc = None


def get(s, level, name, value, room):
    """getsockopt with a value in it, which Python has not."""
    import ctypes
    global libc
    libc = libc or ctypes.CDLL(None, use_errno=True)
    b = ctypes.create_string_buffer(value, max(room, len(value)))
    n = ctypes.c_uint(room)
    if libc.getsockopt(s.fileno(), level, name, b, ctypes.byref(n)) != 0:
        return errno.errorcode[ctypes.get_errno()]
    return n.value, b.raw[:n.value].hex().rstrip("0")


class Four:
    family, level, group, sources, any = socket.AF_INET, V4, GROUP, SOURCES, ""
    other, wrong = "239.9.9.9", GROUP6


class Six:
    family, level, group, sources, any = socket.AF_INET6, V6, GROUP6, SOURCES6, "::"
    other, wrong = "ff15::999", GROUP


def bound(f):
    s = socket.socket(f.family, socket.SOCK_DGRAM)
    s.bind((f.any, 0))
    s.settimeout(0.02)
    s.setsockopt(f.level, 49 if f is Four else 29, 0)
    return s


def heard(f, s):
    """Whose datagrams come, of three senders."""
    for a in f.sources:
        t = socket.socket(f.family, socket.SOCK_DGRAM)
        t.bind((a, 0))
        if f is Four:
            t.setsockopt(V4, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        else:
            t.setsockopt(V6, socket.IPV6_MULTICAST_IF, INDEX)
        t.sendto(a.encode(), (f.group, s.getsockname()[1]))
        t.close()
    out = []
    try:
        while True:
            out.append(s.recv(100).decode())
    except OSError:
        return out


def steps(f, title, *calls):
    print("--", title)
    s = bound(f)
    for what, name, value in calls:
        print(what, attempt(s.setsockopt, f.level, name, value), heard(f, s))
    s.close()


a, b, c = SOURCES
steps(Four, "IP_ADD_SOURCE_MEMBERSHIP and its likes",
      ("drop before joining", IP_DROP, mreq(GROUP, a)), ("block before joining", IP_BLOCK, mreq(GROUP, a)),
      ("add", IP_ADD, mreq(GROUP, a)), ("again", IP_ADD, mreq(GROUP, a)), ("another", IP_ADD, mreq(GROUP, b)),
      ("block", IP_BLOCK, mreq(GROUP, c)), ("drop one that is not", IP_DROP, mreq(GROUP, c)),
      ("drop", IP_DROP, mreq(GROUP, a)), ("drop the last", IP_DROP, mreq(GROUP, b)), ("and again", IP_DROP, mreq(GROUP, b)),
      ("join", socket.IP_ADD_MEMBERSHIP, mreq(GROUP, a)[:8]), ("join again", socket.IP_ADD_MEMBERSHIP, mreq(GROUP, a)[:8]),
      ("block a", IP_BLOCK, mreq(GROUP, a)), ("block a again", IP_BLOCK, mreq(GROUP, a)), ("add a", IP_ADD, mreq(GROUP, a)),
      ("unblock a", IP_UNBLOCK, mreq(GROUP, a)), ("unblock b", IP_UNBLOCK, mreq(GROUP, b)),
      ("add b to an emptied list", IP_ADD, mreq(GROUP, b)),
      ("leave", socket.IP_DROP_MEMBERSHIP, mreq(GROUP, a)[:8]), ("leave again", socket.IP_DROP_MEMBERSHIP, mreq(GROUP, a)[:8]),
      ("join once more", socket.IP_ADD_MEMBERSHIP, mreq(GROUP, a)[:8]), ("let in of none blocked", IP_ADD, mreq(GROUP, b)),
      ("short", IP_ADD, mreq(GROUP, a)[:8]), ("long", IP_ADD, mreq(GROUP, a) + bytes(4)),
      ("no group", IP_ADD, mreq("10.0.0.1", a)), ("no interface", IP_ADD, mreq(GROUP, a, "192.0.2.9")))
steps(Four, "IP_MSFILTER",
      ("without joining", IP_MSFILTER, ip_filter(GROUP, 1, a)), ("join", socket.IP_ADD_MEMBERSHIP, mreq(GROUP, a)[:8]),
      ("a alone", IP_MSFILTER, ip_filter(GROUP, 1, a)), ("all but a and b", IP_MSFILTER, ip_filter(GROUP, 0, a, b)),
      ("all", IP_MSFILTER, ip_filter(GROUP, 0)), ("mode of two", IP_MSFILTER, ip_filter(GROUP, 2, a)),
      ("twice the same", IP_MSFILTER, ip_filter(GROUP, 1, a, a)),
      ("more said than there", IP_MSFILTER, ip_filter(GROUP, 0, a, count=2)), ("eleven", IP_MSFILTER, ip_filter(GROUP, 0, *([a] * 11))),
      ("cut", IP_MSFILTER, ip_filter(GROUP, 0)[:12]), ("no group", IP_MSFILTER, ip_filter("10.1.1.1", 0)),
      ("none", IP_MSFILTER, ip_filter(GROUP, 1)), ("after that", IP_MSFILTER, ip_filter(GROUP, 0, a)))
s = bound(Four)
print("limits", attempt(s.setsockopt, V4, socket.IP_ADD_MEMBERSHIP, mreq(GROUP, a)[:8]),
      [attempt(s.setsockopt, V4, IP_BLOCK, mreq(GROUP, f"10.0.0.{i}")) for i in range(12)])
print("read", get(s, V4, IP_MSFILTER, ip_filter(GROUP, 7, count=3), 28), get(s, V4, IP_MSFILTER, ip_filter(GROUP, 7, count=0), 16),
      get(s, V4, IP_MSFILTER, ip_filter("239.9.9.9", 0, count=3), 28), get(s, V4, IP_MSFILTER, ip_filter(GROUP, 0), 12))
print("memberships", [attempt(s.setsockopt, V4, socket.IP_ADD_MEMBERSHIP, mreq(f"239.1.2.{i}", a)[:8]) for i in range(4, 25)][-3:])
s.close()
for f in (Four, Six):
    a, b, c = f.sources
    steps(f, f"MCAST_* of {f.group}",
          ("leave before joining", LEAVE_SOURCE, source_req(f.group, a)), ("join", JOIN_SOURCE, source_req(f.group, a)),
          ("another", JOIN_SOURCE, source_req(f.group, b)), ("again", JOIN_SOURCE, source_req(f.group, b)),
          ("block", BLOCK, source_req(f.group, a)), ("leave one", LEAVE_SOURCE, source_req(f.group, a)),
          ("leave the last", LEAVE_SOURCE, source_req(f.group, b)),
          ("join all", JOIN, source_req(f.group, a)[:136]), ("block a", BLOCK, source_req(f.group, a)),
          ("unblock a", UNBLOCK, source_req(f.group, a)), ("unblock again", UNBLOCK, source_req(f.group, a)),
          ("filter", MSFILTER, group_filter(f.group, 1, a, c)), ("filter out", MSFILTER, group_filter(f.group, 0, c)),
          ("leave", LEAVE, source_req(f.group, a)[:136]),
          ("filter of no group", MSFILTER, group_filter(f.other, 0, a)), ("other family", JOIN_SOURCE, source_req(f.wrong, a)),
          ("other family of a source", JOIN_SOURCE, source_req(f.group, "192.0.2.1" if f is Six else "::1")),
          ("other family joined", JOIN, source_req(f.wrong, a)[:136]), ("no interface", JOIN_SOURCE, source_req(f.group, a, 77)),
          ("short", JOIN_SOURCE, source_req(f.group, a)[:200]), ("short filter", MSFILTER, group_filter(f.group, 0)[:100]),
          ("no group", JOIN_SOURCE, source_req(a, a)))
    s = bound(f)
    print("read none", get(s, f.level, MSFILTER, group_filter(f.group, 0, count=4), 700))
    s.setsockopt(f.level, JOIN_SOURCE, source_req(f.group, c))
    s.setsockopt(f.level, JOIN_SOURCE, source_req(f.group, a))
    print("read", get(s, f.level, MSFILTER, group_filter(f.group, 0, count=4), 700))
    print("read one", get(s, f.level, MSFILTER, group_filter(f.group, 0, count=1), 272))
    print("read of no interface", get(s, f.level, MSFILTER, group_filter(f.group, 0, index=0, count=1), 272))
    print("short", get(s, f.level, MSFILTER, group_filter(f.group, 0)[:100], 100))
    s.close()
stream = socket.socket()
print("stream", attempt(stream.setsockopt, V4, socket.IP_ADD_MEMBERSHIP, mreq(GROUP, SOURCES[0])[:8]), attempt(stream.setsockopt, V4, IP_ADD, mreq(GROUP, SOURCES[0])),
      attempt(stream.setsockopt, V4, IP_MSFILTER, ip_filter(GROUP, 0)), attempt(stream.setsockopt, V4, JOIN, source_req(GROUP, GROUP)[:136]), attempt(stream.setsockopt, V4, JOIN_SOURCE, source_req(GROUP, SOURCES[0])))
for path in "ipv4/igmp_max_msf", "ipv4/igmp_max_memberships":
    print(path, open(f"/proc/sys/net/{path}").read().strip())
