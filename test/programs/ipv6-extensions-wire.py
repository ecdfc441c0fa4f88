# IPv6's extension headers between two machines: `serve` on fd00:77::1 hears datagrams and says what they bore, with
# headers of its own; the other sends them, and connections with headers on either side.
import socket, struct, sys

V6 = socket.IPPROTO_IPV6
FLOWINFO, RECVHOPOPTS, HOPOPTS, RECVRTHDR, RTHDR, RECVDSTOPTS, DSTOPTS, DONTFRAG, RECVFRAGSIZE = 11, 53, 54, 56, 57, 58, 59, 62, 77
AUTOFLOWLABEL, FLOWINFO_SEND = 70, 33
NAMES = {FLOWINFO: "flow", HOPOPTS: "hop", DSTOPTS: "dst", RTHDR: "route", RECVFRAGSIZE: "pieces"}
HERE = "fd00:77::1"


def header(words):
    body = bytes([0x1E, 8 * words - 4]) + bytes(8 * words - 4) if words <= 32 else \
        bytes([0x1E, 200]) + bytes(200) + bytes([0x1E, 8 * words - 206]) + bytes(8 * words - 206)
    return bytes([0, words - 1]) + body


def ask(s):
    for opt in (RECVHOPOPTS, RECVRTHDR, RECVDSTOPTS, RECVFRAGSIZE, FLOWINFO):
        s.setsockopt(V6, opt, 1)


def told(s):
    data, control, _, who = s.recvmsg(70000, 4000)
    said = []
    for _, t, c in control:
        value = struct.unpack("i", c)[0] if t == RECVFRAGSIZE else len(c) if t != FLOWINFO else c.hex()
        if t != FLOWINFO or value[3:] == "54321":
            said.append(f"{NAMES[t]} {value}")
    return data, " ".join(said), who


def serve():
    import threading
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("::", 5502))
    ask(udp)
    tcp = socket.socket(socket.AF_INET6)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.setsockopt(V6, DSTOPTS, header(3))
    tcp.bind(("::", 5501))
    tcp.listen()

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
        data, said, who = told(udp)
        udp.sendmsg([b"%d %s|" % (len(data), said.encode()) + data[8:]], [(V6, DSTOPTS, header(2)), (V6, HOPOPTS, header(1))], 0, who)


if sys.argv[1:] == ["serve"]:
    serve()
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(5)
ask(s)
for hop, dst, size in ((0, 0, 10), (1, 0, 10), (0, 2, 10), (1, 2, 10), (0, 32, 10), (16, 40, 10), (1, 2, 1428), (1, 2, 1429), (0, 2, 4000), (2, 0, 4000)):
    for opt, words in ((HOPOPTS, hop), (DSTOPTS, dst)):
        s.setsockopt(V6, opt, header(words) if words else b"")
    s.sendto(b"q" * size, (HERE, 5502))
    data, said, _ = told(s)
    there, _, rest = data.partition(b"|")
    print(f"{hop} {dst} {size}: {there.decode()}; {len(rest)} {rest.count(b'q')} {said}")
s.setsockopt(V6, FLOWINFO_SEND, 1)
s.sendto(b"q" * 10, (HERE, 5502, 0x54321, 0))
print("flow:", told(s)[0].split(b"|")[0].decode())
for words in (0, 2, 40):
    c = socket.socket(socket.AF_INET6)
    c.settimeout(20)
    c.setsockopt(V6, HOPOPTS, header(words) if words else b"")
    c.connect((HERE, 5501))
    mss = c.getsockopt(6, socket.TCP_MAXSEG)
    c.sendall(b"r" * 200000)
    c.shutdown(1)
    got = 0
    while chunk := c.recv(65536):
        got += len(chunk)
    print("tcp", words, got, mss)
    c.close()
