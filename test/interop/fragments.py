"""Sends ICMP echo requests in fragments of all kinds to one address; prints for each whether a reply came, and a time exceeded.

Usage: fragments.py INTERFACE SOURCE TARGET SECONDS (the target's link address is in the ARP table)
"""
import json
import socket
import struct
import sys
import time

interface, source, target, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
MF, DF = 0x2000, 0x4000
SIZE = 64


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def message(number):
    body = bytes(range(SIZE - 8))
    head = struct.pack("!BBHHH", 8, 0, 0, number, 1)
    return struct.pack("!BBHHH", 8, 0, checksum(head + body), number, 1) + body


def fragment(number, offset, length, flags, tos=0):
    data = (message(number) + bytes(70000))[offset:offset + length]
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, tos, 20 + length, number, flags | offset >> 3, 64, 1, 0,
        socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data


# A piece that is not of the datagram but of another one of its source.
OTHER = (0, 8, 1)
ANOTHER = 9999

# name: pieces of (offset, length, more) and, where they matter, flags and TOS
CASES = {
    "in order": [(0, 24, 1), (24, 24, 1), (48, 16, 0)],
    "backwards": [(48, 16, 0), (24, 24, 1), (0, 24, 1)],
    "shuffled": [(24, 24, 1), (48, 16, 0), (0, 24, 1)],
    "eight pieces, odd ones first": [(o, 8, o != 56) for o in (8, 24, 40, 56, 0, 16, 32, 48)],
    "doubled": [(0, 24, 1), (0, 24, 1), (24, 40, 0), ],
    "doubled end": [(24, 40, 0), (24, 40, 0), (0, 24, 1)],
    "part of what was there": [(0, 32, 1), (8, 16, 1), (32, 32, 0)],
    "part of a run of two": [(0, 16, 1), (16, 16, 1), (8, 16, 1), (32, 32, 0)],
    "part of two neighbours that are no run": [(16, 16, 1), (0, 16, 1), (8, 16, 1), (32, 32, 0)],
    "overlapping the end": [(0, 24, 1), (16, 16, 1), (32, 32, 0)],
    "overlapping the begin": [(16, 16, 1), (8, 16, 1), (0, 8, 1), (32, 32, 0)],
    "around what was there": [(16, 8, 1), (8, 24, 1), (0, 8, 1), (32, 32, 0)],
    "no middle": [(0, 24, 1), (48, 16, 0)],
    "no beginning": [(24, 24, 1), (48, 16, 0)],
    "no end": [(0, 24, 1), (24, 24, 1)],
    "alone": [(0, 64, 1)],
    "two ends, the second further": [(0, 24, 1), (32, 8, 0), (32, 32, 0), (24, 8, 1)],
    "two ends, the second nearer": [(0, 24, 1), (40, 24, 0), (24, 16, 0), (24, 16, 1)],
    "more behind the end": [(0, 24, 1), (24, 40, 0), (64, 8, 1)],
    "more behind the end, end missing": [(32, 32, 0), (64, 8, 1), (0, 32, 1)],
    "an empty one": [(0, 24, 1), (24, 0, 1), (24, 40, 0)],
    "not a multiple of eight": [(0, 27, 1), (24, 40, 0)],
    "less than eight": [(0, 24, 1), (24, 7, 1), (24, 40, 0)],
    "beyond the longest": [(0, 24, 1), (65528, 16, 0)],
    "up to the longest": [(65504, 11, 0), (0, 24, 1)],
    "with DF": [(0, 24, 1, DF), (24, 40, 0, DF)],
    "marked": [(0, 24, 1, 0, 2), (24, 40, 0, 0, 3)],
    "ECN and none": [(0, 24, 1, 0, 2), (24, 40, 0, 0, 0)],
    "none and marked": [(0, 24, 1, 0, 0), (24, 40, 0, 0, 3)],
    "both kinds of capable": [(0, 24, 1, 0, 1), (24, 40, 0, 0, 2)],
    "the end again, afterwards": [(0, 24, 1), (24, 40, 0), (24, 40, 0)],
    "the begin again, afterwards": [(0, 24, 1), (24, 40, 0), (0, 24, 1)],
    "63 others between": [(0, 24, 1), *[OTHER] * 63, (24, 40, 0)],
    "64 others between": [(0, 24, 1), *[OTHER] * 64, (24, 40, 0)],
    "64 others between, and the begin again": [(0, 24, 1), *[OTHER] * 64, (24, 40, 0), (0, 24, 1)],
    "40 others twice": [(0, 16, 1), *[OTHER] * 40, (16, 16, 1), *[OTHER] * 40, (32, 32, 0)],
}

for line in open("/proc/net/arp"):
    words = line.split()
    if words[0] == target and words[5] == interface:
        link = bytes.fromhex(words[3].replace(":", ""))
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((interface, 0))
own = out.getsockname()[4]
heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
heard.bind((interface, 0x0800))
heard.setblocking(False)
replies, exceeded = {}, {}


def listen():
    while True:
        try:
            packet, address = heard.recvfrom(70000)
        except BlockingIOError:
            return
        if address[2] == socket.PACKET_OUTGOING or packet[9] != 1 or packet[12:16] != socket.inet_aton(target):
            continue
        kind = packet[20]
        if kind == 0:
            replies[struct.unpack("!H", packet[24:26])[0]] = packet[1]
        elif kind == 11:
            number = struct.unpack("!H", packet[32:34])[0]
            exceeded[number] = exceeded.get(number, 0) + 1


for number, pieces in enumerate(CASES.values(), 1):
    for piece in pieces:
        offset, length, more, *rest = piece
        flags, tos = (rest + [0, 0])[:2]
        frame = link + own + b"\x08\x00" + fragment(
            ANOTHER if piece is OTHER else number, offset, length, flags | (MF if more else 0), tos)
        out.send(frame.ljust(60, b"\0"))
        listen()
until = time.time() + seconds
while time.time() < until:
    listen()
    time.sleep(0.01)
print(json.dumps({
    name: {"reply": replies.get(number, -1), "exceeded": exceeded.get(number, 0)}
    for number, name in enumerate(CASES, 1)
}))
