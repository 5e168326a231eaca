"""Writes linux-packet.json: what Linux answers to calls on packet sockets drawn at random, what each of them sees, and what leaves.

    unshare --net python3 test/unit/packet/linux-packet.py
A TAP t0 (2) beside lo (1). Each sequence has calls with their answers; behind a call that moves frames is what came out of the TAP, as
[length, first 16 bytes], and what each socket read, as [EtherType, device, ARPHRD, kind, address, length].
"""
import fcntl
import json
import os
import random
import re
import socket
import struct
import subprocess

SEQUENCES = 60
CALLS = 30
rng = random.Random(22)
SOL_PACKET = 263
ETH_P_ALL = 3
TYPES = [0, ETH_P_ALL, ETH_P_ALL, 0x88B5, 0x0800, 0x0806]
LENGTHS = [0, 1, 13, 14, 15, 20, 60, 100, 1500, 1501, 1513, 1514, 1515, 1518, 1519, 1600]
MACS = ["020000000001", "020000000002", "ffffffffffff", "01005e000001", "333300000001"]
DEVICES = {"t0": 2, "lo": 1}
ADD, DROP, STATISTICS, AUXDATA, IGNORE_OUTGOING = 1, 2, 6, 8, 23


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def attempt(call):
    try:
        return call()
    except OSError as error:
        return -error.errno


def promiscuity():
    found = re.search(r"promiscuity (\d+)(?: +allmulti (\d+))?", run("ip", "-d", "link", "show", "t0"))
    return [int(found.group(1)), int(found.group(2) or 0)]


class Run:
    def __init__(self, tap):
        self.tap = tap
        self.socks = []

    def seen(self, tagged=False):
        lists = []
        for sock in self.socks:
            frames = []
            while True:
                try:
                    data, _, flags, (device, protocol, kind, hatype, addr) = sock.recvmsg(4096, 0)
                except OSError as error:
                    if error.errno != 11:
                        frames.append(-error.errno)
                        continue
                    break
                # A SOCK_DGRAM socket is told the type behind a tag since Linux 6.10; before it was told the tag's.
                if sock.type & 7 == socket.SOCK_DGRAM and tagged and protocol == 0:
                    protocol = 0x8100
                frames.append([protocol, DEVICES[device], hatype, kind, addr.hex(), len(data)])
            lists.append(frames)
        return lists

    def out(self):
        frames = []
        while True:
            try:
                frame = os.read(self.tap, 4096)
            except BlockingIOError:
                return frames
            frames.append([len(frame), frame[:16].hex()])

    def send(self):
        which = rng.randrange(len(self.socks))
        length = rng.choice(LENGTHS)
        head = rng.choice(MACS) + MACS[0] + rng.choice(["88b5", "0800", "0806", "8100", "0020", "05dc"]) + "1234"
        data = (bytes.fromhex(head) + bytes(1600))[:length]
        to = None
        if rng.random() < 0.8:
            to = [rng.choice([0, 3, 0x88B5, 0x0800]), rng.choice([2, 2, 2, 1, 0, 99]), rng.choice(MACS)]
        def call():
            if to is None:
                return self.socks[which].send(data)
            # Python looks devices up by name: a number that is none needs the call itself.
            return sendto(self.socks[which], data, struct.pack("=HHiHBB8s", 17, socket.htons(to[0]), to[1], 0, 0, 6, bytes.fromhex(to[2])))
        answer = attempt(call)
        return ["send", which, to, head, length, answer, self.out(), self.seen(head[24:28] == "8100" and self.socks[which].type & 7 == socket.SOCK_RAW)]

    def inject(self):
        head = rng.choice(MACS) + MACS[1] + rng.choice(["88b5", "0800", "0806", "0020"]) + "abcd"
        length = rng.choice([14, 15, 60, 300, 1514])
        os.write(self.tap, (bytes.fromhex(head) + bytes(1600))[:length])
        return ["inject", head, length, self.out(), self.seen()]

    def open(self):
        kind, protocol = rng.choice([socket.SOCK_RAW, socket.SOCK_DGRAM]), rng.choice(TYPES)
        sock = socket.socket(socket.AF_PACKET, kind, socket.htons(protocol))
        sock.setblocking(False)
        self.socks.append(sock)
        return ["socket", int(kind), protocol]

    def bind(self):
        which, protocol, device = rng.randrange(len(self.socks)), rng.choice(TYPES), rng.choice([0, 1, 2, 2, 2])
        sock = self.socks[which]
        address = struct.pack("=HHiHBB8s", 17, socket.htons(protocol), device, 0, 0, 0, bytes(8))
        answer = attempt(lambda: bind(sock, address))
        return ["bind", which, protocol, device, answer, self.seen()]

    def name(self):
        which = rng.randrange(len(self.socks))
        number, protocol, index, hatype, kind, halen, addr = struct.unpack("=HHiHBB8s", name(self.socks[which]).ljust(20, b"\0"))
        return ["name", which, [socket.ntohs(protocol), index, hatype, kind, halen, addr[:halen].hex()]]

    def member(self):
        which, option = rng.randrange(len(self.socks)), rng.choice([ADD, ADD, DROP])
        device, kind, group = rng.choice([2, 2, 2, 2, 99]), rng.choice([0, 1, 1, 2, 2, 3, 4, 9]), rng.choice(MACS[3:])
        mreq = struct.pack("iHH8s", device, kind, 6, bytes.fromhex(group))
        answer = attempt(lambda: self.socks[which].setsockopt(SOL_PACKET, option, mreq) or 0)
        return ["member", which, option, device, kind, group, answer, promiscuity()]

    def statistics(self):
        which = rng.randrange(len(self.socks))
        return ["statistics", which, list(struct.unpack("II", self.socks[which].getsockopt(SOL_PACKET, STATISTICS, 8)))]

    def option(self):
        which, option, value = rng.randrange(len(self.socks)), rng.choice([AUXDATA, IGNORE_OUTGOING]), rng.choice([0, 1, 1, 2, -1])
        answer = attempt(lambda: self.socks[which].setsockopt(SOL_PACKET, option, value) or 0)
        return ["option", which, option, value, answer, self.socks[which].getsockopt(SOL_PACKET, option)]


def sequence(tap):
    state = Run(tap)
    calls = [state.open(), state.open()]
    ways = [state.send] * 10 + [state.inject] * 5 + [state.bind] * 3 + [state.name, state.statistics, state.statistics, state.option] + [state.member] * 3
    while len(calls) < CALLS:
        calls.append(state.open() if len(state.socks) < 4 and rng.random() < 0.1 else rng.choice(ways)())
    for sock in state.socks:
        sock.close()
    calls.append(["closed", promiscuity()])
    state.out()
    return calls


# Addresses as bytes, which Python's own sockets do not take.
import ctypes
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def sendto(sock, data, address):
    return checked(libc.sendto(sock.fileno(), data, len(data), 0, address, len(address)))


def bind(sock, address):
    return checked(libc.bind(sock.fileno(), address, len(address)))


def name(sock):
    buffer, length = ctypes.create_string_buffer(20), ctypes.c_int(20)
    checked(libc.getsockname(sock.fileno(), buffer, ctypes.byref(length)))
    return buffer.raw[: length.value]


def main():
    run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    run("ip", "link", "set", "lo", "up", "mtu", "1500")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"t0", 0x0002 | 0x1000))
    run("ip", "link", "set", "t0", "address", "02:00:00:00:00:01", "up")
    lines = ",\n".join(json.dumps(sequence(tap), separators=(",", ":")) for _ in range(SEQUENCES))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "linux-packet.json"), "w") as file:
        file.write('{"kernel":%s,"sequences":[\n%s\n]}\n' % (json.dumps(os.uname().release.split("-")[0]), lines))


main()
