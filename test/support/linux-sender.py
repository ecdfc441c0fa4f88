# Linux's TCP as a sender, in a network namespace of its own (run under `unshare -n`, as root), against a
# receiver made here on a TUN device. The receiver loses what it is told to, and acknowledges each other
# segment after a delay. Reads one JSON scenario, writes one JSON list: TCP_INFO after each acknowledgment.
# The same receiver is in differential.ts.
import ctypes, fcntl, heapq, json, os, select, socket, struct, sys, time

scenario = json.load(sys.stdin)
drops = {(i, n) for i, n in scenario["drops"]}
DELAY, MSS, TOTAL = scenario["delayMs"] / 1000, 1460, scenario["bytes"]
LOCAL, REMOTE, PORT = "10.99.0.1", "10.99.0.2", 4000
PEER_ISS = 1_000_000

def sh(command):
    if os.system(command) != 0:
        sys.exit(f"failed: {command}")

tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x0001 | 0x1000))
sh(f"ip addr add {LOCAL}/24 dev tun0 && ip link set lo up && ip link set tun0 up")
sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.tcp_timestamps=0 net.ipv4.tcp_ecn=0 net.ipv4.tcp_wmem='4096 4194304 8388608' net.ipv4.tcp_min_tso_segs=1")

def ethtool(command, value):
    data = ctypes.create_string_buffer(struct.pack("II", command, value))
    request = struct.pack("16sP16x", b"tun0", ctypes.addressof(data))
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8946, request)

ethtool(0x24, 0)  # GSO off: what the sender decides is what is seen.

def checksum(b):
    if len(b) % 2:
        b += b"\0"
    s = sum(struct.unpack(f"!{len(b) // 2}H", b))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF

state = {"port": 0, "iss": 0}

def send(flags, seq, ack, options=b""):
    head = struct.pack("!HHIIBBHHH", PORT, state["port"], (PEER_ISS + seq) & 0xFFFFFFFF,
                       (state["iss"] + ack) & 0xFFFFFFFF, (20 + len(options)) // 4 << 4, flags, 65535, 0, 0)
    segment = head + options
    pseudo = socket.inet_aton(REMOTE) + socket.inet_aton(LOCAL) + struct.pack("!BBH", 0, 6, len(segment))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 1, 0x4000, 64, 6, 0,
                     socket.inet_aton(REMOTE), socket.inet_aton(LOCAL))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    os.write(tun, ip + segment)

s = socket.socket()
s.setsockopt(6, 13, b"reno")
s.setsockopt(socket.SOL_SOCKET, 32, 4 << 20)
s.setblocking(False)
try:
    s.connect((REMOTE, PORT))
except BlockingIOError:
    pass

FIELDS = {"lost": 32, "sacked": 28, "unacked": 24, "retrans": 36, "ssthresh": 76, "cwnd": 80, "reordering": 88}

def info():
    b = s.getsockopt(6, 11, 256)
    out = {name: struct.unpack_from("=I", b, at)[0] for name, at in FIELDS.items()}
    out["caState"] = b[1]
    return out

nxt, ranges, sent, due, log, order = 1, [], {}, [], [], 0

def arrived(seq, end):
    """The receiver: what is acknowledged, and the blocks."""
    global nxt, ranges
    dsack = None
    if end <= nxt or any(a <= seq and end <= b for a, b in ranges):
        dsack = (seq, end)
    merged, low, high = [], seq, end
    for a, b in ranges:
        if b < low or a > high:
            merged.append((a, b))
        else:
            low, high = min(a, low), max(b, high)
    merged.append((low, high))
    ranges = sorted(merged)
    while ranges and ranges[0][0] <= nxt:
        nxt = max(nxt, ranges.pop(0)[1])
    rest = sorted((r for r in ranges if not (r[0] <= seq < r[1])), reverse=True)
    blocks = [r for r in ranges if r[0] <= seq < r[1]] + rest
    return nxt, (([dsack] if dsack else []) + blocks)[:4]

end_at = time.monotonic() + scenario["limitMs"] / 1000
is_open = False
while time.monotonic() < end_at and nxt < TOTAL + 1:
    wait = max(0, min(due[0][0] if due else end_at, end_at) - time.monotonic())
    if select.select([tun], [], [], wait)[0]:
        p = os.read(tun, 65536)
        if p[0] >> 4 != 4 or p[9] != 6:
            continue
        t = p[(p[0] & 15) * 4:]
        sport, dport, seq, ack, doff, flags = struct.unpack("!HHIIBB", t[:14])
        length = struct.unpack("!H", p[2:4])[0] - (p[0] & 15) * 4 - (doff >> 4) * 4
        if flags & 2:
            state["port"], state["iss"] = sport, seq
            time.sleep(DELAY)
            send(0x12, 0, 1, struct.pack("!BBHBBBBBBBB", 2, 4, MSS, 1, 1, 4, 2, 1, 3, 3, 7))
            continue
        if not is_open:
            is_open = True
            s.send(b"x" * TOTAL)
        if length == 0:
            continue
        rel = (seq - state["iss"]) & 0xFFFFFFFF
        n = sent[rel] = sent.get(rel, 0) + 1
        log.append(["sent", rel, length])
        if ((rel - 1) // MSS, n) not in drops:
            order += 1
            heapq.heappush(due, (time.monotonic() + DELAY, order, rel, rel + length))
    elif due and due[0][0] <= time.monotonic():
        _, _, a, b = heapq.heappop(due)
        ack, blocks = arrived(a, b)
        options = b""
        if blocks:
            options = struct.pack("!BBBB", 1, 1, 5, 2 + 8 * len(blocks))
            for l, r in blocks:
                options += struct.pack("!II", (state["iss"] + l) & 0xFFFFFFFF, (state["iss"] + r) & 0xFFFFFFFF)
        send(0x10, 1, ack, options)
        log.append(["ack", ack, blocks, info()])
json.dump(log, sys.stdout)
