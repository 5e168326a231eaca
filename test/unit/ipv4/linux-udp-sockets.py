"""Writes linux-udp-sockets.json: which of several UDP sockets Linux gives a packet to, in random sequences of calls and packets.

Run as root in a network namespace of its own:
    unshare --net --mount-proc python3 test/unit/ipv4/linux-udp-sockets.py
Devices: d0 (2, 10.0.0.1/24 and 10.0.0.9/24), d1 (3, 10.1.0.1/24); 10.0.0.2 and 10.1.0.2 are this program, at the other ends, and
10.2.0.0/16 is reached by 10.1.0.2. A sequence has three to six sockets, numbered from 0. A step is [what, arguments, answer]:

  set [socket, level, name, value]    an int: 0 or the negative errno; IP_UNICAST_IF is here without its network order
  device [socket, ifindex]            SO_BINDTODEVICE, 0 for none
  join [socket, group, ifindex]       IP_ADD_MEMBERSHIP
  bind, connect [socket, address, port], no address to disconnect
  shutdown [socket, how]; close [socket], after which it is a new one
  name, peer [socket]                 [address, port], or the errno
  input [ifindex, source, port, destination, port]   who got it: the sockets, in ascending order, a "?" of the group that shares the port
                                      by SO_REUSEPORT; and the ICMP messages sent, as [ifindex, type, code]
  send [socket, address, port]        the result, and [ifindex, source, port, destination, port] of what came out
  recv [socket, flags]                by a call of its own: the count or the errno, and the original destination where it is told

A port that Linux chose is P.
"""
import json
import os
import random
import select
import socket
import struct
import subprocess

SOL_SOCKET, SOL_IP = 1, 0
REUSEADDR, BROADCAST, REUSEPORT, BINDTODEVICE, ERROR, DONTROUTE = 2, 6, 15, 25, 4, 5
RECVERR, ORIGDSTADDR, NO_PORT, ADD_MEMBERSHIP, MULTICAST_ALL, UNICAST_IF, PORT_RANGE = 11, 20, 24, 35, 49, 50, 51
DONTWAIT, PEEK = 0x40, 2
LOWEST = 32768
NAMES = {1: "lo", 2: "d0", 3: "d1"}
OWN = ["10.0.0.1", "10.0.0.9", "10.1.0.1"]
PEERS = {2: "10.0.0.2", 3: "10.1.0.2"}
GROUPS = ["239.1.1.1", "239.1.1.2"]
PORTS = [1000, 1000, 1000, 1000, 1000, 2000]
PEER_PORTS = [5000, 5000, 6000]
MARK = b"packet"
rng = random.Random(8)


def run(line):
    subprocess.run(line, shell=True, check=True)


def udp(src, sport, dst, dport):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(MARK), 7, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(dst))
    total = sum(struct.unpack("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + struct.pack("!HHHH", sport, dport, 8 + len(MARK), 0) + MARK


def answer(call, *arguments):
    try:
        result = call(*arguments)
        return 0 if result is None else result
    except OSError as error:
        return -error.errno


def swapped(value):
    return struct.unpack(">i", struct.pack("=i", value))[0]


def place(pair):
    return pair if isinstance(pair, int) else [pair[0], "P" if pair[1] >= LOWEST else pair[1]]


class Host:
    def __init__(self):
        self.ends = {}
        for index in (2, 3):
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            end.bind(("p" + NAMES[index][1], 0x0800))
            end.setblocking(False)
            self.ends[index] = end
        self.sockets = []

    def open(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        return sock

    def start(self, count):
        self.sockets = [self.open() for _ in range(count)]
        self.grouped = set()
        self.heard()

    def end(self):
        for sock in self.sockets:
            sock.close()

    def heard(self):
        out = []
        while ready := select.select(list(self.ends.values()), [], [], 0.002)[0]:
            for index, end in self.ends.items():
                if end in ready:
                    frame, (_, _, kind, *_) = end.recvfrom(2048)
                    if kind != socket.PACKET_OUTGOING and frame[23] in (1, 17):
                        out.append([index, frame[14:]])
        return out

    def act(self, what, arguments):
        return getattr(self, what)(*arguments)

    def set(self, which, level, name, value):
        if (level, name) == (SOL_SOCKET, REUSEPORT):
            (self.grouped.add if value else self.grouped.discard)(which)
        return answer(self.sockets[which].setsockopt, level, name, swapped(value) if (level, name) == (SOL_IP, UNICAST_IF) else value)

    def device(self, which, index):
        return answer(self.sockets[which].setsockopt, SOL_SOCKET, BINDTODEVICE, NAMES.get(index, "").encode() + b"\0")

    def join(self, which, group, index):
        return answer(self.sockets[which].setsockopt, SOL_IP, ADD_MEMBERSHIP, socket.inet_aton(group) + bytes(4) + struct.pack("=i", index))

    def bind(self, which, address, port):
        return answer(self.sockets[which].bind, (address, port))

    def connect(self, which, *name):
        if name:
            return answer(self.sockets[which].connect, tuple(name))
        import ctypes
        unspec = ctypes.create_string_buffer(16)
        libc = ctypes.CDLL(None, use_errno=True)
        return 0 if libc.connect(self.sockets[which].fileno(), unspec, 16) == 0 else -ctypes.get_errno()

    def shutdown(self, which, how):
        return answer(self.sockets[which].shutdown, how)

    def close(self, which):
        self.sockets[which].close()
        self.sockets[which] = self.open()
        self.grouped.discard(which)
        return 0

    def name(self, which):
        return place(answer(self.sockets[which].getsockname))

    def peer(self, which):
        return place(answer(self.sockets[which].getpeername))

    def send(self, which, *name):
        result = answer(self.sockets[which].sendto, MARK, tuple(name)) if name else answer(self.sockets[which].send, MARK)
        out = []
        for index, packet in self.heard():
            sport, dport = struct.unpack("!HH", packet[20:24])
            out.append([index, *place([socket.inet_ntoa(packet[12:16]), sport]), socket.inet_ntoa(packet[16:20]), dport])
        return [result, out]

    def recv(self, which, flags):
        got = answer(self.sockets[which].recvmsg, 100, 100, flags | DONTWAIT)
        if isinstance(got, int):
            return got
        told = [[socket.inet_ntoa(value[4:8]), struct.unpack("!H", value[2:4])[0]] for level, kind, value in got[1] if (level, kind) == (SOL_IP, ORIGDSTADDR)]
        return [len(got[0]), told]

    def input(self, index, *addresses):
        frame = b"\xff" * 6 if addresses[2].endswith("255") else bytes.fromhex("01005e010101") if addresses[2].startswith("239") else bytes([2, 0, 0, 0, 0, index - 1])
        self.ends[index].send(frame + bytes([2, 0, 0, 0, 1, index]) + b"\x08\0" + udp(*addresses))
        out, got = [], []
        for _ in range(4):
            out += [[came, packet[20], packet[21]] for came, packet in self.heard()]
            for which, sock in enumerate(self.sockets):
                while answer(sock.recv, 100) == MARK:
                    got.append("?" if which in self.grouped else which)
            if out or got:
                break
        return [sorted(got, key=str), out]


def sequence():
    """Steps of one sequence, without answers."""
    count = rng.randrange(3, 7)
    shared = rng.choice([REUSEADDR, REUSEADDR, REUSEADDR, REUSEPORT, None])
    own = OWN + ["0.0.0.0", "0.0.0.0"]
    steps = [("set", [which, SOL_SOCKET, shared, 1]) for which in range(count) if shared is not None and rng.random() < 0.95]
    for which in range(count):
        if rng.random() < 0.3:
            steps.append(("device", [which, rng.choice([2, 2, 3])]))
        if rng.random() < 0.9:
            steps.append(("bind", [which, rng.choice(own), rng.choice(PORTS)]))
        if rng.random() < 0.2:
            steps.append(("connect", [which, PEERS[rng.choice([2, 2, 3])], 5000]))
        if rng.random() < 0.4:
            steps.append(("join", [which, rng.choice(GROUPS), rng.choice([2, 2, 3])]))
    for _ in range(rng.randrange(25, 60)):
        which = rng.randrange(count)
        kind = rng.choices(
            ["bind", "connect", "device", "join", "set", "shutdown", "close", "name", "in", "send", "recv"], [12, 5, 4, 4, 5, 1, 2, 4, 20, 4, 3])[0]
        if kind == "bind":
            address = rng.choice(own + ["10.0.0.255", "239.1.1.1", "10.9.9.9", "127.0.0.1"]) if rng.random() < 0.4 else rng.choice(own)
            steps += [("bind", [which, address, rng.choice(PORTS + [0])]), ("name", [which])]
        elif kind == "connect":
            to = rng.choice([*PEERS.values(), "10.2.0.7", "239.1.1.1", "10.0.0.255", "10.0.0.1"]) if rng.random() < 0.5 else PEERS[rng.choice([2, 3])]
            steps += [("connect", [which, to, rng.choice(PEER_PORTS)] if rng.random() < 0.85 else [which]), ("name", [which]), ("peer", [which])]
        elif kind == "device":
            steps.append(("device", [which, rng.choice([0, 2, 2, 3])]))
        elif kind == "join":
            steps.append(("join", [which, rng.choice(GROUPS), rng.choice([2, 2, 3])]))
        elif kind == "set":
            level, name, values = rng.choice([
                (SOL_SOCKET, BROADCAST, [0, 1, 1]), (SOL_SOCKET, DONTROUTE, [0, 1]), (SOL_IP, RECVERR, [0, 1]), (SOL_IP, MULTICAST_ALL, [0, 1]), (SOL_IP, NO_PORT, [0, 1, 1]),
                (SOL_IP, UNICAST_IF, [0, 2, 3, 9]), (SOL_IP, PORT_RANGE, [0, 40000 << 16 | 39990, 39990 << 16 | 40000, 70000]), (SOL_IP, ORIGDSTADDR, [0, 1])])
            value = rng.choice(values)
            steps.append(("set", [which, level, name, value - (1 << 32) if value >> 31 else value]))
        elif kind == "shutdown":
            steps.append(("shutdown", [which, rng.choice([0, 1, 2])]))
        elif kind == "close":
            steps.append(("close", [which]))
        elif kind == "name":
            steps += [("name", [which]), ("peer", [which])]
        elif kind == "in":
            index = rng.choice([2, 2, 3])
            to = rng.choice([*OWN, "10.0.0.255", "255.255.255.255", *GROUPS]) if rng.random() < 0.6 else OWN[0 if index == 2 else 2]
            steps.append(("input", [index, PEERS[index], rng.choice(PEER_PORTS), to, rng.choice(PORTS)]))
        elif kind == "send":
            to = rng.choice([*PEERS.values(), "10.2.0.7", "239.1.1.1", "10.0.0.255", "255.255.255.255", "10.77.0.1"])
            steps.append(("send", [which, to, rng.choice(PEER_PORTS)] if rng.random() < 0.8 else [which]))
        else:
            steps.append(("recv", [which, rng.choice([0, PEEK])]))
    return count, steps


for line in (
    "ip link set lo up", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
    "ip link add d0 index 2 address 02:00:00:00:00:01 type veth peer name p0 index 12", "ip link add d1 index 3 address 02:00:00:00:00:02 type veth peer name p1 index 13",
    "ip link set p0 up; ip link set p1 up; ip link set d0 up; ip link set d1 up", "sysctl -qw net.ipv4.conf.p0.arp_ignore=8 net.ipv4.conf.p1.arp_ignore=8",
    "ip addr add 10.0.0.1/24 brd + dev d0; ip addr add 10.0.0.9/24 brd + dev d0; ip addr add 10.1.0.1/24 brd + dev d1",
    "ip neigh add 10.0.0.2 lladdr 02:00:00:00:01:02 dev d0; ip neigh add 10.1.0.2 lladdr 02:00:00:00:01:03 dev d1", "ip route add 10.2.0.0/16 via 10.1.0.2",
    "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=100000",
):
    run(line)
host = Host()
sequences = []
for _ in range(100):
    count, steps = sequence()
    host.start(count)
    sequences.append([count, [[what, arguments, host.act(what, arguments)] for what, arguments in steps]])
    host.end()
with open(os.path.join(os.path.dirname(__file__), "linux-udp-sockets.json"), "w") as file:
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in sequences)
    file.write('{"kernel":%s,"sequences":[\n%s\n]}\n' % (json.dumps(os.uname().release.split("-")[0]), lines))
print(sum(len(steps) for _, steps in sequences), "steps")
