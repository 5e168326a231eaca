"""What a bridge with three ports does with each of a list of frames: by which ports it comes out again.

bridge.py DEV0 DEV1 DEV2     the devices at the other end of the ports; prints {name: [port, …]} as JSON
bridge.py --flood DEV COUNT  sends COUNT frames by DEV, each from another address, every second one to an unknown receiver
"""
import json
import os
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_AUXDATA = 8
PACKET_MR_PROMISC = 1
TP_STATUS_VLAN_VALID = 0x10
TYPE = 0x88B5
AGEING_SECONDS = 20

A, B, C, D = (bytes([2, 0, 0, 0, 0x0A + i, 1]) for i in range(4))
BROADCAST = b"\xff" * 6
ZERO = bytes(6)


def link(last):
    return b"\x01\x80\xc2\x00\x00" + bytes([last])


def group(last):
    return b"\x01\x00\x5e\x01\x01" + bytes([last])


STEPS = [
    ("broadcast from A", 0, A, BROADCAST), ("unknown B from A", 0, A, B), ("B answers A", 1, B, A), ("A to B, both known", 0, A, B),
    ("C to A", 2, C, A), ("C to unknown D", 2, C, D), ("D behind the port of C, to C", 2, D, C), ("C to D, the same port", 2, C, D),
    ("A to itself", 0, A, A), ("A to D", 0, A, D), ("group from B", 1, B, group(1)), ("group from C", 2, C, group(2)),
    ("IPv6 group from C", 2, C, b"\x33\x33\x00\x00\x00\x63"),
    ("A moves to the port of C", 2, A, BROADCAST), ("B to A, moved", 1, B, A), ("A moves back by a unicast", 0, A, B),
    ("C to A, back", 2, C, A), ("A seen by port 1, to nobody known", 1, A, b"\x02\x00\x00\x00\x99\x01"), ("C to A again", 2, C, A),
    ("A home", 0, A, BROADCAST), ("from a group", 0, group(9), BROADCAST), ("from zero", 0, ZERO, B), ("from broadcast", 0, BROADCAST, B),
    ("to zero", 0, A, ZERO), *[(f"link {last:x}", 0, A, link(last)) for last in range(16)],
    ("link 10 is none", 0, A, link(16)), ("a sender only heard by link 3", 1, b"\x02\x00\x00\x00\x77\x01", link(3)),
    ("to that one", 0, A, b"\x02\x00\x00\x00\x77\x01"),
    ("after ageing: A to B", 0, A, B), ("after ageing: B to A", 1, B, A), ("after ageing: C to B", 2, C, B),
]


def open_port(device):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((device, ETH_P_ALL))
    index = socket.if_nametoindex(device)
    sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, bytes(8)))
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    return sock


def whole(sock):
    """The next frame as it was on the wire, None for one that was sent here."""
    frame, ancillary, _, address = sock.recvmsg(65536, 256)
    if address[2] == PACKET_OUTGOING:
        return None
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID:
                return frame[:12] + struct.pack("!HH", 0x8100, tci) + frame[12:]
    return frame


def came_out(socks, frame, wait):
    """The ports by which exactly this frame comes out, until nothing has come for `wait` seconds."""
    ports = []
    while True:
        ready, _, _ = select.select(socks, [], [], wait)
        if not ready:
            return sorted(ports)
        for sock in ready:
            if whole(sock) == frame:
                ports.append(socks.index(sock))


def judge(devices):
    socks = [open_port(device) for device in devices]
    answers = {}
    for number, (name, port, source, target) in enumerate(STEPS):
        if name == "after ageing: A to B":
            time.sleep(AGEING_SECONDS + 1.5)
        for kind, tag in [("", b""), (" tagged", b"\x81\x00\x20\x05"), (" with a priority", b"\x81\x00\xe0\x00")]:
            if tag and number > 15:
                continue
            frame = target + source + tag + struct.pack("!HH", TYPE, number) + name.encode() * 40
            frame = frame[: 60 + number * 20]
            socks[port].send(frame)
            answers[name + kind] = came_out(socks, frame, 0.15)
    print(json.dumps(answers))


def flood(device, count):
    sock = open_port(device)
    for number in range(count):
        source = b"\x02\x01" + os.urandom(4)
        target = BROADCAST if number % 2 == 0 else b"\x02\x02" + os.urandom(4)
        sock.send(target + source + struct.pack("!H", TYPE) + bytes(46))
        if number % 50 == 49:
            time.sleep(0.005)
    print("sent")


if sys.argv[1] == "--flood":
    flood(sys.argv[2], int(sys.argv[3]))
else:
    judge(sys.argv[1:4])
