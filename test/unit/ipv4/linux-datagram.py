"""Writes linux-datagram.json: what Linux's UDP, raw and ping sockets, and its ICMP, do in sequences of calls and packets.

Run as root in a network namespace of its own:
    unshare --net --mount-proc python3 test/unit/ipv4/linux-datagram.py
The host is 10.0.0.1/24 on eth0 (ifindex 2), 10.0.0.2 is this program, at the other end of a veth, and 10.9.0.0/16 is reached by
10.0.0.3, who is there, too. A case is [name, steps], a step
[what, arguments, answer]:

  open [kind, protocol]                       a socket of udp, raw or ping; sockets are numbered from 0
  set [socket, level, name, value]            an int, or bytes as hexadecimal digits: 0 or the negative errno
  get [socket, level, name]                   an int, or the errno
  bind, connect [socket, address, port]       0 or the negative errno; 0 has a ping socket bound to 0x4d
  sysctl [name, value]
  wait [ms]
  in [packet]                                 comes to the host; answered by the packets that the host sends
  error [type, code, info, tos, ttl]          an ICMP error of 10.0.0.2 about what the host sent last
  send [socket, address, port, data, control] [count or errno, packets]; control messages are [level, type, words]
  recv [socket, flags, room]                  [count or errno, data, flags, address, port, control]

What is left out: errors to a sender that is a broadcast address, which Linux sends and RFC 1122 section 3.2.2 forbids; IP_PKTINFO of
ping sockets and of errors, whose local address Linux leaves to what lay there before; and a source that is none of the host's, which
is EINVAL here, as up to Linux 6.7, and ENETUNREACH there.

Packets are hexadecimal, without identification, checksum and times in timestamp options; a header checksum that is wrong is an
error here. Words of control messages are the numbers of Linux's structures, those of addresses and options in host order.
"""
import json
import os
import random
import socket
import struct
import subprocess
import time

HOST, PEER = socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2")
UDP, ICMP = 17, 1
SOL_IP, SOL_SOCKET, SOL_UDP = 0, 1, 17
TOS, TTL, HDRINCL, OPTIONS, ROUTER_ALERT, RECVOPTS, RETOPTS, PKTINFO, MTU_DISCOVER, RECVERR, RECVTTL, RECVTOS = 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13
ERRQUEUE, DONTWAIT, PEEK, TRUNC, MORE = 0x2000, 0x40, 2, 0x20, 0x8000
ADDR_PEER, ADDR_HOST = (struct.unpack(">i", a)[0] for a in (PEER, HOST))
rng = random.Random(6)


def run(text):
    subprocess.run(text.split(), check=True)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(protocol, payload, options=b"", tos=0, ttl=64, src=PEER, dst=HOST, word=0, number=7):
    options = options.ljust((len(options) + 3) // 4 * 4, b"\0")
    length = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | length // 4, tos, length + len(payload), number, word, ttl, protocol, 0) + src + dst + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(data, sport=2000, dport=1000):
    return struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data


def icmp(kind, code, rest=b"\0\0\0\0", data=b"", good=True):
    text = struct.pack("!BBH", kind, code, 0) + rest + data
    return text[:2] + struct.pack("!H", checksum(text) ^ (0 if good else 1)) + text[4:]


def masked(text, read=False):
    """Without what differs from run to run. What is read has options filled in, which its checksum does not know of."""
    out = bytearray(text)
    head = (out[0] & 15) * 4
    if not read and checksum(bytes(out[:head])) != 0:
        raise ValueError(f"wrong header checksum: {text.hex()}")
    out[4:6] = out[10:12] = b"\0\0"
    mask_options(out, 20, head)
    if out[9] == UDP and len(out) >= head + 8 and out[head + 6:head + 8] != b"\0\0":
        out[head + 6:head + 8] = b"SS"
    if out[9] == ICMP and len(out) >= head + 8:
        if checksum(bytes(text[head:])) != 0:
            raise ValueError(f"wrong ICMP checksum: {text.hex()}")
        out[head + 2:head + 4] = b"\0\0"
        if out[head] == 14:
            out[head + 12:head + 20] = b"TTTTTTTT"
        if out[head] in (3, 4, 5, 11, 12):
            mask_quoted(out, head + 8)
    return out.hex()


def mask_quoted(out, at):
    if len(out) < at + 20:
        return
    out[at + 4:at + 6] = out[at + 10:at + 12] = b"\0\0"
    head = (out[at] & 15) * 4
    mask_options(out, at + 20, min(at + head, len(out)))
    if out[at + 9] == UDP and len(out) >= at + head + 8 and out[at + head + 6:at + head + 8] != b"\0\0":
        out[at + head + 6:at + head + 8] = b"SS"


def mask_options(out, at, end):
    while at < end - 1 and out[at] != 0:
        if out[at] == 1:
            at += 1
            continue
        size = out[at + 1]
        if size < 2:
            return
        if out[at] == 68 and size >= 4:
            step, first = (4, 4) if out[at + 3] & 15 == 0 else (8, 8)
            for place in range(at + first, min(at + size, end) - 3, step):
                if out[place:place + 4] != b"\0\0\0\0":
                    out[place:place + 4] = b"TTTT"
        at += size


def words_of(level, kind, value):
    if (level, kind) == (SOL_IP, PKTINFO):
        return list(struct.unpack("=i", value[:4]) + struct.unpack(">ii", value[4:12]))
    if (level, kind) == (SOL_IP, RECVERR):
        errno, origin, sort, code, _, info, data = struct.unpack("=IBBBBII", value[:16])
        return [errno, origin, sort, code, info, data, struct.unpack(">i", value[20:24])[0] if origin == 2 else 0]
    if (level, kind) in ((SOL_IP, RECVOPTS), (SOL_IP, RETOPTS)):
        out = bytearray(value)
        mask_options(out, 0, len(out))
        return list(struct.unpack(f">{len(out) // 4}i", bytes(out)))
    return [value[0]] if len(value) == 1 else list(struct.unpack("=i", value))


def bytes_of(level, kind, words):
    if (level, kind) == (SOL_IP, PKTINFO):
        return struct.pack("=i", words[0]) + struct.pack(">ii", *words[1:])
    if (level, kind) == (SOL_IP, RETOPTS):
        return struct.pack(f">{len(words)}i", *words)
    return struct.pack(f"={len(words)}i", *words)


class Host:
    def __init__(self):
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.wire.bind(("p0", 0x0800))
        self.wire.setblocking(False)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as own:
            own.bind(("eth0", 0))
            self.link = own.getsockname()[4]
        self.sockets, self.last = [], b""
        self.heard()

    def heard(self):
        packets, until = [], time.time() + 0.012
        while time.time() < until:
            try:
                frame, address = self.wire.recvfrom(70000)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            if address[2] == socket.PACKET_OUTGOING or frame[23] == 2:
                continue
            self.last = frame[14:14 + struct.unpack("!H", frame[16:18])[0]]
            packets.append(masked(self.last))
        return packets

    def arrive(self, text):
        self.wire.send((self.link + bytes.fromhex("02000a0000020800") + text).ljust(60, b"\0"))
        return self.heard()

    def act(self, what, a):
        try:
            return getattr(self, "do_" + what)(*a)
        except OSError as error:
            return -error.errno

    def do_open(self, kind, protocol):
        sort = socket.SOCK_RAW if kind == "raw" else socket.SOCK_DGRAM
        self.sockets.append(socket.socket(socket.AF_INET, sort, protocol))
        self.sockets[-1].setblocking(False)
        return 0

    def do_set(self, which, level, name, value):
        self.sockets[which].setsockopt(level, name, value if isinstance(value, int) else bytes.fromhex(value))
        return 0

    def do_get(self, which, level, name):
        return struct.unpack("=i", self.sockets[which].getsockopt(level, name, 4))[0]

    def do_bind(self, which, address, port):
        self.sockets[which].bind((address, port))
        return 0

    def do_connect(self, which, address, port):
        self.sockets[which].connect((address, port))
        return 0

    def do_sysctl(self, name, value):
        names = [name] if not name.startswith("conf.") else [f"conf.{dev}.{name[5:]}" for dev in ("all", "eth0")]
        for one in names:
            run(f"sysctl -qw net.ipv4.{one}={value}")
        if one == "ip_forward":
            run("sysctl -qw net.ipv4.conf.p0.forwarding=0")
        return 0

    def do_wait(self, ms):
        time.sleep(ms / 1000)
        return 0

    def do_in(self, text):
        return self.arrive(bytes.fromhex(text))

    def do_error(self, kind, code, info, tos, ttl):
        return self.arrive(packet(ICMP, icmp(kind, code, struct.pack("!I", info), self.last[:548]), tos=tos, ttl=ttl))

    def do_send(self, which, address, port, data, control):
        messages = [(level, kind, bytes_of(level, kind, words)) for level, kind, words in control]
        to = (address, port) if address else None
        try:
            count = self.sockets[which].sendmsg([bytes.fromhex(data)], messages, 0, *([to] if to else []))
        except OSError as error:
            count = -error.errno
        return [count, self.heard()]

    def do_recv(self, which, flags, room):
        data, messages, out, name = self.sockets[which].recvmsg(room, 1024, flags | DONTWAIT)
        control = [[level, kind, words_of(level, kind, value)] for level, kind, value in messages]
        raw = self.sockets[which].type == socket.SOCK_RAW and not flags & ERRQUEUE
        shown = masked(data, True) if raw and len(data) == struct.unpack("!H", data[2:4])[0] else data.hex()
        return [len(data), shown, out & (TRUNC | ERRQUEUE | 8), *(name or ["", 0]), control]


cases = []


def case(name, *steps):
    cases.append([name, [list(step) for step in steps]])


def came(text):
    return ("in", [text.hex()])


ALL = [("set", [0, SOL_IP, name, 1]) for name in (PKTINFO, RECVTTL, RECVTOS, RECVOPTS, RETOPTS)]
RR, TS = bytes([7, 15, 4]) + bytes(12), bytes([68, 20, 5, 1]) + bytes(16)
RA = bytes([148, 4, 0, 0])


def options_at_random():
    text = b""
    while len(text) < 4 or (len(text) < 30 and rng.random() < 0.6):
        kind = rng.choice(["rr", "ts", "nop", "ra", "other"])
        if kind == "rr":
            slots = rng.randrange(1, 5)
            text += bytes([7, 3 + 4 * slots, 4 + 4 * rng.randrange(slots + 2)]) + rng.randbytes(4 * slots)
        elif kind == "ts":
            flags, slots = rng.choice([(0, 2), (1, 2), (3, 2), (2, 2)]), rng.randrange(1, 4)
            body = b"".join(rng.choice([HOST, PEER]) + bytes(4) for _ in range(slots)) if flags[0] == 3 else bytes(8 * slots)
            text += bytes([68, 4 + 8 * slots, rng.choice([5, 13, 21] if flags[0] else [5, 9, 13, 21]), flags[0]]) + body
        elif kind == "nop":
            text += b"\1"
        else:
            text += RA if kind == "ra" else bytes([222, 6]) + rng.randbytes(4)
    return text[:40]


# What is read of packets.
for kind, protocol, bound in (("udp", 0, ("bind", [0, "", 1000])), ("raw", 253, None), ("ping", ICMP, ("bind", [0, "", 0x4D]))):
    asked = ALL[1:] if kind == "ping" else ALL
    setup = [("open", [kind, protocol])] + ([bound] if bound else []) + asked
    body = {"udp": udp(b"hello"), "raw": b"hello", "ping": icmp(0, 0, b"\0\x4d\0\1", b"hello")}[kind]
    number = {"udp": UDP, "raw": 253, "ping": ICMP}[kind]
    steps = []
    for options in [b"", b"\1\1\1\1", RR, TS, RR + TS, RA, bytes([7, 7, 8]) + PEER, bytes([7, 3, 4]), *[options_at_random() for _ in range(40)]]:
        steps += [came(packet(number, body, options, tos=rng.choice([0, 4, 0xB8]), ttl=rng.randrange(1, 255))), ("recv", [0, 0, 100])]
    case(f"control messages of {kind}", *setup, *steps)
    case(
        f"one control message after the other of {kind}", setup[0], *([bound] if bound else []),
        *[step for _, (_, _, name, _) in asked for step in (
            ("set", [0, SOL_IP, name, 1]), ("get", [0, SOL_IP, name]), came(packet(number, body, RR)), ("recv", [0, 0, 100]),
            ("set", [0, SOL_IP, name, 0]), ("get", [0, SOL_IP, name]), came(packet(number, body, RR)), ("recv", [0, 0, 100]))])
case(
    "source routes, followed and turned round", ("sysctl", ["conf.accept_source_route", 1]), ("open", ["udp", 0]), ("bind", [0, "", 1000]), *ALL,
    *[step for kind in (131, 137) for hops in ([], [b"\x0a\0\0\x09"], [b"\x0a\0\0\x09", b"\x0a\0\0\x08"], [PEER], [b"\x0a\0\0\x09", PEER]) for step in (
        came(packet(UDP, udp(b"routed"), bytes([kind, 3 + 4 * len(hops), 4 + 4 * len(hops)]) + b"".join(hops))), ("recv", [0, 0, 100]))],
    ("sysctl", ["conf.accept_source_route", 0]), came(packet(UDP, udp(b"routed"), bytes([131, 7, 8, 10, 0, 0, 9]))), ("recv", [0, 0, 100]))

# What is sent with control messages.
sends = [[], [[SOL_IP, TTL, [7]]], [[SOL_IP, TTL, [0]]], [[SOL_IP, TTL, [256]]], [[SOL_IP, TOS, [0x10]]], [[SOL_IP, TOS, [-1]]], [[SOL_IP, TOS, [256]]],
         [[SOL_IP, PKTINFO, [2, ADDR_HOST, 0]]], [[SOL_IP, PKTINFO, [0, ADDR_HOST, 0]]], [[SOL_IP, PKTINFO, [9, 0, 0]]],
         [[SOL_IP, RECVTTL, [1]]], [[SOL_IP, RECVERR, [1]]], [[77, 1, [1]]], [[SOL_IP, TTL, [7]], [SOL_IP, TOS, [4]], [SOL_IP, PKTINFO, [2, 0, 0]]]]
retopts = [b"\1\1\1\1", RR, RR[:15] + b"\0", TS, RA, bytes([131, 7, 4, 10, 0, 0, 2, 0]), bytes([137, 11, 4, 10, 0, 0, 2, 10, 0, 0, 3, 0]), bytes([7, 2, 0, 0]),
           bytes([131, 7, 8, 10, 0, 0, 2, 0]), bytes([222, 4, 1, 2]), bytes(4), bytes([68, 12, 5, 3]) + PEER + bytes(4)]
sends += [[[SOL_IP, RETOPTS, list(struct.unpack(f">{len(text.ljust(-len(text) % 4 + len(text), bytes(1))) // 4}i", text.ljust(-len(text) % 4 + len(text), bytes(1))))]] for text in retopts]
for kind, protocol in (("udp", 0), ("raw", 253), ("ping", ICMP)):
    data = icmp(8, 0, b"\0\x4d\0\1", b"hi").hex() if kind == "ping" else b"hello".hex()
    bound = {"udp": ("bind", [0, "", 1000]), "raw": None, "ping": ("bind", [0, "", 0x4D])}[kind]
    setup = [("open", [kind, protocol])] + ([bound] if bound else [])
    port = 2000 if kind == "udp" else 0
    case(f"control messages with what {kind} sends", *setup, *[("send", [0, "10.0.0.2", port, data, control]) for control in sends])
    case(
        f"control messages with what a connected {kind} sends", *setup, ("connect", [0, "10.0.0.2", port]),
        *[("send", [0, "", 0, data, control]) for control in sends])
    case(
        f"options of {kind} and of the call", *setup, ("set", [0, SOL_IP, OPTIONS, RR.hex()]), ("send", [0, "10.0.0.2", port, data, []]),
        ("send", [0, "10.0.0.2", port, data, sends[-2]]), ("send", [0, "10.0.0.2", port, data, []]), ("set", [0, SOL_IP, OPTIONS, ""]),
        ("send", [0, "10.0.0.2", port, data, []]))
header = packet(253, b"hello", src=bytes(4), dst=PEER).hex()
case(
    "options with a header of one's own", ("open", ["raw", 253]), ("set", [0, SOL_IP, HDRINCL, 1]), ("send", [0, "10.0.0.2", 0, header, []]),
    ("send", [0, "10.0.0.2", 0, header, sends[15]]), ("set", [0, SOL_IP, OPTIONS, RR.hex()]), ("send", [0, "10.0.0.2", 0, header, []]))
case(
    "corked", ("open", ["udp", 0]), ("bind", [0, "", 1000]), ("set", [0, SOL_UDP, 1, 1]), ("get", [0, SOL_UDP, 1]),
    ("send", [0, "10.0.0.2", 2000, b"one ".hex(), []]), ("send", [0, "10.0.0.2", 2000, b"two".hex(), []]), ("set", [0, SOL_UDP, 1, 0]),
    ("send", [0, "10.0.0.2", 2000, b"three".hex(), []]))

# Errors, with what is known of the packet that brought them.
for kind, protocol in (("udp", 0), ("raw", 253), ("ping", ICMP)):
    data = icmp(8, 0, b"\0\x4d\0\1", b"hi").hex() if kind == "ping" else b"hello".hex()
    bound = {"udp": ("bind", [0, "", 1000]), "raw": None, "ping": ("bind", [0, "", 0x4D])}[kind]
    port = 2000 if kind == "udp" else 0
    setup = [("open", [kind, protocol])] + ([bound] if bound else [])
    errors = [(3, code, 0) for code in range(17) if code != 4] + [(3, 4, 1000), (11, 0, 0), (11, 1, 0), (12, 0, 20 << 24), (4, 0, 0), (5, 1, 0x0A000009)]
    case(
        f"errors to {kind} with IP_RECVERR", *setup, ("set", [0, SOL_IP, RECVERR, 1]), ("set", [0, SOL_IP, RECVTTL, 1]), ("set", [0, SOL_IP, RECVTOS, 1]),
        *[step for number, (sort, code, info) in enumerate(errors) for step in (
            ("send", [0, "10.0.0.2", port, data, []]), ("error", [sort, code, info, number * 4, 100 + number]), ("get", [0, SOL_SOCKET, 4]),
            ("recv", [0, ERRQUEUE, 100]), ("recv", [0, ERRQUEUE, 100]))])
    for connected in (False, True):
        name = f"errors to {kind}{', connected' if connected else ''}"
        case(
            name, *setup, *([("connect", [0, "10.0.0.2", port])] if connected else []),
            *[step for sort, code, info in errors for step in (
                ("send", [0, "10.0.0.2", port, data, []]), ("error", [sort, code, info, 0, 64]), ("get", [0, SOL_SOCKET, 4]),
                ("recv", [0, ERRQUEUE, 100]), ("recv", [0, 0, 100]))])
    case(
        f"errors to {kind} in a queue", *setup, ("set", [0, SOL_IP, RECVERR, 1]),
        *[step for sort, code, info in errors[:4] for step in (("send", [0, "10.0.0.2", port, data, []]), ("error", [sort, code, info, 0, 64]))],
        ("recv", [0, 0, 100]), ("recv", [0, 0, 100]), ("recv", [0, ERRQUEUE, 3]), ("recv", [0, 0, 100]), ("send", [0, "10.0.0.2", port, data, []]),
        ("send", [0, "10.0.0.2", port, data, []]), ("set", [0, SOL_IP, RECVERR, 0]), ("recv", [0, ERRQUEUE, 100]), ("get", [0, SOL_SOCKET, 4]))

# Options that are an int, of sockets that linux-options.json does not have.
for kind, protocol in (("udp", 0), ("raw", 253), ("raw", 255), ("ping", ICMP)):
    case(f"IP_ROUTER_ALERT of {kind} {protocol}", ("open", [kind, protocol]), *[("set", [0, SOL_IP, ROUTER_ALERT, value]) for value in (0, 1, 1, 2, 0, 0, 1)])
    case(
        f"options of {kind} {protocol}", ("open", [kind, protocol]),
        *[step for name in (TOS, TTL, HDRINCL, RECVOPTS, RETOPTS, PKTINFO, MTU_DISCOVER, RECVERR, RECVTTL, RECVTOS, 14, 15) for value in (-1, 0, 1, 2, 5, 6, 255, 256)
          for step in (("set", [0, SOL_IP, name, value]), ("get", [0, SOL_IP, name]))])

# ICMP.
echo = b"\1\2\0\1"
messages = [icmp(8, 0, echo, rng.randbytes(n)) for n in (0, 1, 4, 55, 1400)] + [icmp(8, code, echo, b"x") for code in (1, 255)]
messages += [icmp(13, 0, echo, rng.randbytes(n)) for n in (0, 1, 3, 4, 8, 11, 12, 13, 40)] + [icmp(13, 5, echo, bytes(12))]
messages += [icmp(kind, 0, echo, bytes(20)) for kind in (*range(20), 20, 30, 37, 38, 40, 41, 42, 43, 255) if kind not in (8, 13, 5)]
messages += [icmp(8, 0, echo, b"bad", good=False), icmp(8, 0, echo)[:7], icmp(8, 0, echo)[:4], b"\x08", b""]
case("messages", *[came(packet(ICMP, message, tos=rng.choice([0, 2, 0x10, 0xFF]))) for message in messages])
case("messages with options", *[came(packet(ICMP, message, options)) for message in messages[:12] for options in (RR, TS, RA)])
broadcast, group = b"\x0a\0\0\xff", b"\xe0\0\0\1"
asked = [icmp(8, 0, echo, b"x"), icmp(13, 0, echo, bytes(12)), icmp(17, 0, echo, bytes(4)), icmp(0, 0, echo)]
to_many = [came(packet(ICMP, message, dst=dst)) for message in asked for dst in (broadcast, b"\xff" * 4, group)]
case("messages to many", *to_many, ("sysctl", ["icmp_echo_ignore_broadcasts", 0]), *to_many, ("sysctl", ["icmp_echo_ignore_broadcasts", 1]))
case(
    "icmp_echo_ignore_all", ("sysctl", ["icmp_echo_ignore_all", 1]), *[came(packet(ICMP, message)) for message in asked],
    came(packet(ICMP, asked[0], RR)), ("sysctl", ["icmp_echo_ignore_all", 0]), came(packet(ICMP, asked[0])))
strangers = [b"\x0a\0\0\1", b"\x0a\0\0\xff", b"\xff" * 4, b"\xe0\0\0\5", bytes(4), b"\x7f\0\0\1", b"\xc6\x33\x64\7", b"\xf0\0\0\1", b"\x0a\0\0\0"]
case("from odd addresses", *[came(packet(number, text, src=src)) for src in strangers for number, text in ((ICMP, asked[0]), (UDP, udp(b"x", dport=99)), (99, b"x"))
      if src != broadcast or number == ICMP])
case(
    "what is answered with an error", *[came(packet(UDP, udp(rng.randbytes(n), dport=99), options)) for n in (0, 1, 500, 540, 549, 1400) for options in (b"", RR, TS)],
    *[came(packet(99, rng.randbytes(n))) for n in (0, 1, 600)], came(packet(99, b"x", dst=broadcast)), came(packet(UDP, udp(b"x", dport=99), dst=broadcast)),
    came(packet(UDP, udp(b"x", dport=99), dst=group)), *[came(packet(99, b"x", tos=tos)) for tos in (1, 2, 0x1C, 0xE0, 0xFF)])
bogus = [b"", b"E", b"E" + bytes(18), bytes(20), packet(UDP, b"", src=HOST, dst=PEER), packet(UDP, b"\0" * 7, src=HOST, dst=PEER), packet(UDP, udp(b""), src=HOST, dst=PEER),
         packet(UDP, udp(b""), src=HOST, dst=broadcast), packet(99, bytes(8), src=HOST, dst=PEER)]
bogus = [came(packet(ICMP, icmp(kind, code, echo, data))) for kind, code in ((3, 0), (3, 3), (3, 4), (3, 5), (3, 16), (11, 0), (11, 1), (12, 0), (4, 0)) for data in bogus]
case("bogus errors", *bogus)
told = [("send", [0, "10.0.0.255", 2000, b"all".hex(), []]), ("error", [3, 3, 0, 0, 64]), ("get", [0, SOL_SOCKET, 4]), ("recv", [0, ERRQUEUE, 100])]
case(
    "errors about a broadcast", ("open", ["udp", 0]), ("bind", [0, "", 1000]), ("set", [0, SOL_SOCKET, 6, 1]), ("set", [0, SOL_IP, RECVERR, 1]), *told,
    ("sysctl", ["icmp_ignore_bogus_error_responses", 0]), *told, ("sysctl", ["icmp_ignore_bogus_error_responses", 1]), *told)

# On the way through, back by the only device.
ACROSS = b"\x0a\x09\0\1"
forward = [("sysctl", ["ip_forward", 1]), ("sysctl", ["conf.send_redirects", 0])]


def through(number=253, body=b"across", options=b"", **more):
    return came(packet(number, body, options, dst=ACROSS, **more))


def heard_by(*sockets):
    return [("recv", [which, 0, 100]) for which in sockets for _ in range(2)]


case(
    "router alerts", *forward, through(options=RA), ("open", ["raw", 253]), through(options=RA), *heard_by(0), ("set", [0, SOL_IP, ROUTER_ALERT, 1]),
    through(options=RA), *heard_by(0), through(options=RR), through(), through(99, options=RA), through(options=RA, ttl=1), *heard_by(0),
    ("open", ["raw", 253]), ("set", [1, SOL_IP, ROUTER_ALERT, 1]), ("set", [1, SOL_SOCKET, 25, b"eth0\0".hex()]), through(options=RA), *heard_by(0, 1),
    ("set", [1, SOL_SOCKET, 25, b"lo\0".hex()]), through(options=RA), *heard_by(0, 1), through(options=RR + RA), *heard_by(0),
    ("bind", [0, "127.0.0.1", 0]), through(options=RA), *heard_by(0), ("set", [0, SOL_IP, ROUTER_ALERT, 0]), through(options=RA), *heard_by(0, 1),
    came(packet(253, b"mine", RA)), *heard_by(0, 1))
case(
    "router alerts in fragments", *forward, ("open", ["raw", 253]), ("set", [0, SOL_IP, ROUTER_ALERT, 1]), 
    came(packet(253, bytes(16), RA, dst=ACROSS, word=0x2000, number=9)), *heard_by(0), came(packet(253, b"end", RA, dst=ACROSS, word=2, number=9)), *heard_by(0),
    came(packet(253, bytes(16), dst=ACROSS, word=0x2000, number=10)), came(packet(253, b"end", RA, dst=ACROSS, word=2, number=11)))
hops = [HOST, b"\x0a\0\0\3", b"\x0a\x09\0\1", b"\x0a\0\0\2", b"\xc6\x33\x64\7", b"\xff" * 4, b"\xe0\0\0\1"]
routes = [bytes([kind, 3 + 4 * len(way), pointer]) + b"".join(way) for kind in (131, 137) for _ in range(30)
          for way in [[rng.choice(hops) for _ in range(rng.randrange(3))] + [rng.choice(hops[:5])]] for pointer in [rng.choice([4, 4, 4, 8, 12, 16, 5])]]
for allowed in (0, 1):
    case(
        f"source routes on the way through, {'accepted' if allowed else 'refused'}", *forward, ("sysctl", ["conf.accept_source_route", allowed]),
        *[came(packet(UDP, udp(b"routed", dport=9), text, dst=dst, ttl=9)) for text in routes for dst in (HOST, ACROSS)], ("sysctl", ["conf.accept_source_route", 0]))
case("options on the way through", *forward, *[through(UDP, udp(b"noted"), options_at_random(), ttl=rng.choice([1, 2, 64]), word=rng.choice([0, 0x4000])) for _ in range(120)])
own = [HOST, b"\x7f\0\0\1", b"\x7f\1\2\3"]
odd = [came(packet(number, text, src=src, dst=dst)) for src in [PEER, *own] for dst in [HOST, *own[1:], b"\x0a\0\0\xff", group] for number, text in ((ICMP, asked[0]), (UDP, udp(b"x", dport=99)))]
for name in ("accept_local", "route_localnet"):
    case(f"{name}", *odd, ("sysctl", [f"conf.{name}", 1]), *odd, ("sysctl", [f"conf.{name}", 0]), *odd)
for value in (1, 2):
    case(
        f"rp_filter {value}", ("sysctl", ["conf.rp_filter", value]), *odd, *[came(packet(ICMP, asked[0], src=src)) for src in strangers],
        *[came(packet(ICMP, asked[0], src=bytes([10, 9, 0, 7]), dst=dst)) for dst in (HOST, broadcast, group)], ("sysctl", ["conf.rp_filter", 0]))
# Each destination is owed a message each second, and six at once after silence.
for name, mask, text in (
        ("port unreachable", 0x1818, packet(UDP, udp(b"x", dport=99))), ("echo replies", 1, packet(ICMP, asked[0])), ("timestamp replies", 1 << 14, packet(ICMP, asked[1])),
        ("echo replies, without a limit", 0x1818, packet(ICMP, asked[0])), ("echo replies with options", 1, packet(ICMP, asked[0], RR))):
    case(
        f"icmp_ratelimit: {name}", ("wait", [6200]), ("sysctl", ["icmp_ratelimit", 1000]), ("sysctl", ["icmp_ratemask", mask]), *[came(text)] * 10, ("wait", [1500]),
        *[came(text)] * 4, ("wait", [1800]), *[came(text)] * 4, ("sysctl", ["icmp_ratelimit", 0]), *[came(text)] * 4, ("sysctl", ["icmp_ratemask", 0x1818]))


for line in (
    "ip link set lo up", "ip link add eth0 index 2 type veth peer name p0 index 3", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1", "ip link set p0 up",
    "ip link set eth0 up", "ip addr add 10.0.0.1/24 dev eth0", "ip neigh add 10.0.0.2 lladdr 02:00:0a:00:00:02 dev eth0 nud permanent",
    "ip neigh add 10.0.0.3 lladdr 02:00:0a:00:00:03 dev eth0 nud permanent", "ip route add 10.9.0.0/16 via 10.0.0.3",
    "sysctl -qw net.ipv4.icmp_ratelimit=0", "sysctl -qw net.ipv4.conf.all.rp_filter=0", "sysctl -qw net.ipv4.conf.eth0.rp_filter=0",
    "sysctl -qw net.ipv4.conf.all.accept_source_route=0", "sysctl -qw net.ipv4.conf.p0.arp_ignore=8",
):
    run(line)
with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
    file.write("0 0")
time.sleep(0.5)
for name, steps in cases:
    host = Host()
    for step in steps:
        step.append(host.act(*step))
    for sock in host.sockets:
        sock.close()
    run("sysctl -qw net.ipv4.ip_forward=0")
    run("ip route flush cache")
with open(os.path.join(os.path.dirname(__file__), "linux-datagram.json"), "w") as file:
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases)
    file.write('{"kernel":%s,"cases":[\n%s\n]}\n' % (json.dumps(os.uname().release.split("-")[0]), lines))
print(len(cases), "cases,", sum(len(steps) for _, steps in cases), "steps")
