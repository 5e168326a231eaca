"""Records what Linux's iptables does to packets: iptables-verdicts.json beside this file.

For each seed a rule set is drawn and loaded by iptables-legacy-restore in a network namespace whose eth0 and eth1 are TUN devices; packets drawn
from the same seed come in by eth0, for the host or to be forwarded. Recorded are the set, the counters of every rule and policy afterwards,
and digests of what went out by each device. To be run as root with iptables-legacy on PATH.
"""
import fcntl
import hashlib
import json
import os
import random
import struct
import subprocess
import sys

SETS = 100
PACKETS = 300
HOST = 0x0A000002
PORTS = [22, 53, 80, 443, 1000, 5000]
FLAGS = [0x02, 0x10, 0x12, 0x11, 0x04, 0x18, 0x00, 0x29]
TOS = [0, 0, 8, 16]
ICMP = [8, 0, 3, 11]


class Lcg:
    """The generator of packets, which the test has too."""

    def __init__(self, seed):
        self.state = seed & 0x7FFFFFFF

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 8) % n


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(lcg, number):
    source = 0x0A000010 + lcg.below(8)
    forwarded = lcg.below(3) != 0
    dest = 0x0A000101 + lcg.below(4) if forwarded else HOST
    kind = lcg.below(8)
    protocol = 6 if kind < 3 else 17 if kind < 6 else 1 if kind == 6 else 47
    sport, dport = PORTS[lcg.below(6)], PORTS[lcg.below(6)]
    flags, icmp, length, tos = FLAGS[lcg.below(8)], ICMP[lcg.below(4)], lcg.below(20), TOS[lcg.below(4)]
    fragment = forwarded and lcg.below(10) == 0
    data = bytes((number + i) & 255 for i in range(length))
    if protocol == 6:
        body = struct.pack(">HHIIBBHHH", sport, dport, 1000 + number, 7, 0x50, flags, 1000, 0, 0) + data
    elif protocol == 17:
        body = struct.pack(">HHHH", sport, dport, 8 + length, 0) + data
    elif protocol == 1:
        body = struct.pack(">BBHI", icmp, 0, 0, number) + data
    else:
        body = struct.pack(">HH", 0, 0x0800) + data
    offset = (1 + lcg.below(3)) if fragment else 0
    if not fragment and protocol in (6, 17):
        pseudo = struct.pack(">IIBBH", source, dest, 0, protocol, len(body))
        at = 16 if protocol == 6 else 6
        body = body[:at] + struct.pack(">H", checksum(pseudo + body)) + body[at + 2:]
    elif protocol == 1:
        body = body[:2] + struct.pack(">H", checksum(body)) + body[4:]
    head = struct.pack(">BBHHHBBHII", 0x45, tos, 20 + len(body), number, offset, 64, protocol, 0, source, dest)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def draw_match(r, chain, mangle):
    words = []

    def maybe(probability, *options):
        if r.random() < probability:
            words.append(r.choice(options))

    inverse = lambda: r.choice(["", "", "! "])
    if r.random() < 0.4:
        words.append(f"{inverse()}-s 10.0.0.{r.randrange(16, 24)}/{r.choice([32, 31, 30, 29])}")
    if r.random() < 0.3:
        words.append(f"{inverse()}-d 10.0.1.{r.randrange(1, 5)}/{r.choice([32, 31, 30])}")
    if chain in ("INPUT", "FORWARD", "PREROUTING"):
        maybe(0.15, "-i eth0", "! -i eth0", "-i eth+", "-i eth1", "-i e+")
    if chain in ("OUTPUT", "FORWARD", "POSTROUTING"):
        maybe(0.15, "-o eth0", "-o eth1", "! -o eth1", "-o lo")
    port = lambda: r.choice(["22", "53:80", "443", "1000:", ":1000", "5000"])
    protocol = r.choice(["", "", "tcp", "tcp", "udp", "icmp", "gre", "!tcp", "!udp"])
    if protocol.startswith("!"):
        words.append(f"! -p {protocol[1:]}")
    elif protocol:
        words.append(f"-p {protocol}")
    if protocol in ("tcp", "udp"):
        if r.random() < 0.25:
            words.append(f"-m multiport {inverse()}{r.choice(['--ports', '--sports', '--dports'])} {r.choice(['22,53', '80:443,1000', '5000,1:60'])}")
        else:
            options = [f"{inverse()}{o} {port()}" for o in ("--sport", "--dport") if r.random() < 0.4]
            if protocol == "tcp" and r.random() < 0.4:
                options.append(f"{inverse()}--tcp-flags {r.choice(['SYN,ACK SYN', 'ALL NONE', 'FIN,RST FIN', 'ALL FIN,PSH,URG', 'SYN,RST,ACK,FIN SYN'])}")
            if options:
                words.append(f"-m {protocol} " + " ".join(options))
    if protocol == "icmp" and r.random() < 0.7:
        words.append(f"-m icmp {inverse()}--icmp-type {r.choice(['8', '3', '3/0', '0', 'any', '11/1'])}")
    maybe(0.1, "-m mark --mark 1", "-m mark --mark 2/3", "-m mark ! --mark 0x0/1")
    maybe(0.1, "-f", "! -f")
    return words


def draw_rule(r, chain, table):
    words = draw_match(r, chain, table == "mangle")
    deeper = {"INPUT": ["A", "B"], "FORWARD": ["A", "B"], "OUTPUT": ["B"], "PREROUTING": ["A", "B"], "POSTROUTING": ["B"], "A": ["B"], "B": []}[chain]
    targets = ["-j ACCEPT", "-j DROP", "-j RETURN", "", ""] + [f"-{r.choice('jjg')} {name}" for name in deeper] * 2
    if table == "mangle":
        targets += [f"-j MARK --set-xmark {r.randrange(4)}/{r.choice(['0x3', '0xffffffff', '0x1'])}", f"-j TOS --set-tos {r.choice(['0x10', '0x08/0x0f', '0x00'])}"] * 3
        targets = [t for t in targets if t not in ("-j DROP",) or r.random() < 0.4]
    elif chain != "A" and chain != "B":
        kinds = ["icmp-port-unreachable", "icmp-net-unreachable", "icmp-host-prohibited", "icmp-admin-prohibited", "icmp-proto-unreachable"]
        targets += [f"-j REJECT --reject-with {r.choice(kinds)}"]
        if "-p tcp" in words:
            targets += ["-j REJECT --reject-with tcp-reset"] * 2
    target = r.choice(targets)
    return " ".join(["-A", chain, *words, target]).rstrip()


def draw_set(seed):
    r = random.Random(seed)
    lines = []
    for table, chains in (("mangle", ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]), ("filter", ["INPUT", "FORWARD", "OUTPUT"])):
        lines.append(f"*{table}")
        lines += [f":{chain} {'DROP' if table == 'filter' and r.random() < 0.2 else 'ACCEPT'} [0:0]" for chain in chains]
        lines += [":A - [0:0]", ":B - [0:0]"]
        picks = chains * (2 if table == "filter" else 1) + ["A", "B"]
        lines += [draw_rule(r, r.choice(picks), table) for _ in range(r.randrange(4, 16))]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def open_tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x0001 | 0x1000))
    return fd


def drain(fd, digest):
    while True:
        try:
            data = os.read(fd, 4096)
        except BlockingIOError:
            return
        if data[0] >> 4 == 4:
            # The identification of what the host itself sends is its own affair.
            masked = data if data[8] == 63 else data[:4] + b"\0\0" + data[6:10] + b"\0\0" + data[12:]
            digest.update(struct.pack(">H", len(data)) + masked)


def setup():
    sh = lambda *words: subprocess.run(words, check=True)
    fds = open_tun("eth0"), open_tun("eth1")
    for setting in (
        "net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0", "net.ipv4.icmp_msgs_per_sec=1000000",
        "net.ipv4.icmp_msgs_burst=1000000", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0", "net.ipv4.conf.eth1.rp_filter=0",
    ):
        subprocess.run(["sysctl", "-qw", setting], check=False)
    for name, addr in (("eth0", "10.0.0.2/24"), ("eth1", "10.0.1.9/24")):
        sh("ip", "addr", "add", addr, "dev", name)
        sh("ip", "link", "set", name, "up")
    return fds


def record(fds, seed):
    rules = draw_set(seed)
    subprocess.run(["iptables-legacy-restore"], input=rules, text=True, check=True)
    lcg = Lcg(seed)
    digests = [hashlib.sha256(), hashlib.sha256()]
    for fd in fds:
        drain(fd, hashlib.sha256())
    for number in range(PACKETS):
        os.write(fds[0], packet(lcg, number))
        for fd, digest in zip(fds, digests):
            drain(fd, digest)
    saved = subprocess.run(["iptables-legacy-save", "-c"], capture_output=True, text=True, check=True).stdout
    counters = [line for line in saved.splitlines() if line.startswith((":", "["))]
    return {"rules": rules, "counters": counters, "out": [digest.hexdigest()[:16] for digest in digests]}


if __name__ != "__main__":
    pass
elif len(sys.argv) > 1:
    tuns = setup()
    with open(sys.argv[1], "w", encoding="utf8") as file:
        json.dump([record(tuns, seed) for seed in range(1, SETS + 1)], file, indent=0)
        file.write("\n")
else:
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "iptables-verdicts.json")
    command = f"mount -t tmpfs tmpfs /run; mount -t sysfs sysfs /sys; ip link set lo up; exec {sys.executable} {os.path.abspath(__file__)} {out}"
    subprocess.run(["unshare", "--net", "--mount", "sh", "-c", command], check=True)
