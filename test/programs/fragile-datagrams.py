# A server of records over UDP on port 5353 or $PORT, over IPv6 where $SIX is set, with a planted bug: it believes the length of a record of type 3 when that
# passes the end of the datagram, and dies. Answers each datagram, so that a fuzzer can tell what it reached. What
# breaks in another way it survives.

import os
import signal
import socket
import struct

is_six = "SIX" in os.environ
server = socket.socket(socket.AF_INET6 if is_six else socket.AF_INET, socket.SOCK_DGRAM)
if is_six:
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
server.bind(("::" if is_six else "0.0.0.0", int(os.environ.get("PORT", "5353"))))


def answer(datagram):
    """A header (number, count), then records: type, length, bytes."""
    if len(datagram) < 4:
        return b"short"
    number, count = struct.unpack(">HH", datagram[:4])
    at = 4
    said = b""
    for _ in range(min(count, 8)):
        if at + 3 > len(datagram):
            return b"cut"
        kind, length = struct.unpack(">BH", datagram[at : at + 3])
        at += 3
        if at + length > len(datagram):
            if kind == 3:
                os.kill(os.getpid(), signal.SIGSEGV)
            return b"long"
        said += bytes([kind & 3])
        at += length
    return struct.pack(">H", number) + said


while True:
    datagram, client = server.recvfrom(65536)
    server.sendto(answer(datagram), client)
