"""Writes libpcap-filters.json: filter expressions made by chance, what tcpdump compiles of each, and which packets it lets through.

    python3 test/unit/packet/libpcap-filters.py
`packets` are frames in hexadecimal: such as hosts send, cut ones, and noise. Each row of `filters` is the expression, its program as
`tcpdump -ddd` prints it (behind the count), and a mask in hexadecimal whose bit n says that `tcpdump -r FILE EXPRESSION` shows packet n.
"""
import json
import os
import random
import struct
import subprocess
import tempfile

FILTERS = 320
rng = random.Random(1993)
MACS = ["02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb"]
HOSTS = ["10.0.0.1", "10.0.0.2", "10.1.2.3", "192.168.7.9", "224.0.0.251"]
PORTS = [22, 53, 67, 80, 443, 5353, 1023, 1024, 40000]


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def addr(text):
    return bytes(map(int, text.split(".")))


def ports():
    return struct.pack("!HH", rng.choice(PORTS), rng.choice(PORTS))


def transport(protocol):
    if protocol == 6:
        return ports() + rng.randbytes(8) + bytes([rng.choice([0x50, 0x60, 0x80]), rng.choice([2, 18, 16, 24, 17, 4])]) + rng.randbytes(6)
    if protocol == 17:
        return ports() + struct.pack("!HH", 8, 0)
    if protocol == 1:
        return bytes([rng.choice([0, 3, 5, 8, 11, 13]), rng.choice([0, 1, 3])]) + rng.randbytes(6)
    return ports() + rng.randbytes(12)


def ipv4():
    protocol = rng.choice([1, 6, 6, 6, 17, 17, 17, 2, 47, 50, 132])
    options = rng.choice([b"", b"", b"", b"\x94\4\0\0", b"\7\7\4\0\0\0\0\0"])
    payload = transport(protocol) + rng.randbytes(rng.choice([0, 0, 3, 20, 100]))
    frag = rng.choice([0, 0, 0, 0x4000, 0x4000, 0x2000, 1, 0x3FFF])
    length = 20 + len(options) + len(payload)
    header = struct.pack("!BBHHHBBH", 0x40 | (length - len(payload)) // 4, rng.choice([0, 0, 0x10, 0xC0]), length, rng.randrange(65536),
                         frag, rng.choice([1, 1, 2, 64, 128, 255]), protocol, 0)
    return 0x0800, header + addr(rng.choice(HOSTS)) + addr(rng.choice(HOSTS)) + options + payload


def arp():
    kind = rng.choice([0x0806, 0x0806, 0x8035])
    return kind, struct.pack("!HHBBH", 1, 0x800, 6, 4, rng.choice([1, 2])) + mac(MACS[0]) + addr(rng.choice(HOSTS)) + bytes(6) + addr(rng.choice(HOSTS))


def ipv6():
    protocol = rng.choice([6, 17, 58, 44])
    payload = transport(17 if protocol == 44 else protocol)
    return 0x86DD, struct.pack("!IHBB", 0x60000000, len(payload), protocol, 64) + rng.randbytes(32) + payload


def frame():
    kind, body = rng.choice([ipv4, ipv4, ipv4, ipv4, arp, ipv6, lambda: (rng.choice([0x88CC, 0x8863, 60]), rng.randbytes(46))])()
    tag = struct.pack("!HH", 0x8100, rng.choice([5, 10, 0x200A])) if rng.random() < 0.08 else b""
    data = mac(rng.choice(MACS)) + mac(rng.choice(MACS[:2])) + tag + struct.pack("!H", kind) + body
    if rng.random() < 0.15:
        data = data[:rng.randrange(1, len(data))]
    return data.ljust(60, b"\0") if rng.random() < 0.5 else data


def noise():
    return rng.randbytes(rng.randrange(1, 90))


def net():
    return rng.choice(["10.0.0.0/8", "10.0.0.0/30", "192.168.0.0/16", "10.1.2.0/24", "224.0.0.0/4"])


def compare():
    return rng.choice(["=", "!=", "<", ">", "<=", ">="])


def value(depth=0):
    kind = rng.randrange(8)
    if kind < 3 or depth > 2:
        where = rng.choice(["ether", "ip", "ip", "tcp", "udp", "icmp"])
        offset = rng.randrange(0, 20) if rng.random() < 0.8 else rng.randrange(20, 80)
        return f"{where}[{offset}]" if rng.random() < 0.6 else f"{where}[{offset}:{rng.choice([1, 2, 4])}]"
    if kind == 3:
        return "len"
    if kind == 4:
        return str(rng.choice([0, 1, 2, 5, 14, 64, 255, 1500]))
    if kind == 5:
        return f"(-{value(depth + 1)})" if rng.random() < 0.3 else f"({value(depth + 1)} & {rng.choice([1, 15, 0xF0, 0xFF, 0x1FFF])})"
    if kind == 6:
        # Shifts and divisions by constants, as others may have no answer.
        return f"({value(depth + 1)} {rng.choice(['/', '%', '<<', '>>'])} {rng.choice([1, 2, 3, 7, 16])})"
    return f"({value(depth + 1)} {rng.choice(['+', '-', '*', '|', '^', '&'])} {value(depth + 1)})"


def primitive():
    way = rng.choice(["", "", "src ", "dst "])
    proto = rng.choice(["", "", "tcp ", "udp "])
    return rng.choice([
        lambda: rng.choice(["ip", "arp", "rarp", "ip6", "tcp", "udp", "icmp", "icmp6", "igmp", "sctp", "esp", "ether broadcast",
                            "ether multicast", "ip multicast", "ip proto 47", "ether proto 0x88cc"]),
        lambda: f"{way}host {rng.choice(HOSTS)}",
        lambda: f"{way}net {net()}",
        lambda: f"{proto}{way}port {rng.choice(PORTS)}",
        lambda: f"{proto}{way}portrange {rng.choice(['50-80', '1000-2000', '1024-65535'])}",
        lambda: f"ether {way}host {rng.choice(MACS)}",
        lambda: f"{rng.choice(['less', 'greater'])} {rng.choice([40, 60, 64, 100])}",
        lambda: f"{value()} {compare()} {value()}",
        lambda: f"{value()} {compare()} {value()}",
        lambda: rng.choice(["tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "icmp[icmptype] = icmp-echo", "tcp[tcpflags] == tcp-ack",
                            "ip[6:2] & 0x3fff != 0", "icmp[icmptype] != icmp-unreach", "ip[0] & 0xf > 5"]),
    ])()


def expression(depth=0):
    kind = rng.random()
    if kind < 0.4 or depth > 2:
        return primitive()
    if kind < 0.55:
        return f"not ({expression(depth + 1)})"
    return f"({expression(depth + 1)}) {rng.choice(['and', 'or'])} ({expression(depth + 1)})"


packets = [frame() for _ in range(160)] + [noise() for _ in range(40)]
rows = []
with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, "packets.pcap")
    with open(path, "wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, data in enumerate(packets):
            file.write(struct.pack("=IIII", number, 0, len(data), len(data)) + data)
    while len(rows) < FILTERS:
        text = expression()
        compiled = subprocess.run(["tcpdump", "-ddd", "-y", "EN10MB", text], capture_output=True, text=True)
        numbers = [list(map(int, line.split())) for line in compiled.stdout.splitlines()[1:]]
        # What is refused, is always the same, or is too long for the pool of the test.
        if compiled.returncode != 0 or len(numbers) < 2 or len(numbers) > 128:
            continue
        shown = subprocess.run(["tcpdump", "-r", path, "-w", "-", text], capture_output=True, check=True).stdout
        mask, at = 0, 24
        while at < len(shown):
            number, _, kept, _ = struct.unpack_from("=IIII", shown, at)
            mask |= 1 << number
            at += 16 + kept
        rows.append(json.dumps([text, numbers, f"{mask:x}"], separators=(",", ":")))
version = subprocess.run(["tcpdump", "--version"], capture_output=True, text=True).stdout.splitlines()[1]
with open(os.path.join(os.path.dirname(__file__), "libpcap-filters.json"), "w") as file:
    file.write('{"version":%s,"packets":%s,"filters":[\n%s\n]}\n' % (
        json.dumps(version), json.dumps([data.hex() for data in packets], separators=(",", ":")), ",\n".join(rows)))
