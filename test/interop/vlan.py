"""802.1Q on the Linux side, whose kernel may have none: a packet socket on a device that puts tags in and takes them out.

vlan.py DEVICE ID…       makes a TAP vID for each VLAN; what is sent by it goes out with the tag, what comes in with the tag by it
vlan.py --priority DEVICE ADDRESS   asks for ADDRESS by ARP in frames whose tag has only a priority; prints who answers, and how
"""
import fcntl
import os
import select
import socket
import struct
import sys

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_AUXDATA = 8
TP_STATUS_VLAN_VALID = 0x10
PACKET_OUTGOING = 4
TUNSETIFF = 0x400454CA
IFF_TAP = 2
IFF_NO_PI = 0x1000


def packet_socket(device):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.bind((device, ETH_P_ALL))
    return sock


def receive(sock):
    """The next frame without its tag, and the tag's control information (None: it had none)."""
    frame, ancillary, _, address = sock.recvmsg(65536, 256)
    if address[2] == PACKET_OUTGOING:
        return None, None
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID:
                return frame, tci
    return frame, None


def with_tag(frame, tci):
    return frame[:12] + struct.pack("!HH", 0x8100, tci) + frame[12:]


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def relay(device, ids):
    sock = packet_socket(device)
    taps = {vid: tap(f"v{vid}") for vid in ids}
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([sock, *taps.values()], [], [])
        for source in ready:
            if source is sock:
                frame, tci = receive(sock)
                if tci is not None and tci & 0xFFF in taps:
                    os.write(taps[tci & 0xFFF], frame)
            else:
                vid = next(vid for vid, fd in taps.items() if fd == source)
                sock.send(with_tag(os.read(source, 65536), vid))


def priority(device, target):
    sock = packet_socket(device)
    own = sock.getsockname()[4]
    ask = b"\xff" * 6 + own + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1)
    ask += own + socket.inet_aton("10.0.0.1") + bytes(6) + socket.inet_aton(target)
    sock.send(with_tag(ask, 0xA000))
    sock.settimeout(3)
    while True:
        frame, tci = receive(sock)
        if frame is not None and frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x02":
            print(socket.inet_ntoa(frame[28:32]), "tagged" if tci is not None else "untagged")
            return


if sys.argv[1] == "--priority":
    priority(sys.argv[2], sys.argv[3])
else:
    relay(sys.argv[1], [int(vid) for vid in sys.argv[2:]])
