"""Servers that say nonsense before, or instead of, what is right: usage liar.py OWN-ADDRESS [NAME].

Without a name DHCP, DNS and NTP servers run until they are ended. DHCP: many spoiled messages before each right one. DNS: the name badN.lan
is answered by the N-th kind of nonsense at first and rightly when it is asked for again. NTP: spoiled answers before the right one. With a
name: many spoiled mDNS messages to all, then that name is asked for and its address printed.
"""
import random
import select
import socket
import struct
import sys
import time

OWN = sys.argv[1]
TAP = b"tap0"
GIVEN = "10.0.0.50"
ANSWER = "10.0.0.77"
GROUP = "224.0.0.251"
COOKIE = bytes([0x63, 0x82, 0x53, 0x63])
# A board's socket holds a few messages only.
PACE_S = 0.015
rng = random.Random(1)


def addr(text):
    return socket.inet_aton(text)


def udp(port, broadcast=False):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if broadcast:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, TAP)
    s.bind(("" if broadcast else OWN, port))
    return s


def junk(length):
    return bytes(rng.randrange(256) for _ in range(length))


# DHCP

def option(code, data):
    return bytes([code, len(data)]) + data


RIGHT = [(54, addr(OWN)), (51, struct.pack(">I", 3600)), (1, addr("255.255.255.0")), (3, addr(OWN)), (6, addr(OWN)), (42, addr(OWN)),
         (15, b"lan")]


def dhcp(asked, kind, change=None, op=2, xid=None, yiaddr=GIVEN, cookie=COOKIE, tail=None):
    head = bytes([op, 1, 6, 0]) + (xid or asked[4:8]) + bytes(8) + addr(yiaddr) + bytes(8) + asked[28:44] + bytes(192) + cookie
    options = dict(RIGHT)
    options.update(change or {})
    body = option(53, bytes([kind])) + b"".join(option(c, d) for c, d in options.items() if d is not None)
    return head + body + (tail if tail is not None else b"\xff")


def spoiled_dhcp(asked, kind):
    right = dhcp(asked, kind)
    yield from (right[:n] for n in range(0, len(right) - 1, 17))
    yield dhcp(asked, kind, cookie=b"\0\0\0\0")
    yield dhcp(asked, kind, op=1)
    yield dhcp(asked, kind, xid=b"\1\2\3\4")
    yield dhcp(asked, kind, tail=b"\x0c")
    yield dhcp(asked, kind, tail=b"\x0c\xff1")
    yield dhcp(asked, kind, {54: None})
    yield dhcp(asked, kind, {1: addr("255.0.255.0")})
    yield dhcp(asked, kind, {51: struct.pack(">I", 0)})
    for nobody in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"):
        yield dhcp(asked, kind, yiaddr=nobody)
    yield dhcp(asked, 0)
    yield dhcp(asked, 99)
    for _ in range(5):
        yield right[:236] + COOKIE + junk(rng.randrange(40)) + b"\x0c\xff"
        yield junk(rng.randrange(1200))


# DNS

def question_of(asked):
    end = asked.index(0, 12) + 5
    return asked[12:end]


def dns(asked, answers=b"", count=None, flags=0x8180, ident=None):
    counts = struct.pack(">HHHHH", flags, 1, 1 if count is None else count, 0, 0)
    return (ident or asked[:2]) + counts + question_of(asked) + answers


def record(name, kind, data, length=None):
    return name + struct.pack(">HHIH", kind, 1, 60, len(data) if length is None else length) + data


POINTER = b"\xc0\x0c"


def right_dns(asked):
    return dns(asked, record(POINTER, 1, addr(ANSWER)))


def spoiled_dns(asked, n):
    end = 12 + len(question_of(asked))
    itself = struct.pack(">H", 0xC000 | end)
    forward = struct.pack(">H", 0xC000 | (end + 12))
    return [
        dns(asked, record(itself, 1, addr(ANSWER))),
        dns(asked, record(forward, 1, addr(ANSWER))),
        dns(asked, record(POINTER, 1, addr(ANSWER)[:3])),
        dns(asked, record(POINTER, 1, addr(ANSWER), 400)),
        dns(asked, record(POINTER, 1, addr(ANSWER)), 65535),
        dns(asked, record(POINTER, 5, itself)),
        dns(asked, record(POINTER, 5, POINTER)),
        dns(asked, record(b"\x7f" + b"x" * 127 + b"\0", 1, addr(ANSWER))),
        dns(asked, flags=0x8182),
        dns(asked, b"", 1),
        right_dns(asked)[:end + 5],
        dns(asked, junk(60), 3),
    ][n % 12]


# NTP

def ntp(asked, first=0x24, stratum=3, origin=None):
    now = time.time() + 2208988800
    stamp = struct.pack(">II", int(now), int((now % 1) * 2**32))
    return bytes([first, stratum, 0, 0xEC]) + bytes(8) + b"LIAR" + stamp + (origin or asked[40:48]) + stamp + stamp


def spoiled_ntp(asked):
    right = ntp(asked)
    yield from (right[:n] for n in range(0, 48, 5))
    yield ntp(asked, origin=bytes(8))
    yield ntp(asked, stratum=0, origin=junk(8))
    yield ntp(asked, first=0x23)
    yield ntp(asked, first=0x25, origin=junk(8))
    yield junk(48)


def serve():
    dhcpd, named, timed = udp(67, True), udp(53), udp(123)
    seen = set()
    offers = acks = 0
    while True:
        for s in select.select([dhcpd, named, timed], [], [])[0]:
            asked, who = s.recvfrom(2000)
            if s is dhcpd:
                kind = 2 if asked[asked.index(53, 240) + 2] == 1 else 5
                for message in [*spoiled_dhcp(asked, kind), dhcp(asked, kind)]:
                    s.sendto(message, ("255.255.255.255", 68))
                    time.sleep(PACE_S)
                offers, acks = offers + (kind == 2), acks + (kind == 5)
                print(f"offers {offers} acks {acks}", flush=True)
            elif s is named:
                label = asked[13:13 + asked[12]]
                for ident in (junk(2), junk(2)):
                    s.sendto(dns(asked, record(POINTER, 1, addr("6.6.6.6")), ident=ident), who)
                first = label not in seen
                seen.add(label)
                bad = first and label.startswith(b"bad")
                s.sendto(spoiled_dns(asked, int(label[3:])) if bad else right_dns(asked), who)
            else:
                for message in [*spoiled_ntp(asked), ntp(asked)]:
                    s.sendto(message, who)
                    time.sleep(PACE_S)


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def bother(name):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, addr(OWN))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    s.bind((OWN, 5353))
    host = encode(f"{name}.local")
    query = struct.pack(">HHHHHH", 0, 0, 1, 0, 0, 0) + host + struct.pack(">HH", 1, 1)
    response = struct.pack(">HHHHHH", 0, 0x8400, 0, 1, 0, 0)
    loops = [
        response + b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 120, 4) + addr("6.6.6.6"),
        response + b"\x07" + b"xxxxxxx" + b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 120, 4) + addr("6.6.6.6"),
        response + host + struct.pack(">HHIH", 1, 1, 120, 400) + addr("6.6.6.6"),
        struct.pack(">HHHHHH", 0, 0x8400, 0, 65535, 65535, 65535) + host,
        struct.pack(">HHHHHH", 0, 0, 65535, 0, 0, 0) + host,
    ]
    for n in range(200):
        messages = [query[:rng.randrange(len(query))], junk(rng.randrange(1400)), loops[n % len(loops)]]
        for message in messages:
            s.sendto(message, (GROUP, 5353))
        time.sleep(0.01)
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, addr(OWN))
    asker.settimeout(1)
    for _ in range(20):
        asker.sendto(query, (GROUP, 5353))
        try:
            answer = asker.recv(2000)
        except socket.timeout:
            continue
        # The answer stands behind the question; its name is written out or points there.
        at = 12 + len(host) + 4
        at += 2 if answer[at] >= 0xc0 else len(host)
        print(name, socket.inet_ntoa(answer[at + 10:at + 14]))
        return


if len(sys.argv) > 2:
    bother(sys.argv[2])
else:
    serve()
