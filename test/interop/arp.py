"""The judge of ARP: gives the kernel the same ARP packets under the same settings and says what it answered and learned.

Runs as the only thing in a network namespace. Reads a plan as JSON from standard input: the commands that make the host, and for
each case settings, commands, frames (device, hexadecimal) and datagrams (source, destination). Prints for each case the frames
answered to each, and the neighbours known at the end. The host has the devices d0 and d1; p0 and p1 are their other ends.
"""
import json
import select
import socket
import subprocess
import sys

WAIT = 0.001


def run(text):
    subprocess.run(text, shell=True, check=True, stdout=subprocess.DEVNULL)


def setting(name, value):
    with open("/proc/sys/net/ipv4/" + name, "w") as file:
        file.write(str(value))


class Ends:
    def __init__(self):
        self.sockets = []
        for name in ("p0", "p1"):
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
            end.bind((name, 0x0806))
            end.setblocking(False)
            self.sockets.append(end)

    def send(self, device, frame):
        self.sockets[int(device[1])].send(frame)

    def read(self):
        """Everything that has come out of the host: [device, frame]."""
        frames = []
        while True:
            ready = select.select(self.sockets, [], [], WAIT)[0]
            if not ready:
                return frames
            for end in ready:
                frame, address = end.recvfrom(2048)
                if address[2] != socket.PACKET_OUTGOING:
                    frames.append(["d" + address[0][1], frame.hex()])


def neighbours():
    text = subprocess.run("ip -4 neigh show nud all", shell=True, check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in text.splitlines() if " NOARP" not in line]
    return sorted(" ".join(word for word in words if word != "lladdr") for words in lines)


def datagram(source, destination):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        sender.sendto(b"x", (destination, 9))


def main():
    plan = json.load(sys.stdin)
    for command in ["ip link set lo up", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
                    "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0"]:
        run(command)
    for index in "01":
        run(f"ip link add d{index} address 02:00:00:00:00:0{int(index) + 1} type veth peer name p{index}")
        run(f"ip link set p{index} arp off up")
        run(f"ip link set d{index} up")
    for command in plan["setup"]:
        run("ip " + command)
    ends = Ends()
    results = []
    for case in plan["cases"]:
        for name, value in case["settings"].items():
            setting(name, value)
        for command in case["commands"]:
            run("ip " + command)
        ends.read()
        answers = []
        for device, frame in case["frames"]:
            ends.send(device, bytes.fromhex(frame))
            answers.append(ends.read())
        for source, destination in case["datagrams"]:
            datagram(source, destination)
            answers.append(ends.read())
        results.append({"answers": answers, "neighbours": neighbours()})
        for name in case["settings"]:
            setting(name, case["reset"][name])
        for command in case["undo"]:
            run("ip " + command)
        for device in ("d0", "d1"):
            run(f"ip link set {device} arp off; ip link set {device} arp on")
    print(json.dumps(results))


main()
