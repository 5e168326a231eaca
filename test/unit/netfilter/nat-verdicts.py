"""Records what Linux's table nat does to packets: nat-verdicts.json beside this file.

As iptables-verdicts.py, with rules of nat and of connection states beside those of mangle and filter, and with packets from both sides, which
are answered where they come out: by what their protocol answers, or by an ICMP error. Recorded are the set, the counters, digests of what
went out by each device, and of the connections behind it all. Every connection has a source port of its own, each 300 packets have others; a set of which Linux does not make the same twice, since it
draws a port at random where two connections would be the same, is left out. Arguments, if any: where to write, the first seed, the number of sets and of packets, `keep` for the connections themselves.
"""
import glob
import hashlib
import importlib.util
import json
import os
import random
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SPEC = importlib.util.spec_from_file_location("verdicts", os.path.join(HERE, "iptables-verdicts.py"))
verdicts = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(verdicts)
checksum = verdicts.checksum

SETS, PACKETS, SEED = 100, 300, 1
# Where the packets themselves are wanted.
LOG = [] if "keep" in sys.argv else None
HOSTS = [0x0A000002, 0x0A000109]
NEAR, FAR = 0x0A000010, 0x0A000101
STATES = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "ESTABLISHED,RELATED", "INVALID,NEW", "UNTRACKED"]
FLAGS = [0x02, 0x02, 0x02, 0x10, 0x18, 0x11, 0x04, 0x12]


def datagram(source, dest, protocol, body, number, tos):
    at = {6: 16, 17: 6, 1: 2}.get(protocol)
    if at is not None:
        pseudo = b"" if protocol == 1 else struct.pack(">IIBBH", source, dest, 0, protocol, len(body))
        body = body[:at] + b"\0\0" + body[at + 2:]
        body = body[:at] + struct.pack(">H", checksum(pseudo + body)) + body[at + 2:]
    head = struct.pack(">BBHHHBBHII", 0x45, tos, 20 + len(body), number & 0xFFFF, 0, 64, protocol, 0, source, dest)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def packet(lcg, number):
    """The side it comes from, and the packet."""
    side = 0 if lcg.below(4) else 1
    peer = lcg.below(8 if side == 0 else 4)
    source = (NEAR if side == 0 else FAR) + peer
    where = lcg.below(6)
    if side == 0:
        dest = FAR + where if where < 4 else HOSTS[where - 4]
    else:
        dest = NEAR + where if where < 2 else HOSTS[1]
    kind, which, flags = lcg.below(8), lcg.below(6), FLAGS[lcg.below(8)]
    protocol = 6 if kind < 4 else 17 if kind < 7 else 1
    sport = 2000 + ((side * 8 + peer) * 6 + where) * 6 + which + number // 300 * 600
    data = bytes((number + i) & 255 for i in range(lcg.below(20)))
    if protocol == 6:
        seq = 1000 if flags == 2 else 1001
        body = struct.pack(">HHIIBBHHH", sport, verdicts.PORTS[which], seq, 0 if flags == 2 else 5001, 0x50, flags, 1000, 0, 0) + (b"" if flags == 2 else data)
    elif protocol == 17:
        body = struct.pack(">HHHH", sport, verdicts.PORTS[which], 8 + len(data), 0) + data
    else:
        body = struct.pack(">BBHHH", 8, 0, 0, sport, number & 0xFFFF) + data
    return side, datagram(source, dest, protocol, body, number, lcg.below(2) * 8)


def answer(lcg, came, number):
    """What the host that a packet reached says to it, or None."""
    what = lcg.below(10)
    source, dest = struct.unpack(">II", came[12:20])
    protocol, body = came[9], came[20:]
    # What the host itself sends has identifications of its own: it is not to be quoted.
    if what < 3 or dest in HOSTS or (what == 3 and came[8] != 63) or (protocol == 1 and body[0] != 8):
        return None
    if what == 3:
        return datagram(dest, source, 1, struct.pack(">BBHI", 3, 1, 0, 0) + came[:28], number, 0)
    if protocol == 6:
        sport, dport, seq, ack, _, flags = struct.unpack(">HHIIBB", body[:14])
        if flags & 4:
            return None
        reply = struct.pack(">HHIIBBHHH", dport, sport, 5000, seq + 1, 0x50, 0x12, 1000, 0, 0) if flags & 2 else \
            struct.pack(">HHIIBBHHH", dport, sport, ack, seq + len(body) - 20, 0x50, 0x10, 1000, 0, 0)
        return datagram(dest, source, 6, reply, number, 0)
    if protocol == 17:
        return datagram(dest, source, 17, body[2:4] + body[:2] + body[4:], number, 0)
    return datagram(dest, source, 1, b"\0" + body[1:], number, 0)


def draw_nat(r):
    chain = r.choice(["PREROUTING", "PREROUTING", "POSTROUTING", "POSTROUTING", "OUTPUT", "INPUT", "N"])
    words = verdicts.draw_match(r, {"N": "A"}.get(chain, chain), False)
    words = [word for word in words if "gre" not in word and word not in ("-f", "! -f")]
    ports = "-p tcp" in words or "-p udp" in words
    inside = f"10.0.0.{r.randrange(16, 20)}"
    outside = f"10.0.1.{r.randrange(1, 5)}"
    targets = ["-j ACCEPT", "-j RETURN", ""]
    if chain in ("PREROUTING", "OUTPUT"):
        dnat = ["-j DNAT --to-destination " + r.choice([inside, outside, outside, f"10.0.1.{r.randrange(1, 3)}-10.0.1.4"])]
        if ports:
            dnat += [f"-j DNAT --to-destination {r.choice([inside, outside])}:{r.choice([80, 8080])}", f"-j REDIRECT --to-ports {r.choice([80, 8080])}"]
        targets += dnat * 4 + ["-j REDIRECT"]
    if chain == "POSTROUTING":
        targets += ["-j MASQUERADE", "-j SNAT --to-source " + r.choice(["10.0.1.9", "10.0.1.50", "10.0.1.50-10.0.1.53", "10.0.0.2"])] * 4
    if chain == "INPUT":
        targets += ["-j SNAT --to-source 10.0.0.77"]
    if chain != "N" and chain != "INPUT":
        targets += ["-j N"]
    return " ".join(["-A", chain, *words, r.choice(targets)]).rstrip()


def draw_conntrack(r):
    words = []
    if r.random() < 0.6:
        words += r.choice(([], [], ["!"])) + ["--ctstate", r.choice([*STATES, "SNAT", "DNAT", "DNAT,SNAT", "NEW,SNAT"])]
    if not words or r.random() < 0.3:
        # What is assured is a matter of time with UDP.
        words += r.choice(([], [], ["!"])) + ["--ctstatus", r.choice(["NONE", "SEEN_REPLY", "CONFIRMED", "EXPECTED", "EXPECTED,SEEN_REPLY"])]
    if r.random() < 0.3:
        words += ["--ctdir", r.choice(["ORIGINAL", "REPLY"])]
    return " ".join(words)


def draw_set(seed):
    r = random.Random(f"nat {seed}")
    lines = ["*nat"] + [f":{chain} ACCEPT [0:0]" for chain in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")] + [":N - [0:0]"]
    lines += [draw_nat(r) for _ in range(r.randrange(3, 12))] + ["COMMIT"]
    for table, chains in (("mangle", ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]), ("filter", ["INPUT", "FORWARD", "OUTPUT"])):
        lines.append(f"*{table}")
        lines += [f":{chain} ACCEPT [0:0]" for chain in chains] + [":A - [0:0]", ":B - [0:0]"]
        for _ in range(r.randrange(1, 6)):
            if r.random() < 0.5:
                rule = verdicts.draw_rule(r, r.choice(chains), table)
                if r.random() < 0.3:
                    lines.append(f"{rule} -m state --state {r.choice(STATES)}")
                else:
                    lines.append(f"{rule} -m conntrack {draw_conntrack(r)}")
            else:
                lines.append(verdicts.draw_rule(r, r.choice(chains), table))
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def drain(fd, digest):
    """What has come out, told to the digest."""
    out = []
    while True:
        try:
            data = os.read(fd, 4096)
        except BlockingIOError:
            return out
        if data[0] >> 4 == 4:
            masked = data if data[8] == 63 else data[:4] + b"\0\0" + data[6:10] + b"\0\0" + data[12:]
            digest.update(struct.pack(">H", len(data)) + masked)
            if LOG is not None:
                LOG.append(masked.hex())
            out.append(data)


def connections():
    lines = []
    with open("/proc/net/nf_conntrack", encoding="ascii") as file:
        for line in file:
            words = line.split()
            lines.append(" ".join(word for word in words[2:] if "=" in word or word[0] in "[ABCDEFGHIJKLMNOPQRSTUVWXYZ" if not word.startswith(("zone", "use", "mark"))))
    # When a connection of UDP is assured is a matter of time.
    return sorted(line if line[0].isupper() else line.replace(" [ASSURED]", "") for line in lines)


def record(fds, seed, packets, keep):
    rules = draw_set(seed)
    subprocess.run(["iptables-legacy-restore"], input=rules, text=True, check=True)
    kernel.flush()
    if LOG is not None:
        LOG.clear()
    lcg = verdicts.Lcg(seed)
    digests = [hashlib.sha256(), hashlib.sha256()]
    for fd in fds:
        drain(fd, hashlib.sha256())
    for number in range(packets):
        side, first = packet(lcg, number)
        if LOG is not None:
            LOG.append(f"{number} {side} {first.hex()}")
        os.write(fds[side], first)
        out = [(at, data) for at, fd in enumerate(fds) for data in drain(fd, digests[at])]
        for at, data in out:
            reply = answer(lcg, data, number)
            if reply is not None:
                os.write(fds[at], reply)
                for other, fd in enumerate(fds):
                    drain(fd, digests[other])
    saved = subprocess.run(["iptables-legacy-save", "-c"], capture_output=True, text=True, check=True).stdout
    counters = [line for line in saved.splitlines() if line.startswith((":", "["))]
    table = connections()
    digest = hashlib.sha256("\n".join(table).encode()).hexdigest()[:16]
    return {"seed": seed, "packets": packets, "rules": rules, "counters": counters, "out": [d.hexdigest()[:16] for d in digests], "connections": digest, **({"table": table, "log": list(LOG)} if keep else {})}


SPEC = importlib.util.spec_from_file_location("kernel", os.path.join(HERE, "conntrack-kernel.py"))
kernel = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(kernel)

if sys.argv[1:2] == ["--inside"]:
    tuns = verdicts.setup()
    # How many redirects are sent is a matter of time.
    for name in ("all", "default", "eth0", "eth1"):
        subprocess.run(["sysctl", "-qw", f"net.ipv4.conf.{name}.send_redirects=0"], check=True)
    # All that happens is at one instant.
    for path in glob.glob("/proc/sys/net/netfilter/nf_conntrack_*timeout*"):
        with open(path, "w", encoding="ascii") as file:
            file.write("86400")
    first, sets, count = (int(word) for word in sys.argv[3:6])
    with open(sys.argv[2], "w", encoding="utf8") as file:
        recorded, seed = [], first
        while len(recorded) < sets:
            once, again = (record(tuns, seed, count, "keep" in sys.argv) for _ in range(2))
            # Where two connections would be the same Linux draws a port: then it does not do the same twice.
            if (once["out"], once["counters"], once["connections"]) == (again["out"], again["counters"], again["connections"]):
                recorded.append(once)
            seed += 1
        json.dump(recorded, file, indent=0)
        file.write("\n")
else:
    words = " ".join(sys.argv[1:]) or f"{os.path.join(HERE, 'nat-verdicts.json')} {SEED} {SETS} {PACKETS}"
    command = f"mount -t tmpfs tmpfs /run; mount -t sysfs sysfs /sys; ip link set lo up; exec {sys.executable} {os.path.abspath(__file__)} --inside {words}"
    subprocess.run(["unshare", "--net", "--mount", "sh", "-c", command], check=True)
