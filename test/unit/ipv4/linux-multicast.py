"""Writes linux-multicast.json: what Linux answers to sequences of multicast options, and the memberships they leave.

Run as root in a network namespace of its own:
    unshare --net --mount-proc python3 test/unit/ipv4/linux-multicast.py
Devices: lo (1) and eth0 (2, a veth, 10.0.0.1/24). Each sequence has three sockets: 0 and 1 of UDP, 2 of TCP. A call is
[socket, option, numbers, answer]: setting, or with a negative option reading that option, its answer then the numbers read; option
25 is SO_BINDTODEVICE. Numbers are the fields of Linux's structure in order, addresses in host order, signed. Behind the calls:
/proc/net/igmp as [ifindex, group, users] and /proc/net/mcfilter as [ifindex, group, source, include, exclude], sorted.
"""
import json
import os
import random
import socket
import struct
import subprocess

SOL_IP = 0
IF, TTL, LOOP, ADD, DROP, UNBLOCK, BLOCK, ADDS, DROPS, MSFILTER, ALL = 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 49
JOIN, MBLOCK, MUNBLOCK, LEAVE, JOINS, LEAVES, MCAST_MSFILTER = range(42, 49)
BINDTODEVICE = 25


def ip(text):
    return struct.unpack(">i", socket.inet_aton(text))[0]


GROUPS = [ip(a) for a in ("239.1.1.1", "239.1.1.1", "239.1.1.1", "239.1.1.2", "224.0.0.1", "10.0.0.9")]
ADDRESSES = [ip(a) for a in ("10.0.0.1", "10.0.0.1", "10.0.0.1", "127.0.0.1", "10.9.9.9", "0.0.0.0")]
INDEXES = [2, 2, 2, 1, 0, 9]
SOURCES = [ip(a) for a in ("10.0.0.7", "10.0.0.8", "10.0.0.9", "10.0.0.10")]
OTHER = ip("239.9.9.9")
NUMBERS = [-2, -1, 0, 1, 2, 64, 255, 256]
rng = random.Random(6)


def addr(number):
    return struct.pack(">i", number)


def storage(number):
    return struct.pack("=HH", socket.AF_INET, 0) + addr(number) + bytes(120)


def pack(option, n):
    if option in (TTL, LOOP, ALL):
        return struct.pack("=i", n[0])
    if option in (JOIN, LEAVE):
        return struct.pack("=I4x", n[0]) + storage(n[1])
    if option in (MBLOCK, MUNBLOCK, JOINS, LEAVES):
        return struct.pack("=I4x", n[0]) + storage(n[1]) + storage(n[2])
    if option == MCAST_MSFILTER:
        return struct.pack("=I4x", n[0]) + storage(n[1]) + struct.pack("=II", n[2], n[3]) + b"".join(map(storage, n[4:]))
    if option == MSFILTER:
        return addr(n[0]) + addr(n[1]) + struct.pack("=II", n[2], n[3]) + b"".join(map(addr, n[4:]))
    if option in (ADDS, DROPS, BLOCK, UNBLOCK):
        return b"".join(map(addr, n))
    return b"".join(map(addr, n[:2])) + b"".join(struct.pack("=i", x) for x in n[2:])


def setting(sock, option, n):
    try:
        if option == BINDTODEVICE:
            sock.setsockopt(socket.SOL_SOCKET, option, b"eth0\0" if n[0] else b"\0")
        else:
            sock.setsockopt(SOL_IP, option, pack(option, n))
        return 0
    except OSError as error:
        return -error.errno


def reading(sock, option, n):
    libc_buffer = pack(option, n) if option == MSFILTER else b""
    try:
        if option != MSFILTER:
            return list(struct.unpack(">i" if option == IF else "=i", sock.getsockopt(SOL_IP, option, 4)))
        import ctypes
        buffer = ctypes.create_string_buffer(libc_buffer, len(libc_buffer))
        size = ctypes.c_uint32(len(libc_buffer))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.getsockopt(sock.fileno(), SOL_IP, option, buffer, ctypes.byref(size)) < 0:
            return -ctypes.get_errno()
        raw = buffer.raw[:size.value]
        mode, count = struct.unpack("=II", raw[8:16])
        return [*struct.unpack(">ii", raw[:8]), mode, count, *struct.unpack(">%di" % ((len(raw) - 16) // 4), raw[16:])]
    except OSError as error:
        return -error.errno


def fields(option):
    group, address, index, source = (rng.choice(x) for x in (GROUPS, ADDRESSES, INDEXES, SOURCES))
    sources = [rng.choice(SOURCES) for _ in range(rng.randrange(5))]
    sources = sources if rng.random() < 0.2 else sorted(set(sources))
    count = len(sources) if rng.random() < 0.9 else rng.randrange(6)
    if option in (TTL, LOOP, ALL, BINDTODEVICE):
        return [rng.choice(NUMBERS) if option != BINDTODEVICE else rng.randrange(2)]
    if option == ADD and index != 0 and address == ip("10.9.9.9"):
        # Left by that address Linux forgets the membership and keeps the group.
        address = 0
    if option in (ADD, DROP, IF):
        return [group, address, index][:rng.choice((2, 3, 3))] if option != IF or rng.random() < 0.8 else [address]
    if option in (ADDS, DROPS, BLOCK, UNBLOCK):
        return [group, address, source]
    if option in (JOIN, LEAVE):
        return [index, group]
    if option in (MBLOCK, MUNBLOCK, JOINS, LEAVES):
        return [index, group, source]
    return [*((group, address) if option == MSFILTER else (index, group)), rng.choice((0, 0, 1, 1, 2)), count, *sources]


def table(path, parse):
    with open(path) as file:
        return sorted(parse(file.read().splitlines()[1:]))


def memberships(lines):
    index = 0
    for line in lines:
        if not line.startswith("\t"):
            index = int(line.split()[0])
        elif index <= 2:
            group, users = line.split()[:2]
            yield [index, struct.unpack("<i", bytes.fromhex(group)[:4])[0], int(users)]


def filters(lines):
    for line in lines:
        index, _, group, source, include, exclude = line.split()
        signed = [struct.unpack(">i", bytes.fromhex(x[2:]))[0] for x in (group, source)]
        yield [int(index), *signed, int(include), int(exclude)]


def sequence():
    socks = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_STREAM)]
    calls = []
    for _ in range(40):
        which = rng.choice((0, 0, 0, 1, 1, 2))
        option = rng.choice([ADD, ADD, DROP, ADDS, ADDS, ADDS, DROPS, BLOCK, BLOCK, UNBLOCK, MSFILTER, MSFILTER, JOIN, LEAVE, MBLOCK,
                             MUNBLOCK, JOINS, LEAVES, MCAST_MSFILTER, IF, TTL, LOOP, ALL, BINDTODEVICE, -MSFILTER, -MSFILTER, -IF, -TTL,
                             -LOOP, -ALL])
        if option >= 0:
            n = fields(option)
            calls.append([which, option, n, setting(socks[which], option, n)])
        else:
            n = [rng.choice(GROUPS), rng.choice(ADDRESSES), 0, rng.randrange(5)] + [0] * 4 if option == -MSFILTER else []
            n = n[:4 + n[3]] if n else n
            calls.append([which, option, n, reading(socks[which], -option, n)])
    # Linux lists no filters at all while the newest group of the first device has none.
    newest = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    newest.setsockopt(SOL_IP, ADDS, b"".join(map(addr, (OTHER, ip("127.0.0.1"), SOURCES[0]))))
    state = [[row for row in table(f"/proc/net/{name}", parse) if row[1] != OTHER]
             for name, parse in (("igmp", memberships), ("mcfilter", filters))]
    for sock in [*socks, newest]:
        sock.close()
    return [calls, *state]


for command in ("ip link set lo up", "ip link add eth0 index 2 type veth peer name eth1 index 3", "ip addr add 10.0.0.1/24 dev eth0", "ip link set eth0 up",
                "sysctl -qw net.ipv4.igmp_max_memberships=4", "sysctl -qw net.ipv4.igmp_max_msf=3"):
    subprocess.run(command.split(), check=True)
with open(os.path.join(os.path.dirname(__file__), "linux-multicast.json"), "w") as file:
    rows = ",\n".join(json.dumps(sequence(), separators=(",", ":")) for _ in range(150))
    file.write('{"kernel":%s,"sequences":[\n%s\n]}\n' % (json.dumps(os.uname().release.split("-")[0]), rows))
