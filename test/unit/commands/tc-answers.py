"""Writes tc-answers.json: what tc says and how it ends, on a TAP of an empty namespace.

    unshare --net python3 test/unit/commands/tc-answers.py
Each step is the words behind `tc`, the status, and what was printed; or "send COUNT LENGTH", frames of that many bytes given to the
device; or "ip" with words. Handles that the kernel picks count from 8001: here.
"""
import fcntl
import json
import os
import re
import socket
import struct
import subprocess

STEPS = """
qdisc show
qdisc show dev d0
-s qdisc show dev d0
send 3 100
-s qdisc show dev d0
-s qdisc show dev lo
qdisc add dev d0 root pfifo
qdisc show dev d0
-s qdisc
qdisc add dev d0 root pfifo limit 10
qdisc change dev d0 root pfifo limit 10
qdisc show dev d0
send 5 1000
-s qdisc show dev d0
qdisc replace dev d0 root pfifo limit 20
-s qdisc show dev d0
qdisc replace dev d0 root tbf rate 1mbit burst 10kb latency 50ms
qdisc show dev d0
qdisc show
send 5 1000
-s qdisc show dev d0
qdisc change dev d0 root tbf rate 2mbit burst 5k limit 20k
qdisc show dev d0
-d qdisc show dev d0
qdisc change dev d0 root pfifo
qdisc show dev d0
qdisc change dev d0 root pfifo limit 3
qdisc show dev d0
qdisc replace dev d0 root tbf rate 8kbit burst 1500 limit 3000
send 6 1000
-s qdisc show dev d0
qdisc replace dev d0 root tbf rate 8kbit burst 1500 limit 3000
qdisc replace dev d0 root tbf rate 2mbit burst 5k limit 20k
qdisc add dev d0 root handle 1: tbf rate 8bit burst 1500 limit 3000
qdisc replace dev d0 root handle 1: tbf rate 64kbit burst 1600 limit 3000
qdisc show dev d0
qdisc replace dev d0 root handle 1:1 pfifo
qdisc replace dev d0 root handle 1: pfifo
qdisc change dev d0 root handle 2: tbf rate 1mbit burst 2k limit 3k
qdisc add dev d0 root handle 1: tbf rate 64kbit burst 1600 limit 3000
qdisc replace dev d0 root handle 2: pfifo limit 7
qdisc show dev d0
qdisc change dev d0 handle 2: pfifo limit 8
qdisc change dev d0 handle 3: pfifo limit 8
qdisc show dev d0
qdisc del dev d0 root handle 3:
qdisc del dev d0 root tbf
qdisc del dev d0 handle 2:
qdisc del dev d0
qdisc del dev d0 root
qdisc del dev d0 root
qdisc show dev d0
-s qdisc show dev d0
qdisc change dev d0 root pfifo limit 3
qdisc change dev d0 root tbf rate 1mbit burst 2k limit 3k
qdisc add dev d0 root tbf rate 1gbit burst 100kb latency 1s
qdisc show dev d0
qdisc replace dev d0 root tbf rate 100kbps burst 3000b limit 1mb
qdisc show dev d0
qdisc replace dev d0 root tbf rate 1.5mbit burst 3kbit lat 1500us
qdisc show dev d0
qdisc replace dev d0 root tbf rate 1mibit buffer 4kib limit 2mib
qdisc show dev d0
qdisc replace dev d0 root tbf rate 256kbit maxburst 16k latency 2.5s
qdisc show dev d0
qdisc replace dev d0 root tbf rate 1mbit burst 10k limit 5k
qdisc show dev d0
qdisc replace dev d0 root tbf rate 1mbit burst 10k latency 70ms peakrate 2mbit minburst 1540
qdisc show dev d0
-d qdisc show dev d0
qdisc replace dev d0 root tbf rate 1mbit burst 10k latency 70ms peakrate 1mbit minburst 1540
qdisc replace dev d0 root tbf rate 1mbit burst 10k latency 70ms peakrate 500kbit mtu 1540
qdisc replace dev d0 root tbf rate 1mbit burst 10k latency 70ms
qdisc show dev d0
qdisc replace dev d0 root tbf
qdisc replace dev d0 root tbf rate 1mbit
qdisc replace dev d0 root tbf rate 1mbit burst 10k
qdisc replace dev d0 root tbf rate 1mbit latency 50ms
qdisc replace dev d0 root tbf burst 10k latency 50ms
qdisc replace dev d0 root tbf rate 1mbit burst 10k limit 10k latency 50ms
qdisc replace dev d0 root tbf rate 1mbit burst 10k latency 50ms latency 60ms
qdisc replace dev d0 root tbf rate 1mbit burst 10k limit 3k limit 5k
qdisc replace dev d0 root tbf rate 1mbit rate 2mbit burst 10k limit 3k
qdisc replace dev d0 root tbf rate 1mbit burst 10k burst 2k limit 3k
qdisc replace dev d0 root tbf rate fast burst 10k latency 50ms
qdisc replace dev d0 root tbf rate 1mbit burst much latency 50ms
qdisc replace dev d0 root tbf rate 1mbit burst 10k latency long
qdisc replace dev d0 root tbf rate 1mbit burst 10k limit high
qdisc replace dev d0 root tbf rate 0 burst 10k limit 3k
qdisc replace dev d0 root tbf rate 1mbit burst 0 limit 3k
qdisc replace dev d0 root tbf rate 1mbit burst 10k limit 0
qdisc replace dev d0 root tbf rate 1mbit burst 10k latency 0
qdisc replace dev d0 root tbf rate 1mbit burst 10k limit 3k bogus
qdisc replace dev d0 root tbf rate 1mbit burst 10k limit
qdisc replace dev d0 root tbf help
qdisc replace dev d0 root pfifo limit
qdisc replace dev d0 root pfifo limit many
qdisc replace dev d0 root pfifo limit 0
qdisc show dev d0
qdisc replace dev d0 root pfifo limit -1
qdisc replace dev d0 root pfifo bogus 3
qdisc replace dev d0 root pfifo limit 1 limit 2
qdisc show dev d0
qdisc replace dev d0 root pfifo help
qdisc replace dev d0 root nothing
qdisc change dev d0 root nothing
qdisc del dev d0 root nothing
qdisc del dev d0 root pfifo limit 9
qdisc replace dev d0 root pfifo limit 2
qdisc replace dev d0 root fq_codel
qdisc replace dev d0 root pfifo_fast
qdisc show dev d0
qdisc replace dev d0 root pfifo_fast bogus
qdisc replace dev d9 root pfifo
qdisc show dev d9
qdisc del dev d9 root
qdisc add root pfifo
qdisc add dev d0 pfifo
qdisc add dev d0 parent 1:1 pfifo
qdisc replace dev d0 parent 9:1 pfifo
qdisc add dev d0 root parent 1:1 pfifo
qdisc add dev d0 root root pfifo
qdisc add dev d0 dev d0 root pfifo
qdisc add dev d0 root handle x pfifo
qdisc add dev d0 root handle 1: handle 2: pfifo
qdisc add dev d0 root
qdisc add
qdisc bogus
qdisc show bogus
qdisc list dev d0
qdisc ls dev d0
qdisc get dev d0 root
bogus
-bogus
qdisc replace dev lo root pfifo limit 4
qdisc show
ip link set d0 down
qdisc show dev d0
ip link show d0
qdisc replace dev d0 root tbf rate 1mbit burst 2k limit 3k
qdisc show dev d0
ip link show d0
ip link set d0 up
ip link show d0
qdisc show dev d0
qdisc link dev d0 handle 5: root
qdisc del dev lo root
qdisc show
-o qdisc show dev d0
-4 qdisc
""".strip().split("\n")

SIOC = 0x400454CA
first = None


def normal(text):
    def handle(match):
        global first
        number = int(match.group(1), 16)
        if number < 0x8000:
            return match.group(0)
        if first is None:
            first = number
        return "%x:" % ((number - first) % 0x7fff + 0x8001)
    return re.sub(r"(?<=\s)([0-9a-f]{1,4}):(?=\s)", handle, text)


def run(words):
    result = subprocess.run(words, capture_output=True, text=True)
    return [result.returncode, result.stdout, result.stderr]


def main():
    subprocess.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, SIOC, struct.pack("16sH22x", b"d0", 0x0002 | 0x1000))
    subprocess.run(["ip", "link", "set", "d0", "up", "txqueuelen", "32"], check=True)
    rows = []
    for step in STEPS:
        words = step.split()
        if words[0] == "send":
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            sock.bind(("d0", 0))
            for _ in range(int(words[1])):
                try:
                    sock.send(bytes(12) + b"\x88\xb5" + bytes(int(words[2]) - 14))
                except OSError as e:
                    pass
            sock.close()
            rows.append([step])
            continue
        answer = run(words if words[0] == "ip" else ["tc", *words])
        if words[0] == "ip" and words[2] == "set":
            rows.append([step])
            continue
        if words[0] == "ip":
            answer[1] = answer[1].split("\n")[0]
        answer = [answer[0], normal(answer[1]), normal(answer[2])]
        rows.append([step, *answer])
    path = os.path.join(os.path.dirname(__file__), "tc-answers.json")
    with open(path, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


main()
