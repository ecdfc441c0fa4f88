# TCP Fast Open by a program, over loopback, each case told by one line: the same on Linux and in a sandbox.

import socket
import threading

SWITCH = "/proc/sys/net/ipv4/tcp_fastopen"
MSG_FASTOPEN = 0x20000000
TCP_FASTOPEN = 23
TCP_FASTOPEN_CONNECT = 30
TCP_INFO = 11
TCPI_OPT_SYN_DATA = 32

with open(SWITCH, "w") as f:
    f.write("3")
listener = socket.socket()
listener.setsockopt(socket.SOL_TCP, TCP_FASTOPEN, 5)
listener.bind(("127.0.0.1", 0))
listener.listen(5)
there = listener.getsockname()
got = []


def serve():
    for _ in range(5):
        c, _peer = listener.accept()
        size = 0
        while part := c.recv(65536):
            size += len(part)
        got.append(size)
        c.sendall(b"ok")
        c.close()


def tell(what, c, *more):
    c.shutdown(socket.SHUT_WR)
    answer = c.recv(10)
    info = c.getsockopt(socket.SOL_TCP, TCP_INFO, 104)
    print(what, *more, answer, "data in SYN" if info[5] & TCPI_OPT_SYN_DATA else "no data in SYN")


def refused(what, call):
    try:
        call()
        print(what, "went")
    except OSError as e:
        print(what, e.errno)


server = threading.Thread(target=serve)
server.start()
print("queue", listener.getsockopt(socket.SOL_TCP, TCP_FASTOPEN))
for what in ("without a cookie", "with one"):
    c = socket.socket()
    n = c.sendto(b"hello", MSG_FASTOPEN, there)
    tell(what, c, n)
c = socket.socket()
c.setsockopt(socket.SOL_TCP, TCP_FASTOPEN_CONNECT, 1)
n = c.connect_ex(there)
c.sendall(b"x" * 50000)
tell("by connect", c, n)
c = socket.socket()
c.setblocking(False)
n = c.sendto(b"abc", MSG_FASTOPEN, there)
c.setblocking(True)
tell("without waiting", c, n)
refused("once more", lambda: c.sendto(b"a", MSG_FASTOPEN, there))
c = socket.socket()
n = c.sendto(b"y" * 100000, MSG_FASTOPEN, there)
tell("more than a SYN holds", c, n)
server.join()
print(got)
refused("nobody there", lambda: [c := socket.socket(), c.sendto(b"a", MSG_FASTOPEN, ("127.0.0.1", 1)), c.recv(1)])
refused("nowhere", lambda: socket.socket().send(b"a", MSG_FASTOPEN))
with open(SWITCH, "w") as f:
    f.write("0")
refused("switched off", lambda: socket.socket().sendto(b"a", MSG_FASTOPEN, there))
