# IPv4 options between three machines: this one, a router at 10.77.0.1 and 10.88.0.1 that follows source routes, and
# 10.88.0.2 behind it. `serve` is run on the third. What is sent is read from a capture; what comes back is said here.
import socket, struct, sys

IP_OPTIONS, IP_RECVOPTS, IP_RETOPTS = 4, 6, 7
ROUTER, FAR = "10.77.0.1", "10.88.0.2"


def route(kind, *hops):
    return bytes([kind, 3 + 4 * len(hops), 4]) + b"".join(map(socket.inet_aton, hops))


def record(slots):
    return bytes([7, 3 + 4 * slots, 4]) + bytes(4 * slots)


RECORD = record(4)
STAMPS = bytes([68, 28, 5, 1]) + bytes(24)
LOOSE = route(131, ROUTER)
STRICT = route(137, ROUTER)


def timeless(b):
    at = b.find(b"\x44\x1c")
    b = bytearray(b)
    for i in range(at + 8, at + 28, 8) if at >= 0 else ():
        if any(b[i:i + 4]):
            b[i:i + 4] = b"TIME"
    return bytes(b).hex()


def serve():
    import threading
    tcp = socket.create_server(("0.0.0.0", 5501))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", 5502))
    udp.setsockopt(socket.IPPROTO_IP, IP_RECVOPTS, 1)
    udp.setsockopt(socket.IPPROTO_IP, IP_RETOPTS, 1)

    def streams():
        while True:
            c, _ = tcp.accept()
            data = b""
            while chunk := c.recv(65536):
                data += chunk
            c.sendall(data)
            c.close()

    threading.Thread(target=streams, daemon=True).start()
    print("up", flush=True)
    while True:
        data, control, _, who = udp.recvmsg(65536, 300)
        by = {t: c for _, t, c in control}
        # What came goes back as text, and the record goes on. No source route: Linux sums UDP to its first hop, where
        # it does not end, and nobody takes that.
        back = by.get(IP_RETOPTS, b"")
        answer = [(socket.IPPROTO_IP, IP_RETOPTS, back)] if back and b"\x83" not in back and b"\x89" not in back else []
        udp.sendmsg([b"%d %s" % (len(data), timeless(by.get(IP_RECVOPTS, b"")).encode())], answer, 0, who)


def ask(what, options, size):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    s.bind(("0.0.0.0", 5510))
    s.setsockopt(socket.IPPROTO_IP, IP_RECVOPTS, 1)
    try:
        s.setsockopt(socket.IPPROTO_IP, IP_OPTIONS, options)
        s.sendto(b"x" * size, (FAR, 5502))
        data, control, _, who = s.recvmsg(65536, 300)
        print("udp", what, data, [timeless(c) for _, _, c in control], who)
    except OSError as e:
        print("udp", what, e)
    s.close()


ports = iter(range(5600, 5700))


def stream(what, options):
    s = socket.socket()
    s.settimeout(5)
    s.bind(("0.0.0.0", next(ports)))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.setsockopt(socket.IPPROTO_IP, IP_OPTIONS, options)
    try:
        s.connect((FAR, 5501))
        mss = s.getsockopt(6, socket.TCP_MAXSEG)
        s.sendall(b"q" * 5000)
        s.shutdown(socket.SHUT_WR)
        got = b""
        while chunk := s.recv(65536):
            got += chunk
        print("tcp", what, len(got), s.getsockopt(socket.IPPROTO_IP, IP_OPTIONS, 40).hex(), mss)
    except OSError as e:
        print("tcp", what, e)
    s.close()


def ping(what, options):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.settimeout(3)
    s.setsockopt(socket.IPPROTO_IP, IP_OPTIONS, options)
    try:
        s.sendto(bytes([8, 0, 0xF7, 0xFF - 77, 0, 77, 0, 0]), (FAR, 0))
        data = s.recv(2000)
        print("icmp", what, data[(data[0] & 15) * 4], timeless(data[20:(data[0] & 15) * 4]))
    except OSError as e:
        print("icmp", what, e)
    s.close()


def closed(what, options):
    """An error comes with the options that it answers."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    s.setsockopt(socket.IPPROTO_IP, IP_OPTIONS, options)
    s.connect((FAR, 5509))
    try:
        s.send(b"x")
        s.recv(1)
    except OSError as e:
        print("closed", what, e)
    s.close()


if len(sys.argv) > 1:
    serve()
for what, options in ("record", RECORD), ("times", STAMPS), ("loose", LOOSE), ("strict", STRICT), ("all", LOOSE + RECORD), ("off the link", route(137, FAR)), ("two hops", route(131, ROUTER, "10.88.0.1")):
    ask(what, options, 10)
    ping(what, options)
for what, options in ("record", RECORD), ("all", STAMPS + LOOSE):
    ask(what, options, 3500)
    closed(what, options)
for what, options in ("record", RECORD), ("times", STAMPS), ("loose", LOOSE), ("strict", STRICT), ("all", LOOSE + RECORD), ("long", record(9)):
    stream(what, options)
