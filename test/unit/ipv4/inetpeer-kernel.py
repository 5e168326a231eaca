"""Records whom Linux tells what, and how often: inetpeer-kernel.json beside this file.

A network namespace forwards; its eth0 is a TUN device. Hosts of that link send what calls for an answer, each in its own rhythm, all at once
for a minute and a half: a packet too old to go on (ttl), one without a way (noway), one that goes back to the link it came from (redirect), one
to a port of nobody (port). Recorded for each host: when in ms, what, and the types of the ICMP messages that it got for it. The times are
those of the kernel's ticks, of which it counts 250 a second (CONFIG_HZ). To be run as root; its arguments are where to write, the seed and
the number of hosts.
"""
import fcntl
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time

SEED, HOSTS, DURATION = 1, 60, 90.0
HZ = 250
CLOCK_MONOTONIC_COARSE = 6
DESTINATION = {"ttl": "10.9.0.1", "noway": "198.51.100.1", "redirect": "10.9.0.1", "port": "10.0.0.1"}
PAUSES = (0, 0, 0, 0.03, 0.07, 0.15, 0.3, 0.4, 0.7, 0.8, 1.2, 1.2, 2.5, 5.5, 7, 24)


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def build(host, kind):
    """A datagram of that host without a checksum of its own."""
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 32, 0, 0, 1 if kind == "ttl" else 64, 17, 0, socket.inet_aton(host), socket.inet_aton(DESTINATION[kind]))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + struct.pack(">HHHHI", 1000, 9, 12, 0, 0)


def draw(r):
    """A host's rhythm: (seconds, kind)."""
    kinds = r.choice((["ttl"], ["noway"], ["redirect"], ["ttl", "redirect"], ["noway", "redirect"], ["noway", "ttl"], list(DESTINATION)))
    most = r.choice((4, 10, len(PAUSES)))
    now, events = r.random(), []
    while now < DURATION:
        events.append((now, r.choice(kinds)))
        now += r.choice(PAUSES[:most]) + 0.002 if len(events) < 60 else DURATION
    return events


def answers(fd):
    """The types of the ICMP messages that wait there; the packet on its way is none."""
    types = []
    try:
        while True:
            data = os.read(fd, 4096)
            if data[0] >> 4 == 4 and data[9] == 1:
                types.append(data[20])
    except BlockingIOError:
        return types


def ticks():
    """The coarse clock goes on when jiffies do."""
    return round(time.clock_gettime(CLOCK_MONOTONIC_COARSE) * HZ)


def main(out, seed, count):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"eth0", 0x0001 | 0x1000))
    for words in ("ip addr add 10.0.0.1/24 dev eth0", "ip link set eth0 up", "ip route add 10.9.0.0/16 via 10.0.0.77", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
                  "sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv4.icmp_msgs_per_sec=100000", "sysctl -qw net.ipv4.icmp_msgs_burst=100000"):
        subprocess.run(words.split(), check=True)
    r = random.Random(seed)
    hosts = [[] for _ in range(count)]
    agenda = sorted((when, n, kind) for n in range(count) for when, kind in draw(r))
    start, tick = time.monotonic(), ticks()
    for when, n, kind in agenda:
        time.sleep(max(0, start + when - time.monotonic()))
        answers(fd)
        sent = (ticks() - tick) * 1000 // HZ
        os.write(fd, build(f"10.0.0.{100 + n}", kind))
        hosts[n].append([sent, kind, answers(fd)])
    with open(out, "w", encoding="utf8") as file:
        file.write("[\n" + ",\n".join(json.dumps(host, separators=(",", ":")) for host in hosts) + "\n]\n")


if sys.argv[1:2] == ["--inside"]:
    main(sys.argv[2], *map(int, sys.argv[3:5]))
else:
    here = os.path.abspath(__file__)
    words = " ".join(sys.argv[1:4]) or f"{here[:-2]}json {SEED} {HOSTS}"
    command = f"ip link set lo up; exec {sys.executable} {here} --inside {words}"
    subprocess.run(["unshare", *([] if os.getuid() == 0 else ["-r"]), "--net", "sh", "-c", command], check=True)
