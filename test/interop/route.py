"""Provokes a router: sends packets of all kinds through it, and prints what it says of each.

Usage: route.py INTERFACE SOURCE ROUTER BEYOND SECONDS SEED COUNT (the router's link address is in the ARP table): packets of every kind
       that has been thought of, and COUNT drawn at random from what a header can say
       route.py --listen INTERFACE SECONDS: prints what arrives there, by identification
"""
import hashlib
import json
import random
import socket
import struct
import sys
import time

DF, MF = 0x4000, 0x2000


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def digest(data):
    return hashlib.sha1(data).hexdigest()[:12]


def masked(options):
    text = bytearray(options)
    if text[:1] == b"\x44":
        for at in range(8 if text[3] & 15 else 4, text[1] - 3, 8 if text[3] & 15 else 4):
            if text[at:at + 4] != b"\0\0\0\0":
                text[at:at + 4] = b"TTTT"
    return bytes(text).hex()


def quoted(packet):
    """A digest of what an error quotes, without the times that the router itself has written into its options."""
    head = (packet[0] & 15) * 4
    text = masked(packet[20:head])
    return digest(packet if "54545454" not in text else packet[:10] + packet[12:20] + text.encode() + packet[head:])


def sniffer(interface):
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    heard.bind((interface, 0x0800))
    heard.setblocking(False)
    return heard


def packets(heard):
    while True:
        try:
            packet, address = heard.recvfrom(70000)
        except BlockingIOError:
            return
        if address[2] != socket.PACKET_OUTGOING:
            yield packet[:struct.unpack("!H", packet[2:4])[0]]


if sys.argv[1] == "--listen":
    heard, arrived = sniffer(sys.argv[2]), {}
    print("ready", flush=True)
    until = time.time() + float(sys.argv[3])
    while time.time() < until:
        for packet in packets(heard):
            number, word = struct.unpack("!HH", packet[4:8])
            head = (packet[0] & 15) * 4
            if packet[9] == 17 and packet[12:14] == b"\x0a\x00":
                good = "" if checksum(packet[:head]) == 0 else " BAD SUM"
                arrived.setdefault(number, []).append(
                    f"tos {packet[1]} ttl {packet[8]} length {len(packet)} word {word:x} {masked(packet[20:head])} {digest(packet[head:])}{good}")
        time.sleep(0.005)
    print(json.dumps(arrived, sort_keys=True))
    sys.exit()

interface, source, router, beyond = sys.argv[1:5]
seconds, seed, count = float(sys.argv[5]), int(sys.argv[6]), int(sys.argv[7])
cases = {}


def case(name, dst=beyond, src=source, ttl=64, tos=0, word=0, size=40, options=b"", proto=17, payload=None, fix=True, link=None, first=None):
    number = len(cases) + 1
    body = payload if payload is not None else struct.pack("!HHHH", 1000, 9, size, 0) + bytes(i & 255 for i in range(size - 8))
    options = options.ljust((len(options) + 3) // 4 * 4, b"\0")
    length = 20 + len(options)
    head = struct.pack("!BBHHHBBH", first or 0x40 | length // 4, tos, length + len(body), number, word, ttl, proto, 0)
    head += socket.inet_aton(src) + socket.inet_aton(dst) + options
    if fix:
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    cases[number] = (name, head + body, link)


def icmp(kind, code, rest=b"\0\0\0\0", data=b""):
    text = struct.pack("!BBH", kind, code, 0) + rest + data
    return text[:2] + struct.pack("!H", checksum(text)) + text[4:]


# A neighbour that is not there is given up after three seconds: this one comes first.
case("to nobody beyond", dst="10.0.1.77")
RR, TS = bytes([7, 15, 4]) + b"\0" * 12, bytes([68, 20, 5, 1]) + b"\0" * 16
for ttl in (255, 3, 2, 1, 0):
    case(f"ttl {ttl}", ttl=ttl)
for tos in (2, 0x10, 0xB8):
    case(f"tos {tos}", tos=tos)
    case(f"tos {tos} ttl 1", tos=tos, ttl=1)
for size in (980, 981, 1400, 1480):
    case(f"length {size + 20}", size=size)
    case(f"length {size + 20} with DF", size=size, word=DF)
case("a fragment, long", word=MF, size=1400)
case("a later fragment, long", word=MF | 100, size=1400)
case("the last fragment, long", word=100, size=1399)
case("a later fragment, long, with DF", word=DF | 100, size=1400)
case("a fragment with ttl 1", word=MF, size=40, ttl=1)
case("a later fragment with ttl 1", word=5, size=40, ttl=1)
case("no route", dst="198.51.100.1")
case("unreachable", dst="10.8.1.1")
case("prohibited", dst="10.8.2.1")
case("black hole", dst="10.8.3.1")
case("class E", dst="240.0.0.1")
case("ttl 1 and no route", dst="198.51.100.2", ttl=1)
case("echo request with ttl 1", proto=1, payload=icmp(8, 0, b"\0\1\0\1", b"abcdefgh"), ttl=1)
case("echo reply with ttl 1", proto=1, payload=icmp(0, 0, b"\0\1\0\1", b"abcdefgh"), ttl=1)
case("an error with ttl 1", proto=1, payload=icmp(3, 1, data=b"E" + b"\0" * 30), ttl=1)
case("a redirect with ttl 1", proto=1, payload=icmp(5, 1, data=b"E" + b"\0" * 30), ttl=1)
case("unknown ICMP with ttl 1", proto=1, payload=icmp(42, 0), ttl=1)
for src in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "10.0.0.2", "10.0.1.2", "10.0.1.1", "203.0.113.5", "10.0.0.255", "240.0.0.9"):
    case(f"from {src}", src=src)
for dst in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "224.0.0.9", "239.1.1.1", "127.0.0.1", "10.0.1.255", "10.0.1.0", "10.0.0.255"):
    case(f"to {dst}", dst=dst)
case("in a link broadcast", link=b"\xff" * 6)
case("to the router, closed port", dst=router)
case("to the router, closed port, by its other address", dst="10.0.1.2")
case("to the router, ttl 1", dst=router, ttl=1)
case("to the router, unknown protocol", dst=router, proto=99)
case("to the router, unknown protocol, long", dst=router, proto=99, size=900)
case("record route", options=RR)
case("record route, full", options=bytes([7, 7, 8, 1, 2, 3, 4]))
case("timestamps", options=TS)
case("record route and ttl 1", options=RR, ttl=1)
case("record route, length 1300", options=RR, size=1300)
case("router alert", options=bytes([148, 4, 0, 0]))
case("security", options=bytes([130, 11]) + bytes(9))
case("loose source route", dst=router, options=bytes([131, 7, 4]) + socket.inet_aton(beyond))
case("a bad option", options=bytes([7, 11, 3]) + bytes(8))
case("a bad option and ttl 1", options=bytes([7, 11, 3]) + bytes(8), ttl=1)
case("bad checksum", fix=False)
case("version 6", first=0x65)
case("header of 16 bytes", first=0x44)
case("back where it came from", dst="10.9.0.1")

draw = random.Random(seed)
sources = [source] * 6 + ["10.0.0.77", "10.0.1.1", "10.0.1.5", "203.0.113.5", "0.1.2.3", "127.0.0.1", "10.0.0.2", "240.0.0.9"]
nowhere = ["198.51.100.7", "10.8.1.9", "10.8.2.9", "0.1.2.3", "240.0.0.1"]
beyonds = [beyond] * 6 + [router, "10.0.1.2", "10.8.3.9", "127.0.0.1", "10.0.1.255"] + nowhere
kinds = [b""] * 4 + [
    RR, TS, bytes([148, 4, 0, 0]), b"\1\1\1\0", bytes([68, 12, 9, 1]) + b"\0" * 8, bytes([7, 39, 4]) + bytes(36), bytes([137, 7, 4]) + socket.inet_aton(beyond),
]
for number in range(count):
    size = draw.choice([8, 12, 100, 548, 549, 900, draw.randint(20, 1200), 1400])
    proto = draw.choice([17, 17, 17, 1, 47, 99])
    src, dst = draw.choice(sources), draw.choice(beyonds)
    if dst in nowhere and src == source:
        # Each sender hears of that five times, then once a second: these are from one each.
        src = f"10.0.0.{128 + number}"
    case(
        f"random {number}", src=src, dst=dst, ttl=draw.choice([1, 1, 2, 64, 255]), tos=draw.randint(0, 255),
        word=draw.choice([0, 0, DF, MF, MF | DF, draw.randint(1, 8000)]), size=size, options=draw.choice(kinds), proto=proto,
        payload=icmp(draw.choice([0, 3, 8, 11, 13, 40]), draw.choice([0, 1, 3]), b"\0\1\0\2", draw.randbytes(size)) if proto == 1 else None)

for line in open("/proc/net/arp"):
    words = line.split()
    if words[0] == router and words[5] == interface:
        link = bytes.fromhex(words[3].replace(":", ""))
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((interface, 0))
own = out.getsockname()[4]
heard, answers = sniffer(interface), {}


def listen():
    for packet in packets(heard):
        head = (packet[0] & 15) * 4
        if packet[9] != 1 or socket.inet_ntoa(packet[12:16]) not in (router, "10.0.1.2"):
            continue
        message = packet[head:]
        if message[0] in (3, 5, 11, 12):
            good = checksum(packet[:head]) == 0 and checksum(message) == 0
            number = struct.unpack("!H", message[12:14])[0]
            answers.setdefault(number, []).append(
                f"{message[0]}/{message[1]} {message[4:8].hex()} from {socket.inet_ntoa(packet[12:16])} tos {packet[1]} ttl {packet[8]} "
                f"{masked(packet[20:head])} quotes {len(message) - 8} {quoted(message[8:])}{'' if good else ' BAD SUM'}")


for number, (name, packet, to) in cases.items():
    out.send(((to or link) + own + b"\x08\x00" + packet).ljust(60, b"\0"))
    time.sleep(0.005)
    listen()
until = time.time() + seconds
while time.time() < until:
    listen()
    time.sleep(0.01)
print(json.dumps({f"{number} {name}": answers.get(number, []) for number, (name, _, _) in cases.items()}))
