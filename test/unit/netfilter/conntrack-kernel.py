"""Records what Linux's connection tracking makes of packets: conntrack-kernel.json beside this file.

A network namespace whose eth0 and eth1 are TUN devices forwards between host a (10.0.0.1) and host b (10.0.1.1). Sequences of packets come in,
drawn ones and written ones; after each step it is recorded as what the packet left (rules of mangle give each --ctstate a TOS), and
what /proc/net/nf_conntrack says, timeouts rounded up to ten seconds. To be run as root with iptables-legacy on PATH;
its arguments are where to write, the seed, the number of drawn sequences, and which of the written ones (every n-th).

A step: "a tcp SA s=1000 a=1 w=500 l=10 o=<hex> p=<client's port>", "b udp l=4", "a icmp 8 0 i=7", "b error 3 1 q=<step that is quoted>",
"wait 2.1"; "bad" in it is a wrong checksum.
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

ADDRESS = {"a": "10.0.0.1", "b": "10.0.1.1"}
FLAGS = "FSRPAUEC"
STATES = {0x02: "RELATED", 0x04: "INVALID", 0x08: "NEW", 0x10: "ESTABLISHED", 0x00: "UNTRACKED"}
SEED, DRAWN = 1, 300


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def build(step, steps):
    """The packet of a step."""
    sender, kind, *rest = step.split()
    options = dict(word.split("=") for word in rest if "=" in word)
    plain = [word for word in rest if "=" not in word]
    number = lambda name, default=0: int(options.get(name, default)) & 0xFFFFFFFF
    src, dst = ADDRESS[sender], ADDRESS["b" if sender == "a" else "a"]
    port = number("p", 1000)
    ports = (port, 80) if sender == "a" else (80, port)
    data = bytes(number("l"))
    protocol = {"tcp": 6, "udp": 17, "icmp": 1, "error": 1}.get(kind, 99)
    where = None
    if kind == "tcp":
        flags = sum(1 << FLAGS.index(letter) for letter in plain[0] if letter != ".")
        extra = bytes.fromhex(options.get("o", ""))
        head = struct.pack(">HHIIBBHHH", *ports, number("s"), number("a"), (5 + len(extra) // 4) << 4, flags, number("w", 1000), 0, 0) + extra
        where = 16
    elif kind == "udp":
        head, where = struct.pack(">HHHH", *ports, 8 + len(data), 0), 6
    elif kind == "icmp":
        head, where = struct.pack(">BBHHH", int(plain[0]), int(plain[1]), 0, number("i", 7), 1), 2
    elif kind == "error":
        head, where = struct.pack(">BBHI", int(plain[0]), int(plain[1]), 0, 0), 2
        data = build(steps[number("q")], steps)[:28]
    else:
        head = b""
    body = bytearray(head + data)
    if where is not None:
        pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack(">BBH", 0, protocol, len(body))
        value = checksum((b"" if protocol == 1 else pseudo) + bytes(body))
        body[where:where + 2] = struct.pack(">H", value ^ (0x5555 if "bad" in plain else 0))
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0, socket.inet_aton(src), socket.inet_aton(dst))
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + bytes(body)


MSS, WS7, WS0, WS15, SACK_OK = "020405b4", "03030701", "03030001", "03030f01", "04020101"
SYN_OPTIONS = ["", "", MSS, MSS + WS7, MSS + WS7 + SACK_OK, MSS + WS0 + SACK_OK, WS15, SACK_OK, "0103", "0403040201010000"]


def sack_option(*blocks):
    return "0101" + bytes([5, 2 + 8 * len(blocks)]).hex() + "".join(f"{left & 0xFFFFFFFF:08x}{right & 0xFFFFFFFF:08x}" for left, right in blocks)


OPEN = ["a tcp S s=100", "b tcp SA s=500 a=101"]
ESTABLISHED = OPEN + ["a tcp A s=101 a=501"]
# How each state is reached.
PREFIXES = {
    "NONE": [],
    "SYN_SENT": OPEN[:1],
    "SYN_SENT2": OPEN[:1] + ["b tcp S s=500"],
    "SYN_RECV": OPEN,
    "ESTABLISHED": ESTABLISHED,
    "picked up": ["a tcp A s=101 a=501"],
    "FIN_WAIT": ESTABLISHED + ["a tcp FA s=101 a=501"],
    "FIN_WAIT of b": ESTABLISHED + ["b tcp FA s=501 a=101"],
    "CLOSE_WAIT": ESTABLISHED + ["a tcp FA s=101 a=501", "b tcp A s=501 a=102"],
    "LAST_ACK": ESTABLISHED + ["a tcp FA s=101 a=501", "b tcp FA s=501 a=102"],
    "LAST_ACK after SYN": ESTABLISHED + ["a tcp FA s=101 a=501", "b tcp FA s=501 a=102", "a tcp S s=9000"],
    "TIME_WAIT": ESTABLISHED + ["a tcp FA s=101 a=501", "b tcp FA s=501 a=102", "a tcp A s=102 a=502"],
    "CLOSE": ESTABLISHED + ["a tcp RA s=101 a=501"],
    "CLOSE by b": ESTABLISHED + ["b tcp RA s=501 a=101"],
    "ESTABLISHED after SYN": ESTABLISHED + ["a tcp S s=9000"],
    "SYN_SENT after ACK": OPEN[:1] + ["b tcp A s=700 a=900"],
}


def written():
    """Sequences with a purpose each: (name, sysctls, steps)."""
    everything = ["".join(letter for bit, letter in enumerate("FSRAU") if mask & (1 << bit)) or "." for mask in range(32)]
    for name, prefix in PREFIXES.items():
        for sender in "ab":
            seq, ack = (102, 501) if sender == "a" else (501, 102)
            for flags in everything + ["SEC", "PA", "AEC"]:
                yield f"{name}: {sender} {flags}", {}, prefix + [f"{sender} tcp {flags} s={seq} a={ack}", f"{sender} tcp {flags} s={seq} a={ack}"]
    data = ESTABLISHED + ["a tcp PA s=101 a=501 l=100"]
    ack = "b tcp A s=501 a=201"
    yield "data and its acknowledgement", {}, data + [ack] + ["b tcp PA s=501 a=201 l=50", "a tcp A s=201 a=551"]
    yield "repetitions", {}, data + data[-1:] * 5 + [ack] + [ack] * 5
    yield "repetitions of an acknowledgement", {"tcp_max_retrans": 1}, ESTABLISHED + ["a tcp A s=101 a=501"] * 3 + ["b tcp A s=501 a=101"]
    yield "a window of nothing, and a probe", {}, ESTABLISHED + ["b tcp A s=501 a=101 w=0", "a tcp A s=101 a=501 l=1", "b tcp A s=501 a=101 w=0",
                                                                "b tcp A s=501 a=101 w=100"]
    yield "a keep-alive probe", {}, ESTABLISHED + ["a tcp A s=100 a=501", "b tcp A s=501 a=101"]
    for liberal in (0, 1):
        for shift in (-200000, -67000, -66000, -2000, -1001, -1000, -999, -1, 1, 999, 1000, 1001, 2001, 70000):
            yield f"sequence {shift} liberal {liberal}", {"tcp_be_liberal": liberal}, data + [ack, f"a tcp PA s={201 + shift} a=501 l=10", "b tcp A s=501 a=211"]
            yield f"acknowledgement {shift} liberal {liberal}", {"tcp_be_liberal": liberal}, data + [ack, f"b tcp A s=501 a={201 + shift}", "a tcp A s=201 a=501"]
            yield f"reset {shift} liberal {liberal}", {"tcp_be_liberal": liberal}, data + [ack, f"b tcp R s={501 + shift}", "b tcp A s=501 a=201", "b tcp R s=501"]
    for shift in (-100, 0, 100):
        yield f"reset {shift} taken for good", {"tcp_ignore_invalid_rst": 1}, data + [ack, f"b tcp R s={501 + shift}", "b tcp A s=501 a=201"]
    yield "reset of number 0", {}, data + [ack, "b tcp RA s=0 a=201"]
    yield "reset behind data", {}, data + [ack, "b tcp PA s=501 a=201 l=19", "b tcp RA s=520 a=201"]
    yield "reset that answers a SYN", {}, OPEN[:1] + ["b tcp RA s=0 a=101"]
    yield "reset that answers a SYN within", {}, ESTABLISHED + ["a tcp S s=9000", "b tcp RA s=0 a=9001", "a tcp S s=9000"]
    yield "reset that answers a challenge", {}, OPEN[:1] + ["b tcp A s=700 a=900", "a tcp R s=900", "a tcp S s=100"]
    yield "begins anew within", {}, ESTABLISHED + ["a tcp S s=9000 o=" + MSS + WS7, "b tcp SA s=7000 a=9001 o=" + MSS + WS7, "a tcp A s=9001 a=7001"]
    yield "begins anew within, challenged", {}, ESTABLISHED + ["a tcp S s=9000", "b tcp A s=501 a=101", "a tcp R s=101", "a tcp S s=9000", "b tcp SA s=700 a=9001"]
    yield "challenge in LAST_ACK", {}, PREFIXES["LAST_ACK after SYN"] + ["b tcp A s=502 a=102", "a tcp A s=102 a=502"]
    yield "used again", {}, PREFIXES["TIME_WAIT"] + ["a tcp S s=9000", "b tcp SA s=7000 a=9001", "a tcp A s=9001 a=7001"]
    yield "used again by b", {}, PREFIXES["TIME_WAIT"] + ["b tcp S s=9000", "a tcp SA s=7000 a=9001", "b tcp A s=9001 a=7001"]
    yield "used again after a reset", {}, PREFIXES["CLOSE"] + ["a tcp S s=9000", "b tcp SA s=7000 a=9001"]
    yield "used again after the other end's reset", {}, PREFIXES["CLOSE by b"] + ["a tcp S s=9000", "b tcp SA s=7000 a=9001"]
    yield "SYN repeated and new", {}, OPEN[:1] * 3 + ["a tcp S s=300", "b tcp SA s=500 a=301", "a tcp A s=301 a=501"]
    yield "simultaneous open", {}, ["a tcp S s=100", "b tcp S s=500", "a tcp SA s=100 a=501", "b tcp SA s=500 a=101", "a tcp A s=101 a=501"]
    yield "simultaneous open by an ACK", {}, ["a tcp S s=100", "b tcp S s=500", "b tcp SA s=500 a=101", "a tcp SA s=100 a=501", "b tcp A s=501 a=101"]
    yield "both close at once", {}, ESTABLISHED + ["a tcp FA s=101 a=501", "b tcp FA s=501 a=101", "a tcp A s=102 a=502", "b tcp A s=502 a=102"]
    yield "a wrong FIN and its answer", {}, data + [ack, "a tcp FA s=900000 a=501", "b tcp RA s=900000 a=201", "a tcp A s=201 a=501"]
    for loose in (0, 1):
        yield f"picked up, loose {loose}", {"tcp_loose": loose}, ["a tcp PA s=101 a=501 l=10", "b tcp A s=501 a=111", "a tcp PA s=500000 a=501 l=10"]
    scaled = ["a tcp S s=100 w=100 o=" + MSS + WS7 + SACK_OK, "b tcp SA s=500 a=101 w=100 o=" + MSS + WS7 + SACK_OK, "a tcp A s=101 a=501 w=10"]
    yield "scaled windows", {}, scaled + ["b tcp PA s=501 a=101 l=1000", "b tcp PA s=1501 a=101 l=1000", "a tcp A s=101 a=1501 w=1"]
    for sack_at in (2501, 90000):
        blocks = sack_option((sack_at - 1000, sack_at))
        yield f"SACK up to {sack_at}", {}, scaled + ["b tcp PA s=501 a=101 l=1000", "b tcp PA s=1501 a=101 l=1000", f"a tcp A s=101 a=501 o={blocks}",
                                                     "b tcp PA s=501 a=101 l=1000", "a tcp A s=101 a=2501"]
    yield "a wrong checksum", {}, OPEN[:1] + ["b tcp SA s=500 a=101 bad", "b tcp SA s=500 a=101"]
    yield "a wrong checksum that nobody looks at", {"checksum": 0}, OPEN[:1] + ["b tcp SA s=500 a=101 bad", "a udp l=4 bad"]
    yield "UDP", {}, ["a udp l=4", "a udp l=4", "b udp l=4", "a udp l=4", "b udp l=4", "a udp bad", "wait 2.1", "a udp l=4", "b udp l=1"]
    yield "UDP without an answer", {}, ["a udp l=4", "wait 2.1", "a udp l=4", "b udp l=4", "a udp"]
    for kind in range(0, 20):
        yield f"ICMP {kind}", {}, [f"a icmp {kind} 0 i=9", f"b icmp {kind ^ 8} 0 i=9", f"b icmp {kind + (1 if kind in (13, 15, 17) else 0)} 0 i=9", f"a icmp {kind} 1 i=9"]
    yield "ping", {}, ["a icmp 8 0 i=9", "b icmp 0 0 i=9", "b icmp 0 0 i=9", "b icmp 0 0 i=10", "b icmp 8 0 i=9", "a icmp 8 0 i=9 bad", "wait 1.1", "a icmp 8 0 i=9"]
    for first in ("a tcp S s=100", "a udp l=4", "a icmp 8 0", "a gre"):
        for kind, code in ((3, 1), (3, 3), (3, 4), (4, 0), (5, 1), (11, 0), (12, 0)):
            yield f"error {kind} {code} of {first}", {}, [first, f"b error {kind} {code} q=0", f"a error {kind} {code} q=0", f"b error {kind} {code} q=0 bad"]
    yield "an error about nothing", {}, ["a udp p=5", "b error 3 3 q=0", "b error 3 3 q=3", "a udp p=6"]
    yield "another protocol", {}, ["a gre l=4", "b gre l=4", "a gre l=4"]


def drawn(r):
    """A conversation of TCP with mistakes."""
    ends = {"a": {"nxt": r.randrange(1 << 32), "una": 0, "fin": False}, "b": {"nxt": r.randrange(1 << 32), "una": 0, "fin": False}}
    steps = []

    def say(sender, flags, seq=None, ack=None, length=0, options="", window=None):
        me, peer = ends[sender], ends["b" if sender == "a" else "a"]
        seq = me["nxt"] if seq is None else seq
        ack = (peer["nxt"] if ack is None else ack) if "A" in flags else 0
        window = r.choice((0, 1, 1000, 1000, 1000, 65535)) if window is None else window
        steps.append(f"{sender} tcp {flags} s={seq & 0xFFFFFFFF} a={ack & 0xFFFFFFFF} w={window}" + (f" l={length}" if length else "") + (f" o={options}" if options else ""))

    if r.random() < 0.85:
        say("a", "S", options=r.choice(SYN_OPTIONS), window=r.choice((0, 500, 65535)))
        ends["a"]["nxt"] += 1
        if r.random() < 0.9:
            say("b", "SA", options=r.choice(SYN_OPTIONS), window=r.choice((0, 500, 65535)))
            ends["b"]["nxt"] += 1
            if r.random() < 0.9:
                say("a", "A")
    for _ in range(r.randrange(3, 18)):
        sender = r.choice("ab")
        me, peer = ends[sender], ends["b" if sender == "a" else "a"]
        off = lambda: r.choice((0, 0, 0, 0, 0, 0, 1, -1, -10, 100, -500, 1000, 65536, -70000, 1 << 20, r.randrange(1 << 32)))
        what = r.random()
        if what < 0.3:
            length = r.choice((1, 10, 500, 1400))
            say(sender, "PA", length=length)
            me["nxt"] += length
        elif what < 0.5:
            say(sender, "A")
        elif what < 0.6:
            left = peer["nxt"] + r.choice((-100, 10, 1000))
            say(sender, "A", ack=peer["nxt"] - r.choice((0, 10, 500)), options=sack_option((left, left + r.choice((5, 90, 100)))))
        elif what < 0.68:
            say(sender, "FA")
            me["nxt"] += 1
        elif what < 0.73:
            say(sender, r.choice(("R", "RA")), seq=me["nxt"] + off())
        elif what < 0.78:
            fresh = r.randrange(1 << 32)
            say(sender, "S", seq=r.choice((me["nxt"], me["nxt"] + 70000, fresh)), options=r.choice(SYN_OPTIONS))
        elif what < 0.82:
            say(sender, "SA", seq=me["nxt"] + off(), ack=peer["nxt"] + off(), options=r.choice(SYN_OPTIONS))
        elif what < 0.9 and steps:
            steps.append(r.choice([step for step in steps if step[0] == sender] or steps))
        else:
            say(sender, r.choice(("A", "PA", "FA", "RA", "A")), seq=me["nxt"] + off(), ack=peer["nxt"] + off(), length=r.choice((0, 0, 1, 100)))
    return steps


def entries():
    """tcp 120 SYN_SENT U a:1000 (U: [UNREPLIED], A: [ASSURED]), udp …, icmp 30 U a:8.0.7, unknown 600 U a."""
    lines = []
    with open("/proc/net/nf_conntrack", encoding="ascii") as file:
        for line in file:
            words = line.split()[2:]
            plain = [word[1] if word[0] == "[" else word for word in words[3:] if "=" not in word]
            src, _, *numbers = [word.split("=")[1] for word in words[3:] if "=" in word]
            start = {"tcp": numbers[0], "udp": numbers[0], "icmp": ".".join(numbers[:3])}.get(words[0])
            who = "ab"[src == ADDRESS["b"]] + (f":{start}" if start else "")
            lines.append(" ".join([words[0], str(-(-int(words[2]) // 10) * 10), *plain, who]))
    return sorted(lines)


def read_out(fds):
    for fd in fds:
        try:
            while True:
                data = os.read(fd, 4096)
                if data[0] >> 4 == 4:
                    return STATES[data[1]]
        except BlockingIOError:
            pass
    return None


def flush():
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    # IPCTNL_MSG_CT_DELETE of all, acknowledged.
    sock.send(struct.pack("<IHHIIBBH", 20, (1 << 8) | 2, 5, 1, 0, 2, 0, 0))
    sock.recv(4096)
    sock.close()


def open_tun(name, address):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x0001 | 0x1000))
    for words in (f"ip addr add {address} dev {name}", f"ip link set {name} up"):
        subprocess.run(words.split(), check=True)
    return fd


def sysctl(name, value=None):
    path = f"/proc/sys/net/netfilter/nf_conntrack_{name}"
    if value is None:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))
    return None


def record(fds, name, settings, steps):
    before = {key: sysctl(key) for key in settings}
    for key, value in settings.items():
        sysctl(key, value)
    flush()
    read_out(fds)
    seen, last = [], None
    for step in steps:
        state = ""
        if step.startswith("wait"):
            time.sleep(float(step.split()[1]))
        else:
            os.write(fds[0 if step[0] == "a" else 1], build(step, steps))
            state = read_out(fds)
        now = entries()
        seen.append([step, state, "=" if now == last else now])
        last = now
    for key, value in before.items():
        sysctl(key, value)
    return {"name": name, "sysctl": settings, "steps": seen}


def setup():
    """The forwarding namespace; its devices' descriptors."""
    fds = open_tun("eth0", "10.0.0.2/24"), open_tun("eth1", "10.0.1.9/24")
    for setting in ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0",
                    "net.ipv4.conf.eth1.rp_filter=0"):
        subprocess.run(["sysctl", "-qw", setting], check=False)
    for tos, state in STATES.items():
        if state != "UNTRACKED":
            words = f"iptables-legacy -t mangle -A FORWARD -m conntrack --ctstate {state} -j TOS --set-tos {tos}"
            subprocess.run(words.split(), check=True)
    return fds


def main(out, seed, count, every):
    fds = setup()
    draw = [(f"drawn {n}", {}, drawn(random.Random(seed * 100000 + n))) for n in range(count)]
    recorded = [record(fds, *sequence) for sequence in [*list(written())[::every], *draw]]
    with open(out, "w", encoding="utf8") as file:
        file.write("[\n" + ",\n".join(json.dumps(sequence, separators=(",", ":")) for sequence in recorded) + "\n]\n")


if __name__ != "__main__":
    pass
elif sys.argv[1:2] == ["--inside"]:
    main(sys.argv[2], *map(int, sys.argv[3:6]))
else:
    here = os.path.abspath(__file__)
    words = " ".join(sys.argv[1:5]) or f"{here[:-2]}json {SEED} {DRAWN} 1"
    command = f"mount -t tmpfs tmpfs /run; mount -t sysfs sysfs /sys; ip link set lo up; exec {sys.executable} {here} --inside {words}"
    subprocess.run(["unshare", *([] if os.getuid() == 0 else ["-r"]), "--net", "--mount", "sh", "-c", command], check=True)
