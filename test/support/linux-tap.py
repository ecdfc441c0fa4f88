# The host's kernel as a station on a TAP device, told what to do line by line: in a network namespace, with the
# addresses and neighbours of the first line. Each further line is a command; the answer is one line of JSON with the
# frames that the kernel has sent since, in hexadecimal, and what the call gave.
#   frame HEX | quiet MS | reset | forget
#   listen FAMILY PORT | connect FAMILY ADDRESS PORT | accept | write N | read N | shutdown | close
#   udp FAMILY PORT | receive | answer N | attach
# "answer" is to whom the last datagram came from, and "attach" connects to him.
import errno, fcntl, json, os, select, socket, struct, subprocess, sys, time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
place = json.loads(sys.stdin.readline())
tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"tap0", IFF_TAP | IFF_NO_PI))


def sh(line):
    subprocess.run(line.split(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def sysctl(name, value):
    with open("/proc/sys/net/" + name, "w") as f:
        f.write(str(value))


for family in ("ipv4", "ipv6"):
    for which in ("all", "default", "tap0"):
        sysctl("%s/conf/%s/accept_redirects" % (family, which), 0)
for which in ("all", "default", "tap0"):
    sysctl("ipv4/conf/%s/rp_filter" % which, 0)
    sysctl("ipv6/conf/%s/accept_ra" % which, 0)
sysctl("ipv6/conf/tap0/router_solicitations", 0)
sysctl("ipv4/icmp_ratelimit", 0)
sysctl("ipv6/icmp/ratelimit", 0)
for name in ("tcp_invalid_ratelimit", "tcp_early_retrans", "tcp_autocorking"):
    sysctl("ipv4/" + name, 0)
# Conversations know nothing of each other.
sysctl("ipv4/tcp_no_metrics_save", 1)
sh("ip link set tap0 address " + place["mac"])
sh("ip addr add %s/8 dev tap0" % place["ip4"])
sh("ip -6 addr add %s/64 dev tap0 nodad" % place["ip6"])
sh("ip link set tap0 up")
for n in place["neighbors"]:
    sh("ip neigh replace %s lladdr %s dev tap0 nud permanent" % (n["ip4"], n["mac"]))
    sh("ip neigh replace %s lladdr %s dev tap0 nud permanent" % (n["ip6"], n["mac"]))

listener = connection = client = None


def frames():
    seen = []
    while True:
        try:
            seen.append(os.read(tap, 65536).hex())
        except BlockingIOError:
            return seen


def opened(family, kind, port):
    s = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::" if family == "6" else "0.0.0.0", port))
    s.setblocking(False)
    return s


def act(words):
    global listener, connection, client
    do = words[0]
    if do == "frame":
        try:
            os.write(tap, bytes.fromhex(words[1]))
        except OSError as e:
            # Too short to be a frame.
            return errno.errorcode[e.errno]
    elif do == "listen":
        listener = opened(words[1], socket.SOCK_STREAM, int(words[2]))
        listener.listen(8)
    elif do == "connect":
        connection = opened(words[1], socket.SOCK_STREAM, 0)
        connection.connect((words[2], int(words[3])))
    elif do == "udp":
        connection = opened(words[1], socket.SOCK_DGRAM, int(words[2]))
    elif do == "receive":
        data, client = connection.recvfrom(65536)
        return "x%d" % len(data)
    elif do == "answer":
        return str(connection.sendto(b"x" * int(words[1]), client) if client else "nobody")
    elif do == "attach":
        if client is None:
            return "none"
        connection.connect(client)
    elif do == "accept":
        connection, _ = listener.accept()
        connection.setblocking(False)
    elif do == "write":
        return str(connection.send(b"x" * int(words[1]), socket.MSG_NOSIGNAL))
    elif do == "read":
        return "x%d" % len(connection.recv(int(words[1])))
    elif do == "shutdown":
        connection.shutdown(socket.SHUT_WR)
    elif do == "close":
        connection.close()
        connection = None
    elif do == "reset":
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        connection = client = None
        if listener is not None:
            listener.close()
        listener = None
    elif do == "forget":
        # What errors have told of paths.
        sh("ip route flush cache")
        sh("ip -6 route flush cache")
    elif do == "quiet":
        time.sleep(int(words[1]) / 1000)
    return "0"


for line in sys.stdin:
    try:
        result = act(line.split())
    except OSError as e:
        result = errno.errorcode[e.errno]
    except AttributeError:
        result = "none"
    print(json.dumps({"result": result, "frames": frames()}), flush=True)
