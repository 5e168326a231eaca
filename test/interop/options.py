"""Sends ICMP echo requests and datagrams with IP options of all kinds to one address; prints what came back for each.

Usage: options.py INTERFACE SOURCE TARGET SECONDS (the target's link address is in the ARP table). In what is printed the two
addresses are S and T, and times in timestamp options are masked.
"""
import json
import random
import socket
import struct
import sys
import time

interface, source, target, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
S, T = socket.inet_aton(source), socket.inet_aton(target)
OTHER = bytes([198, 51, 100, 7])
ANOTHER = bytes([198, 51, 100, 8])


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def rr(slots, pointer=4, filled=()):
    body = b"".join(filled).ljust(4 * slots, b"\0")
    return bytes([7, 3 + len(body), pointer]) + body


def ts(flags, words, pointer=5, overflow=0, body=b""):
    return bytes([68, 4 + 4 * words, pointer, overflow << 4 | flags]) + body.ljust(4 * words, b"\0")


def route(kind, *hops, pointer=4):
    return bytes([kind, 3 + 4 * len(hops), pointer]) + b"".join(hops)


OPTIONS = [
    b"\1\1\1\1", b"\0\0\0\0", b"\1\0\7\7", rr(9), rr(3), rr(1), rr(0), rr(2, 8, [OTHER]), rr(2, 12, [OTHER, OTHER]), rr(2, 3), rr(2, 0),
    rr(2, 9), rr(2, 10), rr(2, 11), rr(2, 255), rr(2) + rr(2), bytes([7, 2]), bytes([7, 11]), bytes([7, 40, 4]), bytes([7]), bytes([1, 1, 1, 7]),
    ts(0, 9), ts(0, 1), ts(0, 0), ts(0, 2, 9), ts(0, 2, 13), ts(0, 2, 13, 14), ts(0, 2, 13, 15), ts(0, 2, 4), ts(0, 2, 10),
    ts(1, 4), ts(1, 8), ts(1, 1), ts(1, 4, 13), ts(1, 4, 17), ts(1, 4, 21, 3), ts(1, 4, 21, 15),
    ts(3, 4, body=T), ts(3, 4, body=OTHER), ts(3, 4, body=T + b"\0" * 4 + T), ts(3, 4, 13, body=OTHER + b"\0" * 4 + T), ts(3, 4, 21, 15),
    ts(2, 4), ts(7, 4), ts(0, 2) + ts(0, 2), bytes([68, 3, 5]), bytes([68, 6, 5, 0, 0, 0]), rr(3) + ts(0, 3), ts(1, 4) + rr(3),
    route(131, OTHER), route(137, OTHER), route(131, T), route(131, OTHER, pointer=8), route(131, OTHER) + route(131, OTHER),
    route(131, OTHER, pointer=3), bytes([131, 2]), bytes([148, 4, 0, 0]), bytes([148, 4, 0, 1]), bytes([148, 3, 0]), bytes([130, 11]) + b"\0" * 9,
    bytes([136, 4, 0, 1]), bytes([99, 4, 1, 2]), bytes([99, 1]), bytes([99, 0]), bytes([25, 4, 0, 0]) + rr(2),
]
# Routes that have come to their end are only followed where that is allowed; random ones stay away from source routes.
rng = random.Random(6)
for _ in range(150):
    text = b""
    while len(text) < 4 or (len(text) < 36 and rng.random() < 0.6):
        kind = rng.choice([0, 1, 7, 68, 68, 7, 148, 130, 222])
        length = rng.choice([0, 1, 2, 3, 4, 7, 8, 11, 12, 15, 19, 20, 23])
        rest = bytes(rng.choice([0, 4, 5, 8, 9, 12, 13, 16, rng.randrange(256)]) for _ in range(max(0, length - 2)))
        text += bytes([kind]) if kind < 2 else bytes([kind, length]) + rest
    OPTIONS.append(text[:40])


def packet(number, options, protocol, payload):
    options = options.ljust((len(options) + 3) // 4 * 4, b"\0")
    length = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | length // 4, 0, length + len(payload), number, 0, 64, protocol, 0) + S + T + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def echo(number):
    head = struct.pack("!BBHHH", 8, 0, 0, number, 1)
    return struct.pack("!BBHHH", 8, 0, checksum(head), number, 1)


def masked(options):
    text = bytearray(options)
    at = 0
    while at < len(text):
        if text[at] < 2:
            at += 1
            continue
        if at + 1 >= len(text) or text[at + 1] < 2:
            break
        kind, length = text[at], text[at + 1]
        if kind == 68 and length >= 4:
            step, first = (4, 4) if text[at + 3] & 15 == 0 else (8, 8)
            for time_at in range(at + first, at + length - 3, step):
                if text[time_at:time_at + 4] != b"\0\0\0\0" and time_at + 4 <= len(text):
                    text[time_at:time_at + 4] = b"TTTT"
        at += length
    return bytes(text).replace(S, b"SSSS").replace(T, b"DDDD").hex()


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
answers = {}


def listen():
    while True:
        try:
            packet, address = heard.recvfrom(70000)
        except BlockingIOError:
            return
        if address[2] == socket.PACKET_OUTGOING or packet[9] != 1 or packet[12:16] != T:
            continue
        head = (packet[0] & 15) * 4
        message = packet[head:]
        good = checksum(packet[:head]) == 0 and checksum(message) == 0
        if message[0] == 0:
            number, text = struct.unpack("!H", message[4:6])[0], "reply"
        else:
            number = struct.unpack("!H", message[12:14])[0]
            text = f"{message[0]}/{message[1]} pointer {message[4]}"
        answers.setdefault(number, []).append(f"{text}{'' if good else ' BAD SUM'} {masked(packet[20:head])}")


number = 0
cases = {}
for options in OPTIONS:
    for kind in ("echo", "datagram"):
        number += 1
        cases[number] = f"{options.replace(T, b'DDDD').hex()} {kind}"
        datagram = struct.pack("!HHHH", 1000, 9, 8, 0)
        body = packet(number, options, 1 if kind == "echo" else 17, echo(number) if kind == "echo" else datagram)
        out.send((link + own + b"\x08\x00" + body).ljust(60, b"\0"))
        listen()
        time.sleep(0.002)
until = time.time() + seconds
while time.time() < until:
    listen()
    time.sleep(0.01)
print(json.dumps({name: answers.get(number, []) for number, name in cases.items()}))
