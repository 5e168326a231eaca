"""Writes linux-tcp-options.json: what Linux's TCP does with IP options, those of a SYN and those of a socket.

Run as root: python3 test/unit/ipv4/linux-tcp-options.py; each case has a network namespace of its own.
The host is 10.0.0.1/24 on eth0, MTU 1500; 10.0.0.2 is this program, at the other end of a veth, and 10.9.0.0/16 is reached by
10.0.0.3, who is there, too. Neither timestamps nor SACK nor window scaling is on. A case is [name, steps], a step
[what, arguments, answer]; sockets are numbered from 0 in the order of open and accept:

  open []                                     a stream socket
  listen [socket, port], accept [socket]      0 or the negative errno
  connect [socket, address, port]             [0 or errno, segments]
  set [socket, level, name, value]            an int, or bytes as hexadecimal digits: [0 or errno, segments]
  get [socket, level, name]                   an int, or the errno
  options [socket]                            IP_OPTIONS as hexadecimal digits, or the errno
  send [socket, bytes]                        [count or errno, segments]
  close [socket]                              segments
  sysctl [name, value]
  wait [ms]                                   segments
  in [sport, dport, flags, seq, ack, options, tcp, bytes]   a segment comes from 10.0.0.2: the host's answers. `seq` counts from
                                              the peer's first number, `ack` from the host's; options are hexadecimal digits
  error [type, code, info]                    an ICMP error of 10.0.0.2 about the host's last segment: segments

A segment is [addresses, ports, flags without PSH, seq, ack, IP options, MSS, bytes]: "source>destination"; the MSS option or 0. Times in
timestamp options are masked. Another packet is "protocol type code".

What is left out: a source route that a connection gets when it has a route already, which Linux puts into its header at once and
follows when the route is looked up anew; options that come while data waits, which Linux cuts to segments when it sends it; and TCP_MAXSEG of a socket that was never connected, which options make 68 on Linux (a
header of no bytes yet).
"""
import ctypes
import errno
import json
import os
import random
import socket
import struct
import subprocess
import time

HOST, PEER = socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2")
TCP, ICMP = 6, 1
SOL_IP, SOL_TCP, OPTIONS, MAXSEG = 0, 6, 4, 2
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
PEER_ISN = 1000000
MSS = bytes([2, 4, 5, 0xB4])
rng = random.Random(9)


def run(text):
    subprocess.run(text.split(), check=True)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(protocol, payload, options=b""):
    options = options.ljust((len(options) + 3) // 4 * 4, b"\0")
    length = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | length // 4, 0, length + len(payload), 7, 0, 64, protocol, 0) + PEER + HOST + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp(sport, dport, flags, seq, ack, options, data):
    text = struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, (20 + len(options)) // 4 << 4, flags, 60000, 0, 0) + options + data
    pseudo = PEER + HOST + struct.pack("!BBH", 0, TCP, len(text))
    return text[:16] + struct.pack("!H", checksum(pseudo + text)) + text[18:]


def icmp(kind, code, rest, data):
    text = struct.pack("!BBH", kind, code, 0) + rest + data
    return text[:2] + struct.pack("!H", checksum(text)) + text[4:]


def mask_options(out):
    at = 0
    while at < len(out) - 1 and out[at] != 0:
        if out[at] == 1:
            at += 1
            continue
        size = out[at + 1]
        if size < 2:
            return
        if out[at] == 68 and size >= 4:
            step = 4 if out[at + 3] & 15 == 0 else 8
            for place in range(at + step, min(at + size, len(out)) - 3, step):
                if out[place:place + 4] != b"\0\0\0\0":
                    out[place:place + 4] = b"TTTT"
        at += size


class Host:
    def __init__(self):
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.wire.bind(("p0", 0x0800))
        self.wire.setblocking(False)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as own:
            own.bind(("eth0", 0))
            self.link = own.getsockname()[4]
        self.sockets, self.last, self.isn = [], b"", {}
        self.heard()

    def described(self, text):
        head = (text[0] & 15) * 4
        if checksum(text[:head]) != 0:
            raise ValueError(f"wrong header checksum: {text.hex()}")
        if text[9] != TCP:
            return f"{text[9]} {text[head]} {text[head + 1]}"
        sport, dport, seq, ack, offset, flags = struct.unpack("!HHIIBB", text[head:head + 14])
        if flags & SYN:
            self.isn[sport, dport] = seq
        options, data = bytearray(text[20:head]), text[head + (offset >> 4) * 4:]
        mask_options(options)
        own = text[head + 20:head + (offset >> 4) * 4]
        mss = struct.unpack("!H", own[2:4])[0] if own[:2] == b"\2\4" else 0
        name = ">".join(socket.inet_ntoa(text[at:at + 4]) for at in (12, 16))
        first = self.isn.get((sport, dport))
        own_seq = (seq - first) % 2**32 if first is not None else seq
        return [name, f"{sport}>{dport}", flags & ~PSH, own_seq, (ack - PEER_ISN) % 2**32 if flags & ACK else 0, options.hex(), mss, len(data)]

    def heard(self, seconds=0.012):
        packets, until = [], time.time() + seconds
        while time.time() < until:
            try:
                frame, address = self.wire.recvfrom(70000)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            if address[2] == socket.PACKET_OUTGOING or frame[23] == 2:
                continue
            self.last = frame[14:14 + struct.unpack("!H", frame[16:18])[0]]
            packets.append(self.described(self.last))
        return packets

    def arrive(self, text):
        self.wire.send((self.link + bytes.fromhex("02000a0000020800") + text).ljust(60, b"\0"))
        return self.heard()

    def act(self, what, a):
        try:
            return getattr(self, "do_" + what)(*a)
        except OSError as error:
            return -error.errno
        except IndexError:
            return -errno.EBADF

    def do_open(self):
        self.sockets.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.sockets[-1].setblocking(False)
        return 0

    def do_listen(self, which, port):
        self.sockets[which].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sockets[which].bind(("", port))
        self.sockets[which].listen(8)
        return 0

    def do_accept(self, which):
        self.sockets.append(self.sockets[which].accept()[0])
        self.sockets[-1].setblocking(False)
        return 0

    def do_connect(self, which, address, port):
        self.sockets[which].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sockets[which].bind(("", 5555))
        err = self.sockets[which].connect_ex((address, port))
        return [-err, self.heard()]

    def do_set(self, which, level, name, value):
        err = 0
        try:
            self.sockets[which].setsockopt(level, name, value if isinstance(value, int) else bytes.fromhex(value))
        except OSError as error:
            err = -error.errno
        return [err, self.heard()]

    def do_get(self, which, level, name):
        return struct.unpack("=i", self.sockets[which].getsockopt(level, name, 4))[0]

    def do_options(self, which):
        out = bytearray(self.sockets[which].getsockopt(SOL_IP, OPTIONS, 40))
        mask_options(out)
        return out.hex()

    def do_send(self, which, count):
        try:
            count = self.sockets[which].send(bytes(count))
        except OSError as error:
            count = -error.errno
        return [count, self.heard()]

    def do_close(self, which):
        self.sockets[which].close()
        return self.heard()

    def do_sysctl(self, name, value):
        names = [name] if not name.startswith("conf.") else [f"conf.{dev}.{name[5:]}" for dev in ("all", "eth0")]
        for one in names:
            run(f"sysctl -qw net.ipv4.{one}={value}")
        return 0

    def do_wait(self, ms):
        return self.heard(ms / 1000)

    def do_in(self, sport, dport, flags, seq, ack, options, own, count):
        ours = self.isn.get((dport, sport), 0)
        return self.arrive(packet(TCP, tcp(sport, dport, flags, PEER_ISN + seq, ours + ack if flags & ACK else 0, bytes.fromhex(own), bytes(count)), bytes.fromhex(options)))

    def do_error(self, kind, code, info):
        return self.arrive(packet(ICMP, icmp(kind, code, struct.pack("!I", info), self.last[:548])))


cases = []


def case(name, *steps):
    cases.append([name, [list(step) for step in steps]])


def seg(flags, seq, ack, options=b"", own=b"", count=0, sport=2000, dport=80):
    return ("in", [sport, dport, flags, seq, ack, options.hex(), own.hex(), count])


def rr(slots, pointer=4, body=b""):
    return bytes([7, 3 + 4 * slots, pointer]) + body.ljust(4 * slots, b"\0")


def ts(flags, words, pointer=5, overflow=0, body=b""):
    return bytes([68, 4 + 4 * words, pointer, overflow << 4 | flags]) + body.ljust(4 * words, b"\0")


def route(kind, *hops, pointer=4):
    return bytes([kind, 3 + 4 * len(hops), pointer]) + b"".join(hops)


def at(n):
    return bytes([10, 0, 0, n])


FAR = bytes([10, 9, 0, 7])
RA = bytes([148, 4, 0, 0])
SETS = [
    b"\1\1\1\1", b"\1", rr(9), rr(3), rr(2), rr(2, 8, at(9)), rr(2, 12, at(9) + at(8)), ts(0, 8), ts(0, 2), ts(0, 2, 13), ts(0, 2, 13, 15),
    ts(1, 4), ts(1, 2), ts(3, 4, body=PEER + bytes(4) + HOST), ts(3, 4, body=HOST + bytes(4) + PEER), ts(3, 4, body=at(9)), RA, RA + rr(3),
    rr(3) + ts(0, 3), ts(1, 4) + rr(3), bytes([222, 6, 1, 2, 3, 4]), bytes([130, 11]) + bytes(9), b"\1" * 37 + rr(0), b"\1" * 39 + b"\0",
]
FAULTY = [bytes([7, 2]), rr(2, 3), rr(2, 10), rr(2) + rr(2), bytes([7, 11]), ts(0, 2, 4), ts(1, 1), bytes([68, 3, 5]), bytes([131, 2]), bytes([1, 1, 7]), b"\1" * 41]


def at_random():
    text = b""
    while len(text) < 4 or (len(text) < 32 and rng.random() < 0.6):
        kind = rng.choice(["rr", "ts", "nop", "ra", "other"])
        if kind == "rr":
            slots = rng.randrange(1, 5)
            text += rr(slots, 4 + 4 * rng.randrange(slots + 2), rng.randbytes(4 * slots))
        elif kind == "ts":
            flags, slots = rng.choice([0, 1, 3, 2]), rng.randrange(1, 4)
            body = b"".join(rng.choice([HOST, PEER]) + bytes(4) for _ in range(slots)) if flags == 3 else b""
            text += ts(flags, 2 * slots, rng.choice([5, 13, 21] if flags else [5, 9, 13, 21]), body=body)
        elif kind == "nop":
            text += b"\1"
        else:
            text += RA if kind == "ra" else bytes([222, 6]) + rng.randbytes(4)
    return text[:40]


RANDOM = [text for text in dict.fromkeys(at_random() for _ in range(40)) if text not in SETS]
LISTENS = [("open", []), ("listen", [0, 80])]


def passive(options, routed=False):
    return [
        *LISTENS, seg(SYN, 0, 0, options, MSS), seg(SYN, 0, 0, options, MSS), seg(ACK, 1, 1), ("accept", [0]), ("options", [1]),
        ("get", [1, SOL_TCP, MAXSEG]), ("send", [1, 4000]), seg(ACK, 1, 4001), seg(ACK | PSH, 1, 4001, options, b"", 100),
        ("set", [1, SOL_IP, OPTIONS, ""]), ("options", [1]), ("get", [1, SOL_TCP, MAXSEG]), *([] if routed else [("send", [1, 3000])]), seg(RST, 101, 0)]


for options in SETS + RANDOM:
    case(f"a SYN with {options.hex()}", *passive(options))
for options in FAULTY[:-1]:
    case(f"a SYN with the faulty {options.hex()}", *LISTENS, seg(SYN, 0, 0, options, MSS))
routes = [route(kind, *hops, pointer=4 + 4 * len(hops)) for kind in (131, 137) for hops in ((), (at(9),), (at(9), at(8)), (PEER,), (at(9), PEER), (at(9), FAR), (FAR, at(9)))]
for options in routes:
    case(f"a SYN that came by the source route {options.hex()}", ("sysctl", ["conf.accept_source_route", 1]), *passive(options, True))
case("a SYN by a source route that is not accepted", *LISTENS, seg(SYN, 0, 0, routes[1], MSS))
case("a SYN-ACK again by time", *LISTENS, seg(SYN, 0, 0, rr(3), MSS), ("wait", [1200]), seg(ACK, 1, 1), ("accept", [0]), ("options", [1]), seg(RST, 1, 0))
case("options of the listener are its own", *LISTENS, ("set", [0, SOL_IP, OPTIONS, rr(3).hex()]), seg(SYN, 0, 0, b"", MSS), seg(ACK, 1, 1), ("accept", [0]), ("options", [1]), ("options", [0]), ("send", [1, 10]), seg(RST, 1, 0))
for options in [rr(3), ts(1, 4), RA, b"\1\1\1\1"] + RANDOM[:6]:
    case(
        f"a cookie's SYN and ACK with {options.hex()}", ("sysctl", ["tcp_syncookies", 2]), *LISTENS, seg(SYN, 0, 0, options, MSS), seg(ACK, 1, 1, options),
        ("accept", [0]), ("options", [1]), ("send", [1, 3000]), seg(RST, 1, 0))
    case(
        f"a cookie's SYN with {options.hex()}, its ACK without", ("sysctl", ["tcp_syncookies", 2]), *LISTENS, seg(SYN, 0, 0, options, MSS),
        seg(ACK, 1, 1), ("accept", [0]), ("options", [1]), seg(RST, 1, 0))
    case(
        f"fast open with {options.hex()}", ("sysctl", ["tcp_fastopen", 0x602]), *LISTENS, seg(SYN, 0, 0, options, MSS, 50), ("accept", [0]), ("options", [1]),
        ("send", [1, 2000]), seg(ACK, 51, 2001), seg(RST, 51, 0))
for options in SETS + routes[1:3] + RANDOM[:12]:
    case(
        f"answers without a socket to {options.hex()}", ("sysctl", ["conf.accept_source_route", 1]), seg(SYN, 0, 0, options, MSS), seg(ACK, 0, 5, options),
        *LISTENS, seg(ACK, 0, 5, options), seg(SYN, 0, 0, b"", MSS), seg(ACK | PSH, 70000, 1, options, b"", 9), seg(ACK, 1, 1), ("accept", [0]), ("close", [1]),
        seg(ACK | FIN, 1, 2), seg(ACK | PSH, 1, 2, options, b"", 9), seg(ACK | FIN, 1, 2, options))

BACK = dict(sport=80, dport=5555)


def opened(options, address="10.0.0.2"):
    return [("open", []), ("set", [0, SOL_IP, OPTIONS, options.hex()]), ("options", [0]), ("connect", [0, address, 80])]


def active(options, address="10.0.0.2"):
    return [
        *opened(options, address), seg(SYN | ACK, 0, 1, b"", MSS, **BACK), ("get", [0, SOL_TCP, MAXSEG]), ("send", [0, 4000]),
        seg(ACK, 1, 4001, **BACK), seg(ACK | PSH, 1, 4001, options if len(options) <= 40 and options not in FAULTY else b"", b"", 100, **BACK), ("wait", [60])]


for options in SETS + RANDOM:
    case(f"connect with {options.hex()}", *active(options), ("close", [0]), seg(RST, 101, 0, **BACK))
for options in FAULTY:
    case(f"connect with the faulty {options.hex()}", *opened(options), seg(RST | ACK, 0, 1, **BACK))
sent = [route(kind, *hops) for kind in (131, 137) for hops in ((at(9),), (PEER,), (at(9), at(8)), (PEER, at(9)), (FAR,), (FAR, at(9)))]
for options in sent:
    case(f"connect by the source route {options.hex()}", *active(options), ("close", [0]), seg(RST, 101, 0, **BACK))
    case(f"connect to no address by {options.hex()}", *opened(options, "0.0.0.0"))
for options in (route(131), route(131, at(9), pointer=8), route(137, at(9)) + rr(2)):
    case(f"connect by the odd source route {options.hex()}", *opened(options), seg(RST | ACK, 0, 1, **BACK))

# Options that come, change and go while data is on its way.
for first, second in ((b"", rr(3)), (b"", ts(0, 8)), (rr(3), b""), (rr(3), rr(9)), (rr(9), rr(1)), (b"", b"\1" * 40), (rr(9), b"\1"), (RA, bytes([7, 2]))):
    name = f"{first.hex() or 'none'}, then {second.hex() or 'none'}"
    changes = [("set", [0, SOL_IP, OPTIONS, second.hex()]), ("options", [0]), ("get", [0, SOL_TCP, MAXSEG])]
    begin = [*opened(first), seg(SYN | ACK, 0, 1, b"", MSS, **BACK)]
    case(f"{name}, with nothing on its way", *begin, *changes, ("send", [0, 3000]), seg(ACK, 1, 3001, **BACK), seg(RST, 1, 0, **BACK))
    case(
        f"{name}, with data that is lost", *begin, ("send", [0, 14000]), *changes, *[seg(ACK, 1, 1, **BACK)] * 5, seg(RST, 1, 0, **BACK))
    case(f"{name}, in SYN_SENT", *opened(first), *changes, seg(SYN | ACK, 0, 1, b"", MSS, **BACK), ("send", [0, 3000]), seg(RST, 1, 0, **BACK))
for options in (rr(3), rr(9), RA):
    case(
        f"a smaller MTU, with {options.hex()}", *opened(options), seg(SYN | ACK, 0, 1, b"", MSS, **BACK), ("send", [0, 1300]), ("error", [3, 4, 1000]),
        ("get", [0, SOL_TCP, MAXSEG]), ("send", [0, 2000]), seg(RST, 1, 0, **BACK))
    case(
        f"tcp_min_snd_mss, with {options.hex()}", *opened(options), seg(SYN | ACK, 0, 1, bytes(0), bytes([2, 4, 0, 60]), **BACK), ("get", [0, SOL_TCP, MAXSEG]),
        ("send", [0, 200]), seg(RST, 1, 0, **BACK))
    case(
        f"TCP_MAXSEG, with {options.hex()}", ("open", []), ("set", [0, SOL_TCP, MAXSEG, 1000]), ("set", [0, SOL_IP, OPTIONS, options.hex()]), ("get", [0, SOL_TCP, MAXSEG]),
        ("connect", [0, "10.0.0.2", 80]), seg(SYN | ACK, 0, 1, b"", MSS, **BACK), ("get", [0, SOL_TCP, MAXSEG]), ("send", [0, 2000]), seg(RST, 1, 0, **BACK))


def settle():
    for line in ("link set lo up", "link add eth0 gso_max_segs 1 type veth peer name p0", "link set eth0 address 02:00:0a:00:00:01 up", "link set p0 arp off up",
                 "addr add 10.0.0.1/24 dev eth0", *[f"neigh replace 10.0.0.{n} lladdr 02:00:0a:00:00:0{n} dev eth0" for n in (2, 3, 8, 9)],
                 "route add 10.9.0.0/16 via 10.0.0.3"):
        run("ip " + line)
    run("sysctl -qw " + " ".join("net.ipv4." + one for one in (
        "tcp_timestamps=0", "tcp_sack=0", "tcp_window_scaling=0", "tcp_invalid_ratelimit=0", "tcp_ecn=0", "tcp_early_retrans=0", "tcp_recovery=0", "icmp_ratelimit=0",
        "icmp_msgs_per_sec=10000", "icmp_msgs_burst=10000", "conf.all.accept_source_route=0", "conf.eth0.accept_source_route=0", "conf.all.rp_filter=0", "conf.eth0.rp_filter=0")))
    time.sleep(0.03)


def record(steps):
    """Plays a case in a network namespace of its own."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        settle()
        host = Host()
        with os.fdopen(writer, "w") as out:
            json.dump([[what, args, host.act(what, args)] for what, args in steps], out, separators=(",", ":"))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as result:
        text = result.read()
    if os.wait()[1] != 0:
        raise SystemExit("a case failed")
    return text


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "linux-tcp-options.json"), "w") as file:
    lines = ",\n".join(f"[{json.dumps(name)},{record(steps)}]" for name, steps in cases)
    file.write('{"kernel":%s,"cases":[\n%s\n]}\n' % (json.dumps(os.uname().release.split("-")[0]), lines))
print(len(cases), "cases,", sum(len(steps) for _, steps in cases), "steps")
