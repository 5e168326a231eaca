"""Writes tbf-trains.json: trains of frames sent through the kernel's tbf, and which of them came out when.

    unshare --net python3 test/unit/netif/tbf-trains.py
Each train: rate, burst, limit, peak rate and its mtu in bytes, then [sent at ms, length] of each frame, then [number, came out at ms].
Times are the kernel's clock from the first frame on. A real-time priority keeps the sender's own delays small.
"""
import fcntl
import json
import os
import random
import socket
import struct
import subprocess
import threading
import time

RNG = random.Random(8)
# rate, burst, limit, peak, mtu; pauses up to so many ms; lengths; frames
SHAPES = [
    (12500, 3000, 6000, 0, 0, 60, (60, 1500), 60),
    (125000, 5000, 20000, 0, 0, 12, (60, 1514), 120),
    (125000, 5000, 3000, 0, 0, 25, (60, 1514), 80),
    (1000000, 20000, 50000, 0, 0, 3, (500, 1514), 250),
    (8000, 1514, 10000, 0, 0, 120, (60, 1514), 30),
    (25000, 1000, 8000, 0, 0, 40, (900, 1100), 50),
    (12500, 6000, 12000, 50000, 1514, 50, (200, 1514), 60),
    (100000, 20000, 30000, 200000, 3000, 8, (200, 1514), 120),
]


def run(*words):
    subprocess.run(words, check=True)


def train(tap, shape):
    rate, burst, limit, peak, mtu, pause, lengths, count = shape
    more = ["peakrate", f"{peak}bps", "mtu", str(mtu)] if peak else []
    run("tc", "qdisc", "replace", "dev", "d0", "root", "tbf", "rate", f"{rate}bps", "burst", str(burst), "limit", str(limit), *more)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    sock.bind(("d0", 0))
    arrived = []
    done = threading.Event()

    def reader():
        while not done.is_set():
            try:
                frame = os.read(tap, 2048)
            except BlockingIOError:
                time.sleep(0.0001)
                continue
            arrived.append((struct.unpack("!H", frame[14:16])[0], time.monotonic()))

    thread = threading.Thread(target=reader)
    thread.start()
    time.sleep(0.2)
    start = due = time.monotonic()
    sent = []
    for number in range(count):
        # Bursts, and pauses in which the bucket fills.
        due += 0 if RNG.random() < 0.4 else RNG.random() * pause / 1000 * (6 if RNG.random() < 0.1 else 1)
        while (now := time.monotonic()) < due:
            time.sleep(max(0, min(due - now, 0.0005)))
        length = RNG.randint(*lengths)
        sent.append([round((now - start) * 1000, 2), length])
        try:
            sock.send(bytes(12) + b"\x88\xb5" + struct.pack("!H", number) + bytes(length - 16))
        except OSError:
            pass
    time.sleep(limit / rate + 0.3)
    done.set()
    thread.join()
    return [list(shape[:5]), sent, [[number, round((at - start) * 1000, 2)] for number, at in arrived]]


def main():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"d0", 0x0002 | 0x1000))
    run("ip", "link", "set", "d0", "up")
    trains = ",\n".join(json.dumps(train(tap, shape), separators=(",", ":")) for shape in SHAPES)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tbf-trains.json"), "w") as file:
        file.write('{"kernel":%s,"trains":[\n%s\n]}\n' % (json.dumps(os.uname().release.split("-")[0]), trains))


main()
