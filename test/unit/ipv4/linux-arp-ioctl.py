"""Writes linux-arp-ioctl.json: what Linux answers to random sequences of SIOCSARP, SIOCGARP and SIOCDARP, and what they leave.

Run as root in a network namespace of its own:
    unshare --net --mount-proc python3 test/unit/ipv4/linux-arp-ioctl.py
Devices d0 (02:00:00:00:00:01, 10.0.0.1/24), d1 (02:00:00:00:00:02, 10.1.0.1/24). A call is [request, address, flags, type and last byte
of the link address, netmask, device, answer]: 0 or the negative errno; of SIOCGARP [type, last byte, flags]. The netmask counts with
ATF_NETMASK, "" is no device. Behind the calls are the lines of /proc/net/arp, sorted, and proxy_arp of all, d0 and d1.
"""
import fcntl
import json
import os
import random
import socket
import struct
import subprocess

SIOCDARP, SIOCGARP, SIOCSARP = 0x8953, 0x8954, 0x8955
COM, PERM, PUBL, NETMASK, DONTPUB = 2, 4, 8, 0x20, 0x40
ADDRESSES = ["10.0.0.5", "10.0.0.5", "10.0.0.6", "10.1.0.5", "10.9.9.9", "10.0.0.1"]
rng = random.Random(11)
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def run(line):
    subprocess.run(line, shell=True, check=True)


def name(address):
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))


def call(request, address, flags, sort, last, mask, device):
    record = name(address) + struct.pack("=H5sB8x", sort, b"\2\0\0\0\0", last) + struct.pack("=i", flags) + name(mask) + device.encode().ljust(16, b"\0")
    try:
        answer = fcntl.ioctl(control, request, record)
    except OSError as error:
        return -error.errno
    return [*struct.unpack("=H5xB", answer[16:24]), struct.unpack("=i", answer[32:36])[0]] if request == SIOCGARP else 0


def setting(device, value=None):
    with open(f"/proc/sys/net/ipv4/conf/{device}/proxy_arp", "r" if value is None else "w") as file:
        return int(file.read()) if value is None else file.write(str(value))


def left():
    with open("/proc/net/arp") as file:
        return [sorted(" ".join(line.split()) for line in file.readlines()[1:]), [setting(device) for device in ("all", "d0", "d1")]]


def sequence():
    calls = []
    for _ in range(rng.randrange(10, 30)):
        request = rng.choice([SIOCSARP, SIOCSARP, SIOCSARP, SIOCGARP, SIOCDARP, SIOCDARP])
        flags = rng.choice([COM, COM | PERM, PERM, 0, COM | PUBL, COM | PERM | PUBL, PUBL, PUBL | NETMASK, COM | PUBL | NETMASK, COM | NETMASK, PUBL | DONTPUB, COM | DONTPUB])
        calls.append([
            request, rng.choice(ADDRESSES), flags, rng.choice([1, 1, 1, 1, 0, 6]), rng.choice([1, 1, 2, 9]),
            rng.choice(["0.0.0.0", "255.255.255.255", "255.255.255.0"]), rng.choice(["d0", "d0", "d1", "", "", "d9"])])
    return calls


for line in (
    "sysctl -qw net.ipv6.conf.default.disable_ipv6=1", "ip link set lo up", "ip link add d0 address 02:00:00:00:00:01 type veth peer name p0",
    "ip link add d1 address 02:00:00:00:00:02 type veth peer name p1", "for i in d0 d1 p0 p1; do ip link set $i up; done", "ip addr add 10.0.0.1/24 dev d0", "ip addr add 10.1.0.1/24 dev d1",
):
    run(line)
sequences = []
for _ in range(60):
    calls = [[*one, call(*one)] for one in sequence()]
    sequences.append([calls, left()])
    for device in ("all", "d0", "d1"):
        setting(device, 0)
    proxies = subprocess.run("ip neigh show proxy", shell=True, capture_output=True, text=True).stdout.splitlines()
    for words in map(str.split, proxies):
        run(f"ip neigh del proxy {words[0]} " + (f"dev {words[2]}" if words[1:2] == ["dev"] else ""))
    for device in ("d0", "d1"):
        run(f"ip link set {device} arp off; ip link set {device} arp on")
with open(os.path.join(os.path.dirname(__file__), "linux-arp-ioctl.json"), "w") as file:
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in sequences)
    file.write('{"kernel":%s,"sequences":[\n%s\n]}\n' % (json.dumps(os.uname().release.split("-")[0]), lines))
