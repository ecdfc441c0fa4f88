# SO_PEEK_OFF of UDP and TCP sockets; the same on Linux (6.9 and later) and in a sandbox.
import errno, socket, threading, time

OFF = 42


def attempt(call, *args):
    try:
        return call(*args)
    except OSError as e:
        return errno.errorcode.get(e.errno, e.errno)


def off(s):
    return attempt(s.getsockopt, socket.SOL_SOCKET, OFF)


def setting(s, n):
    return attempt(s.setsockopt, socket.SOL_SOCKET, OFF, n)


def told(s, n, flags):
    r = attempt(s.recvmsg, n, 0, flags)
    if isinstance(r, str):
        return r, off(s)
    # With MSG_TRUNC nobody stores the bytes.
    return len(r[0]) if flags & socket.MSG_TRUNC else r[0], r[2], off(s)


def peek(s, n, flags=0):
    return told(s, n, socket.MSG_PEEK | socket.MSG_DONTWAIT | flags)


def take(s, n, flags=0):
    return told(s, n, socket.MSG_DONTWAIT | flags)


for kind, proto in (socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, 0), (socket.SOCK_RAW, 200):
    s = attempt(socket.socket, socket.AF_INET, kind, proto)
    if isinstance(s, socket.socket):
        print(kind, proto, off(s), setting(s, 3), off(s), setting(s, -7), off(s), attempt(s.setsockopt, 1, OFF, b"\1"))

u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("127.0.0.1", 0))
t = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for d in b"abcdef", b"", b"ghi", b"", b"jk":
    t.sendto(d, u.getsockname())
print("off", peek(u, 10), peek(u, 3))
print("set", setting(u, 0))
for n in 2, 2, 10, 10, 2, 10, 10, 10, 10:
    print("peek", n, peek(u, n))
print("take", take(u, 2), peek(u, 10), take(u, 10), take(u, 10), peek(u, 10))
print("set", setting(u, 1), peek(u, 100, socket.MSG_TRUNC), take(u, 1, socket.MSG_TRUNC))
print("rest", setting(u, 0), peek(u, 10), take(u, 10), peek(u, 10))
threading.Timer(0.3, lambda: (t.sendto(b"one", u.getsockname()), time.sleep(0.2), t.sendto(b"two", u.getsockname()))).start()
u.settimeout(5)
print("waits", u.recv(10, socket.MSG_PEEK), u.recv(10, socket.MSG_PEEK), off(u))

listener = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(listener.getsockname())
a, _ = listener.accept()
c.sendall(b"0123456789")
time.sleep(0.1)
print("off", peek(a, 4), peek(a, 4))
print("set", setting(a, 0), peek(a, 4), peek(a, 4), peek(a, 4), peek(a, 4))
print("take", take(a, 3), peek(a, 4), setting(a, 2), peek(a, 3), peek(a, 100, socket.MSG_TRUNC), take(a, 5, socket.MSG_TRUNC))
threading.Timer(0.3, lambda: c.sendall(b"more")).start()
a.settimeout(5)
setting(a, 2)
print("waits", a.recv(10, socket.MSG_PEEK), off(a))
c.shutdown(socket.SHUT_WR)
time.sleep(0.1)
print("end", peek(a, 10), take(a, 100), take(a, 100), peek(a, 10))
