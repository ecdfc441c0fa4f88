# TCP_SAVE_SYN and TCP_SAVED_SYN, and what is said to who would repair a connection; the same on Linux and in a sandbox.
import ctypes, errno, socket, struct

SAVE, SAVED = 27, 28
libc = ctypes.CDLL(None, use_errno=True)


def attempt(call, *args):
    try:
        r = call(*args)
        return "ok" if r is None else r
    except OSError as e:
        return errno.errorcode.get(e.errno, e.errno)


def saved(s, room):
    """What getsockopt says, with the length that it leaves."""
    b = ctypes.create_string_buffer(max(room, 1))
    n = ctypes.c_uint(room)
    if libc.getsockopt(s.fileno(), 6, SAVED, b, ctypes.byref(n)) != 0:
        return errno.errorcode[ctypes.get_errno()], n.value
    h = bytearray(b.raw[:n.value])
    if len(h) == 0:
        return 0, b""
    link = 14 if len(h) not in (60, 80) else 0
    l3 = h[link:]
    l4 = l3[20:] if l3[0] >> 4 == 4 else l3[40:]
    return n.value, bytes(h[:link]).hex(), l3[0], l3[9 if l3[0] >> 4 == 4 else 6], l4[12:14].hex(), struct.unpack("!H", l4[2:4])[0] == s.getsockname()[1]


for family, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
    for mode in (0, 1, 2):
        listener = socket.socket(family)
        listener.bind((host, 0))
        print(host, "mode", mode, attempt(listener.setsockopt, 6, SAVE, mode), listener.getsockopt(6, SAVE))
        listener.listen()
        c = socket.create_connection(listener.getsockname()[:2])
        a, _ = listener.accept()
        print("short", saved(a, 3), "whole", saved(a, 200), "again", saved(a, 200), "of who called", saved(c, 200), "of the listener", saved(listener, 200))
        for s in a, c, listener:
            s.close()
s = socket.socket()
print("wrong", attempt(s.setsockopt, 6, SAVE, 3), attempt(s.setsockopt, 6, SAVE, -1), attempt(s.setsockopt, 6, SAVED, 1), attempt(s.setsockopt, 6, 31, b"none"))
import os
os.setresuid(65534, 65534, 65534)
print("repair", [attempt(s.setsockopt, 6, n, 1) for n in (19, 20, 21, 22, 24, 29)], [attempt(s.getsockopt, 6, n) for n in (19, 20, 21, 22, 29)])
