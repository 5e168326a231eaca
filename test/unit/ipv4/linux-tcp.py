"""Writes linux-tcp.json: what Linux's TCP does with calls and segments drawn at random, step by step.

Run as root:
    python3 test/unit/ipv4/linux-tcp.py
Each sequence has a network namespace of its own, where the host is 10.0.0.1/24 on a TUN device, and this program plays 10.0.0.9 there.
A step is [action, answer, sent, poll, info, counters]:

  ["listen", backlog] ["connect"] ["accept"]   of the listener at port 80, of a socket bound to port 4000
  ["send", length, flags] ["recv", length, flags] ["shutdown", how] ["close"] ["closelistener"]
  ["set", level, name, value] ["linger", on, seconds] ["get", level, name] ["inq"] ["outq"]
  ["rx", flags, seq, ack, length, window, urgent, options]   a segment comes; numbers count from both initial ones
  ["wait", ms]

`sent` are the segments that left: [flags, seq, ack, length, urgent pointer, options]; `poll` is the mask of the listener and of the
connection, -1 where there is none; `info` are fields of TCP_INFO (INFO) that are not a time, of a closed one only that, and counters are those that the step
counted. After each step SETTLE ms pass. A sequence is played a second time, a little slower, and kept as far as both times were the
same, so what stands here does not hang on the moment; and up to a full segment with a SACK block, for which Linux makes room in
what it builds anew, and here there is none.
"""
import ctypes
import fcntl
import json
import multiprocessing
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

SEQUENCES = int(os.environ.get("SEQUENCES", "100"))
STEPS = 36
WORKERS = 16
SETTLE = 12
SEED = int(os.environ.get("SEED", "8"))
HOST, PEER = socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.9")
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
CLOSE, CLAMP = 7, 10
MASK = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x2000
ISN = 1000000
LIBC_SIOCINQ, LIBC_SIOCOUTQ, LIBC_ATMARK = 0x541B, 0x5411, 0x8905
INFO = {"state": (0, "B"), "ca_state": (1, "B"), "retransmits": (2, "B"), "probes": (3, "B"), "backoff": (4, "B"), "options": (5, "B"),
        "snd_mss": (16, "I"), "rcv_mss": (20, "I"), "unacked": (24, "I"), "sacked": (28, "I"), "lost": (32, "I"), "retrans": (36, "I"),
        "pmtu": (60, "I"), "snd_ssthresh": (76, "I"), "snd_cwnd": (80, "I"), "advmss": (84, "I"), "reordering": (88, "I"),
        "total_retrans": (100, "I"), "bytes_acked": (120, "Q"), "bytes_received": (128, "Q"), "segs_out": (136, "I"), "segs_in": (140, "I"),
        "notsent": (144, "I"), "data_segs_in": (152, "I"), "data_segs_out": (156, "I"), "delivered": (192, "I"), "delivered_ce": (196, "I"),
        "bytes_sent": (200, "Q"), "bytes_retrans": (208, "Q"), "dsack_dups": (216, "I"), "reord_seen": (220, "I"), "rcv_ooopack": (224, "I"),
        "snd_wnd": (228, "I")}
# What is no counter, and what counts how memory is accounted, or how segments lie in it.
UNCOUNTED = ("MaxConn", "RtoAlgorithm", "RtoMin", "RtoMax", "TCPHPHits", "TCPHPAcks", "TCPPureAcks", "TCPRcvCoalesce", "TCPBacklogCoalesce",
             "TcpTimeoutRehash", "TCPSackShiftFallback", "TCPSackShifted", "TCPSackMerged", "TcpDuplicateDataRehash", "TCPAckCompressed")
# A receive buffer that does not bound the window; chunks of two segments, whatever the rate; no limit of challenges.
SYSCTLS = ["tcp_congestion_control=reno", "tcp_rmem=4096 540000 15728640", "tcp_pacing_ss_ratio=1", "tcp_pacing_ca_ratio=1", "tcp_tso_rtt_log=0"]


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def signed(number):
    return (number + 0x80000000) % 0x100000000 - 0x80000000


def attempt(call):
    try:
        return call()
    except OSError as error:
        return -error.errno


def counters():
    values = {}
    for name in ("/proc/net/snmp", "/proc/net/netstat"):
        lines = open(name).read().splitlines()
        for head, numbers in zip(lines[::2], lines[1::2]):
            group = head.split(":")[0]
            if group in ("Tcp", "TcpExt"):
                for key, number in zip(head.split()[1:], numbers.split()[1:]):
                    if key not in UNCOUNTED:
                        values[key] = int(number)
    return values


class Host:
    """The kernel's side, in this process's network namespace."""

    def __init__(self, pace=1.0):
        self.pace = pace
        if ctypes.CDLL(None).unshare(0x40000000) != 0:
            raise OSError("no network namespace")
        self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.tun, 0x400454CA, struct.pack("16sH22x", b"wire0", 0x1001))
        for text in ("ip link set lo up", "ip addr add 10.0.0.1/24 dev wire0", "ip link set wire0 up"):
            subprocess.run(text.split(), check=True)
        for text in SYSCTLS:
            name, value = text.split("=")
            open(f"/proc/sys/net/ipv4/{name}", "w").write(value)
        self.listener = self.conn = None
        self.isn = 0
        self.peer_port, self.port = 5000, 80
        self.elapsed = 0
        self.tsecr = 0
        self.counted = counters()
        self.start = time.monotonic()
        # What the peer knows: the end of what it saw, and that a hole is reported.
        self.seen = 0
        self.ends = [1]
        self.sacks = False

    def read(self):
        sent = []
        end = self.start + self.elapsed / 1000 * self.pace
        while True:
            left = max(end - time.monotonic(), 0)
            if not select.select([self.tun], [], [], left)[0]:
                return sent
            packet = os.read(self.tun, 65536)
            if packet[0] >> 4 == 4 and packet[9] == 6:
                sent.append(self.parse(packet[20:]))

    def parse(self, tcp):
        sport, dport, seq, ack, word, _, _, urgent = struct.unpack("!HHIIHHHH", tcp[:20])
        header, flags = (word >> 12) * 4, word & 255
        if flags & SYN:
            self.isn = seq
            self.seen = 0
            self.ends = [1]
            self.port, self.peer_port = sport, dport
        relative = 0 if flags & RST and not flags & ACK and seq == 0 else signed(seq - self.isn)
        length = len(tcp) - header
        self.seen = max(self.seen, relative + length + (flags & SYN) // 2 + (flags & FIN)) if not flags & RST else self.seen
        self.ends = sorted({*self.ends[-11:], self.seen})
        options = self.options(tcp[20:header])
        self.sacks = "sack " in options
        return [flags, relative, signed(ack - ISN) if flags & ACK else ack, length, urgent if flags & URG else 0, options]

    def options(self, data):
        text = []
        while data:
            kind = data[0]
            if kind == 0:
                break
            size = 1 if kind == 1 else data[1]
            if kind == 2:
                text.append("mss %d" % struct.unpack("!H", data[2:4]))
            elif kind == 3:
                text.append("wscale")
            elif kind == 4:
                text.append("sackOK")
            elif kind == 5:
                edges = [signed(edge - ISN) for edge in struct.unpack("!%dI" % ((size - 2) // 4), data[2:size])]
                text.append("sack " + " ".join(f"{a}:{b}" for a, b in zip(edges[::2], edges[1::2])))
            elif kind == 8:
                self.tsecr = struct.unpack("!I", data[2:6])[0]
                text.append("TS")
            elif kind != 1:
                text.append(f"<{kind}>")
            data = data[size:]
        return ",".join(text)

    def segment(self, flags, seq, ack, length, window, urgent, options):
        data = b""
        for option in options:
            if option[0] == "mss":
                data += struct.pack("!BBH", 2, 4, option[1])
            elif option[0] == "wscale":
                data += struct.pack("!BBBB", 1, 3, 3, option[1])
            elif option[0] == "sackOK":
                data += b"\1\1\4\2"
            elif option[0] == "TS":
                data += struct.pack("!BBBBII", 1, 1, 8, 10, (100000 + self.elapsed + option[1]) & 0xFFFFFFFF, self.tsecr)
            else:
                edges = [(edge + self.isn) & 0xFFFFFFFF for edge in option[1:]]
                data += struct.pack("!BBBB%dI" % len(edges), 1, 1, 5, 2 + 4 * len(edges), *edges)
        header = 20 + len(data)
        tcp = struct.pack("!HHIIHHHH", self.peer_port, self.port, (ISN + seq) & 0xFFFFFFFF, (self.isn + ack) & 0xFFFFFFFF if flags & ACK else 0,
                          header << 10 | flags, window, 0, urgent) + data + bytes((seq + i) & 255 for i in range(length))
        pseudo = PEER + HOST + struct.pack("!HH", 6, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0, 64, 6, 0) + PEER + HOST
        os.write(self.tun, head[:10] + struct.pack("!H", checksum(head)) + head[12:] + tcp)
        return 0

    def act(self, action):
        name, *rest = action
        conn = self.conn
        if name == "wait":
            return 0
        if name == "rx":
            return self.segment(*rest)
        if name == "listen":
            self.listener = socket.socket()
            self.listener.setblocking(False)
            self.listener.setsockopt(6, CLAMP, 65535)
            self.listener.bind(("10.0.0.1", 80))
            return attempt(lambda: self.listener.listen(rest[0]) or 0)
        if name == "connect":
            if conn is None:
                self.conn = conn = socket.socket()
                conn.setblocking(False)
                conn.setsockopt(6, CLAMP, 65535)
                conn.bind(("10.0.0.1", 4000))
                self.port, self.peer_port = 4000, 5000
            return attempt(lambda: conn.connect(("10.0.0.9", 5000)) or 0)
        if name == "accept":
            def accept():
                self.conn = self.listener.accept()[0]
                self.conn.setblocking(False)
                return 0
            return attempt(accept)
        if name == "closelistener":
            self.listener.close()
            self.listener = None
            return 0
        if name == "send":
            return attempt(lambda: conn.send(bytes(rest[0]), rest[1] | socket.MSG_NOSIGNAL))
        if name == "recv":
            return attempt(lambda: len(conn.recvmsg(rest[0], 0, rest[1])[0]))
        if name == "shutdown":
            return attempt(lambda: conn.shutdown(rest[0]) or 0)
        if name == "close":
            self.conn = None
            return attempt(lambda: conn.close() or 0)
        if name == "set":
            return attempt(lambda: conn.setsockopt(*rest) or 0)
        if name == "linger":
            return attempt(lambda: conn.setsockopt(1, 13, struct.pack("ii", *rest)) or 0)
        if name == "get":
            return attempt(lambda: conn.getsockopt(*rest))
        number = {"inq": LIBC_SIOCINQ, "outq": LIBC_SIOCOUTQ, "atmark": LIBC_ATMARK}[name]
        return attempt(lambda: struct.unpack("i", fcntl.ioctl(conn.fileno(), number, b"\0\0\0\0"))[0])

    def poll(self, sock):
        if sock is None:
            return -1
        poller = select.poll()
        poller.register(sock, MASK)
        found = poller.poll(0)
        return found[0][1] & MASK if found else 0

    def info(self):
        if self.conn is None:
            return []
        data = self.conn.getsockopt(6, 11, 280)
        if data[0] == CLOSE:
            return [CLOSE]
        return [struct.unpack_from("=" + kind, data, at)[0] for at, kind in INFO.values()]

    def tidy(self, sent):
        """Leaves out what hangs on how much Linux sends in one piece: PSH of all but the last segment and
        of urgent ones, blocks behind the first."""
        last = max((i for i, one in enumerate(sent) if one[3]), default=-1)
        return [[flags & ~PSH if length and (i != last or flags & URG) else flags, seq, ack, length, urgent, options.split(" ")[0] + " " + options.split(" ")[1]
                 if length and "sack " in options else options] for i, (flags, seq, ack, length, urgent, options) in enumerate(sent)]

    def step(self, action):
        answer = self.act(action)
        self.elapsed += SETTLE + (action[1] if action[0] == "wait" else 0)
        sent = self.read()
        now = counters()
        counted = {name: value - self.counted[name] for name, value in now.items() if value != self.counted[name]}
        row = [action, answer, self.tidy(sent), [self.poll(self.listener), self.poll(self.conn)], self.info(), counted]
        self.counted = now
        return row


class Drawer:
    """Draws the next action by what the peer has seen."""

    def __init__(self, rng, host):
        self.rng, self.host = rng, host
        self.next = 1
        self.syn = self.rng.choice([[], ["mss"], ["mss", "sackOK"], ["mss", "TS"], ["mss", "sackOK", "TS", "wscale"], ["mss", "sackOK", "TS", "wscale"]])
        self.timestamps = "TS" in self.syn

    def options(self, syn=False):
        made = []
        if syn:
            for name in self.syn:
                made.append({"mss": ["mss", self.rng.choice([1460, 1460, 536, 1000])], "wscale": ["wscale", 4], "sackOK": ["sackOK"], "TS": ["TS", 0]}[name])
        elif self.timestamps and self.rng.random() < 0.95:
            made.append(["TS", self.rng.choice([0] * 30 + [-100000, 5])])
        return made

    def window(self):
        return self.rng.choice([65535] * 4 + [20000, 3000, 500, 0])

    def plain(self):
        """A segment that an honest peer could send."""
        rng, host = self.rng, self.host
        length = rng.choice([0, 0, 1, 10, 100, 1000, 1000, 1448])
        flags = ACK | (PSH if rng.random() < 0.3 else 0) | (FIN if rng.random() < 0.06 and length <= 100 else 0)
        ack = host.seen if rng.random() < 0.7 else rng.choice(host.ends)
        action = ["rx", flags, self.next, ack, length, self.window(), 0, self.options()]
        lost = rng.random() < 0.15
        if lost and length:
            action[2] += rng.choice([length, 1000])
        else:
            self.next += length + (flags & FIN)
        return action

    def sack(self):
        """Duplicate acknowledgment with a block or two."""
        rng, host = self.rng, self.host
        # At the ends of segments: Linux counts by what it sent as one.
        una = rng.choice(host.ends[-4:])
        options = self.options()
        edges = sorted(rng.choice(host.ends) + (rng.random() < 0.05) for _ in range(2))
        if edges[0] < edges[1]:
            options.append(["sack", *edges])
        return ["rx", ACK, self.next, una, 0, 65535, 0, options]

    def odd(self):
        rng, host = self.rng, self.host
        flags = rng.choice([0, ACK, ACK, RST, RST | ACK, SYN, SYN | ACK, FIN, FIN | ACK, ACK | PSH, ACK | URG, ACK | URG, SYN | FIN, ACK | FIN | PSH | URG, ACK | ECE, ACK | CWR])
        seq = self.next + rng.choice([0, 0, 0, 1, -1, 10, -10, 1000, -500, 50000000, -100000])
        ack = host.seen + rng.choice([0, 0, 0, 1, -1, 100, -100, 100000, -100000])
        length = rng.choice([0, 0, 0, 1, 100, 100 if flags & FIN else 1000])
        urgent = rng.choice([1, 1, 5, 0]) if flags & URG else 0
        if flags & (SYN | RST) == 0 and seq == self.next:
            self.next += length + (flags & FIN)
        return ["rx", flags, seq, ack, length, self.window(), urgent, self.options(bool(flags & SYN))]

    def call(self):
        rng = self.rng
        if self.host.sacks and self.rng.random() < 0.4:
            # Linux makes room for the blocks in each segment that it builds; here a full one has none.
            return ["send", rng.choice([1, 10, 100]), 0]
        way = rng.random()
        if way < 0.4 and not self.host.sacks:
            return ["send", rng.choice([1, 10, 100, 100, 1000, 1460, 3000, 5000, 0]), rng.choice([0] * 8 + [1, 0x8000])]
        if way < 0.66:
            return ["recv", rng.choice([1, 10, 100, 1000, 5000, 0]), rng.choice([0] * 6 + [1, 2, 0x20, 0x40])]
        if way < 0.72:
            return ["shutdown", rng.choice([0, 1, 1, 2])]
        if way < 0.76:
            return ["close"]
        if way < 0.80:
            return ["connect"]
        if way < 0.9:
            return ["set", *rng.choice([(6, 1, 1), (6, 1, 0), (6, 3, 1), (6, 3, 0), (6, 12, 1), (6, 12, 0), (1, 10, 1), (1, 18, 500), (6, 25, 100), (1, 9, 1),
                                        (6, 4, 1), (6, 8, 2), (6, 18, 700), (6, 2, 600)])]
        if way < 0.92:
            return ["linger", rng.choice([0, 1, 1]), 0]
        if way < 0.96:
            return [rng.choice(["inq", "outq", "atmark"])]
        return ["get", *rng.choice([(1, 4), (6, 2), (6, 12), (6, 1), (1, 30)])]

    def draw(self):
        rng, host = self.rng, self.host
        if rng.random() < 0.2:
            return ["wait", rng.choice([60, 60, 250, 700, 2000])]
        if host.conn is None and host.listener is not None and rng.random() < 0.15:
            return ["accept"]
        if host.listener is not None and rng.random() < 0.01:
            return ["closelistener"]
        if host.conn is not None and rng.random() < 0.5:
            return self.call()
        way = rng.random()
        return self.plain() if way < 0.6 else self.sack() if way < 0.7 and self.host.seen > 1 else self.odd()

    def open(self):
        """The first actions: a connection, most of the time."""
        rng, host = self.rng, self.host
        syn = lambda flags, ack: ["rx", flags, 0, ack, 0, 65535, 0, self.options(True)]
        if rng.random() < 0.5:
            yield ["listen", rng.choice([0, 1, 5])]
            yield syn(SYN, 0)
            if rng.random() < 0.9:
                yield ["rx", ACK, 1, 1, 0, 65535, 0, self.options()]
            yield ["accept"]
        else:
            yield ["connect"]
            if rng.random() < 0.9:
                yield syn(SYN | ACK, 1)


def perform(seed):
    """A sequence, drawn as it goes."""
    host = Host()
    drawer = Drawer(random.Random(seed), host)
    rows = [host.step(action) for action in drawer.open()]
    while len(rows) < STEPS:
        rows.append(host.step(drawer.draw()))
    return rows


def again(rows):
    """Plays a sequence once more. @returns as much of it as went the same way"""
    host = Host(1.05)
    for at, row in enumerate(rows):
        if json.dumps(host.step(row[0])) != json.dumps(row) or any("sack" in one[5] and one[3] > 100 for one in row[2]):
            return rows[:at]
    return rows


def main():
    context = multiprocessing.get_context("fork")
    with context.Pool(WORKERS, maxtasksperchild=1) as pool:
        kept = pool.map(perform, range(SEED * 10000, SEED * 10000 + SEQUENCES), 1)
        kept = pool.map(again, kept, 1)
    print(len(kept), "sequences,", sum(map(len, kept)), "steps of", SEQUENCES * STEPS, file=sys.stderr)
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "linux-tcp.json")
    with open(path, "w") as file:
        lines = ",\n".join(json.dumps(rows, separators=(",", ":")) for rows in kept)
        head = {"kernel": os.uname().release.split("-")[0], "info": list(INFO), "uncounted": UNCOUNTED}
        file.write(json.dumps(head)[:-1] + ',"sequences":[\n%s\n]}\n' % lines)


if __name__ == "__main__":
    main()
