# Runs sequences of socket calls (src/lab/properties/socket-steps.ts) on the kernel it finds itself on: reads
# {"family": 4, "port": N, "sequences": [...]} from the file named first, writes the results as JSON to stdout. Each
# sequence has ports of its own, from N on.
import errno, json, select, socket, sys

MASK = select.POLLIN | select.POLLPRI | select.POLLOUT | select.POLLRDHUP
SHUT = (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR)
SOCKETS_MAX = 10


def name(number):
    # Two names for one number on Linux.
    return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode[number]


def disconnect(s):
    import ctypes
    address = (ctypes.c_char * 16)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.connect(s.fileno(), address, 16) != 0:
        raise OSError(ctypes.get_errno(), "connect")


def run(family, base, steps):
    host = "127.0.0.1" if family == 4 else "::1"
    af = socket.AF_INET if family == 4 else socket.AF_INET6
    address = lambda index: (host, base + index)
    label = lambda port: "-" if port == 0 else ("p%d" % (port - base) if base <= port < base + 4 else "e")
    live = []

    def call(i, step):
        do = step["do"]
        if do == "socket":
            if len(live) >= SOCKETS_MAX:
                return "void"
            kind = socket.SOCK_STREAM if step["tcp"] else socket.SOCK_DGRAM
            s = socket.socket(af, kind | socket.SOCK_NONBLOCK)
            # Nagle's algorithm and delayed acknowledgments would make it a matter of time what has come.
            if step["tcp"]:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            live.append(s)
            return "0"
        if not live:
            return "void"
        at = step["of"] % len(live)
        s = live[at]
        data = bytes([(i * 7 + 1) & 255]) * step.get("length", 0)
        if do == "reuse":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif do == "bind":
            s.bind(address(step["port"]))
        elif do == "listen":
            s.listen(step["backlog"])
        elif do == "connect":
            s.connect(address(step["port"]))
        elif do == "disconnect":
            disconnect(s)
        elif do == "accept":
            if len(live) >= SOCKETS_MAX:
                return "void"
            child, _ = s.accept()
            child.setblocking(False)
            live.append(child)
        elif do == "send":
            return str(s.send(data, socket.MSG_NOSIGNAL))
        elif do == "sendto":
            return str(s.sendto(data, socket.MSG_NOSIGNAL, address(step["port"])))
        elif do == "recv":
            return "x" + s.recv(step["length"], socket.MSG_PEEK if step["peek"] else 0).hex()
        elif do == "shutdown":
            s.shutdown(SHUT[step["how"]])
        elif do == "error":
            e = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            return name(e) if e else "0"
        elif do == "names":
            local = label(s.getsockname()[1])
            try:
                return local + " " + label(s.getpeername()[1])
            except OSError as e:
                return local + " " + name(e.errno)
        elif do == "close":
            live.pop(at)
            s.close()
        return "0"

    results = []
    poll = select.poll()
    for i, step in enumerate(steps):
        try:
            result = call(i, step)
        except OSError as e:
            result = name(e.errno)
        masks = []
        for s in live:
            poll.register(s, MASK)
            ready = poll.poll(0)
            masks.append(ready[0][1] if ready else 0)
            poll.unregister(s)
        results.append({"result": result, "masks": masks})
    for s in live:
        s.close()
    return results


job = json.load(open(sys.argv[1]))
out = []
for n, steps in enumerate(job["sequences"]):
    out.append(run(job["family"], job["port"] + 4 * n, steps))
json.dump(out, sys.stdout)
