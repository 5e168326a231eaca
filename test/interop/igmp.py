"""Plays the multicast router of a link: has a host join and leave, asks in all versions of IGMP, and prints what it hears.

Usage: igmp.py INTERFACE SOURCE TARGET (TARGET answers requests as agent.py says). Prints for each step its name, the answer of
the host to what it was told to do, and the messages heard in it, each once: how often is a matter of time. A message that is not as a
host must send it (TTL 1, TOS 0xc0, router alert, checksums, addresses) ends the program.
"""
import json
import socket
import struct
import sys
import time

interface, source, target = sys.argv[1:4]
ADD, DROP, UNBLOCK, BLOCK, ADD_SOURCE, DROP_SOURCE, MSFILTER = 35, 36, 37, 38, 39, 40, 41
INCLUDE, EXCLUDE = 1, 0
G, H, LOCAL = "239.1.1.1", "239.1.1.2", "224.0.0.251"
S, T, U = "198.51.100.1", "198.51.100.2", "198.51.100.3"
RECORDS = ["?", "IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK"]


def ip(text):
    return struct.unpack(">i", socket.inet_aton(text))[0]


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
wire.bind((interface, 0))
wire.setsockopt(263, 1, struct.pack("=iHH8s", socket.if_nametoindex(interface), 1, 0, bytes(8)))
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
control.settimeout(10)
control.connect((target, 9))
me = wire.getsockname()[4]


def send(group, message, saddr=source, mac=None):
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    dst = socket.inet_aton(group)
    header = struct.pack("!BBHHHBBH", 0x46, 0xC0, 24 + len(message), 0, 0x4000, 1, 2, 0) + socket.inet_aton(saddr) + dst + b"\x94\4\0\0"
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    wire.send(b"\1\0\x5e" + bytes([dst[1] & 127]) + dst[2:] + (mac or me) + b"\x08\0" + header + message)


def query(group="0.0.0.0", code=10, sources=(), qrv=2):
    head = struct.pack("!BBH", 0x11, code, 0) + socket.inet_aton(group) + struct.pack("!BBH", qrv, 125, len(sources))
    send("224.0.0.1" if group == "0.0.0.0" else group, head + b"".join(map(socket.inet_aton, sources)))


def old_query(code, group="0.0.0.0"):
    send("224.0.0.1" if group == "0.0.0.0" else group, struct.pack("!BBH", 0x11, code, 0) + socket.inet_aton(group))


def other_report(group):
    send(group, struct.pack("!BBH", 0x16, 0, 0) + socket.inet_aton(group), "10.99.0.9", bytes([2, 0, 0, 0, 0, 9]))


def text(frame):
    """The message of the target in a frame, or None."""
    packet = frame[14:]
    if len(packet) < 28 or packet[9] != 2 or packet[12:16] != socket.inet_aton(target):
        return None
    length = (packet[0] & 15) * 4
    data = packet[length:struct.unpack("!H", packet[2:4])[0]]
    to = socket.inet_ntoa(packet[16:20])
    assert packet[1] == 0xC0 and packet[8] == 1 and packet[20:length] == b"\x94\4\0\0", packet.hex()
    assert checksum(packet[:length]) == 0 and checksum(data) == 0, "checksum"
    assert frame[:6] == b"\1\0\x5e" + bytes([packet[17] & 127]) + packet[18:20], "link address"
    group = socket.inet_ntoa(data[4:8])
    if data[0] != 0x22:
        assert to == ("224.0.0.2" if data[0] == 0x17 else group) and len(data) == 8, to
        return f"{data[0]:#x} {group}"
    assert to == "224.0.0.22", to
    records, at = [], 8
    for _ in range(struct.unpack("!H", data[6:8])[0]):
        kind, _, count = struct.unpack("!BBH", data[at:at + 4])
        addresses = [socket.inet_ntoa(data[i:i + 4]) for i in range(at + 4, at + 8 + 4 * count, 4)]
        records.append(" ".join([RECORDS[kind], addresses[0], *sorted(addresses[1:])]))
        at += 8 + 4 * count
    assert at == len(data), "length"
    return ", ".join(sorted(records))


def hear(quiet, least):
    """Messages until none has come for so many seconds, and for so many at least."""
    heard, begin, last = set(), time.monotonic(), time.monotonic()
    while time.monotonic() - last < quiet or time.monotonic() - begin < least:
        wire.settimeout(0.05)
        try:
            frame, where = wire.recvfrom(2000)
        except TimeoutError:
            continue
        message = None if where[2] == 4 else text(frame)
        if message:
            heard.add(message)
            last = time.monotonic()
    return sorted(heard)


def option(number, name, *fields):
    def act():
        control.send(json.dumps([number, name, [ip(f) if isinstance(f, str) else f for f in fields]]).encode())
        return json.loads(control.recv(100))
    return act


STEPS = [
    ("join", option(0, ADD, G, target, 0)),
    ("join again", option(0, ADD, G, target, 0)),
    ("another joins", option(1, ADD, G, target, 0)),
    ("join a group of the link", option(0, ADD, LOCAL, target, 0)),
    ("a source", option(0, ADD_SOURCE, H, target, S)),
    ("one more source", option(0, ADD_SOURCE, H, target, T)),
    ("one blocks", option(0, BLOCK, G, target, S)),
    ("the other blocks, too", option(1, BLOCK, G, target, S)),
    ("general query", query),
    ("group query", lambda: query(G)),
    ("query for sources", lambda: query(H, 10, [S, U])),
    ("query for others' sources", lambda: query(H, 10, [U])),
    ("query for sources that are blocked", lambda: query(G, 10, [S])),
    ("query for sources of which one is blocked", lambda: query(G, 10, [S, U])),
    ("query for a group without members", lambda: query("239.9.9.9")),
    ("one unblocks", option(0, UNBLOCK, G, target, S)),
    ("include two", option(0, MSFILTER, G, target, INCLUDE, 2, S, T)),
    ("the other leaves: include", option(1, DROP, G, target, 0)),
    ("exclude one", option(0, MSFILTER, G, target, EXCLUDE, 1, U)),
    ("a source less", option(0, DROP_SOURCE, H, target, S)),
    ("the last source", option(0, DROP_SOURCE, H, target, T)),
    ("leave", option(0, DROP, G, target, 0)),
    ("closed", option(0, 0)),
    ("join two", option(0, ADD, G, target, 0)),
    ("version 2: general query", lambda: old_query(10)),
    ("version 2: query of version 3", query),
    ("version 2: group query", lambda: old_query(10, G)),
    ("version 2: join", lambda: (option(0, ADD, H, target, 0)(), old_query(10, H))[0]),
    ("version 2: a source is the whole group", option(0, BLOCK, G, target, S)),
    ("version 2: spared", lambda: (old_query(100, G), other_report(G))[1]),
    ("version 2: leave, another reported last", option(0, DROP, G, target, 0)),
    ("version 2: leave", option(0, DROP, H, target, 0)),
    ("version 1", lambda: (old_query(0), option(0, ADD, G, target, 0)())[1]),
    ("version 1: leave", option(0, DROP, G, target, 0)),
    ("all closed", lambda: [option(0, 0)(), option(1, 0)()]),
]

steps = []
for name, act in STEPS:
    answer = act()
    slow = name in ("version 1", "version 2: spared")
    steps.append([name, answer, hear(1.4, 11 if slow else 1.4)])
print(json.dumps(steps))
