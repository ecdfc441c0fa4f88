# One station on VLANs of a device, by a packet socket: the host's kernel takes the tags off what comes (PACKET_AUXDATA) and
# is given frames with theirs. Answers ARP and echoes for the address in the tag it was asked in; prints each tag it saw.
import socket, struct, sys

SOL_PACKET, PACKET_AUXDATA, ETH_P_ALL = 263, 8, 3
MAC = bytes.fromhex("02000000aa01")
device, count = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
s.bind((device, 0))
s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
s.settimeout(30)
print("ready", flush=True)


def total(b):
    b += b"\0" * (len(b) % 2)
    n = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while n >> 16:
        n = (n & 0xFFFF) + (n >> 16)
    return ~n & 0xFFFF


echoes = 0
while echoes < count:
    frame, control, _, where = s.recvmsg(65536, 128)
    if where[2] == socket.PACKET_OUTGOING:
        continue
    tags = b""
    for level, kind, data in control:
        if (level, kind) != (SOL_PACKET, PACKET_AUXDATA):
            continue
        status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", data)
        if status & 0x10:
            tags = struct.pack("!HH", tpid, tci)
    if not tags:
        continue
    at = 12
    # The inner one of two is still in the frame.
    while frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        tags += frame[at : at + 4]
        at += 4
    kind, body = frame[at : at + 2], frame[at + 2 :]
    head = frame[6:12] + MAC + tags + kind
    if kind == b"\x08\x06" and body[7] == 1:
        s.send(head + body[:7] + b"\x02" + MAC + body[24:28] + body[8:18])
        print("arp", tags.hex(), flush=True)
    elif kind == b"\x08\x00" and body[9] == 1 and body[20] == 8:
        length = struct.unpack("!H", body[2:4])[0]
        assert total(body[20:length]) == 0, "checksum"
        icmp = b"\0\0\0\0" + body[24:length]
        icmp = b"\0\0" + struct.pack("!H", total(icmp)) + icmp[4:]
        s.send(head + body[:12] + body[16:20] + body[12:16] + icmp)
        print("echo", tags.hex(), len(frame), flush=True)
        echoes += 1
