"""Writes linux-options.json: what Linux answers to every option that is an int, of a fresh TCP and a fresh UDP socket.

Run as root in a network namespace of its own, so that no setting of the machine's counts:
    unshare --net python3 test/unit/socket/linux-options.py
Rows: kind, level, name, number, value before anything was set, and for each VALUES entry the result (negative errno) and,
where it was set, the value read back. IP_UNICAST_IF is here without its network order.
"""
import json
import os
import socket
import struct

VALUES = [-2, -1, 0, 1, 2, 3, 5, 6, 7, 16, 31, 64, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 100000, 0x7FFFFFFF]
SOCKET = {"SO_DEBUG": 1, "SO_REUSEADDR": 2, "SO_TYPE": 3, "SO_ERROR": 4, "SO_DONTROUTE": 5, "SO_BROADCAST": 6, "SO_KEEPALIVE": 9, "SO_OOBINLINE": 10,
          "SO_NO_CHECK": 11, "SO_PRIORITY": 12, "SO_BSDCOMPAT": 14, "SO_REUSEPORT": 15, "SO_SNDLOWAT": 19, "SO_TIMESTAMP": 29, "SO_ACCEPTCONN": 30,
          "SO_TIMESTAMPNS": 35, "SO_MARK": 36, "SO_PROTOCOL": 38, "SO_DOMAIN": 39, "SO_BUF_LOCK": 72, "no such option": 999}
IP = {"IP_TOS": 1, "IP_TTL": 2, "IP_HDRINCL": 3, "IP_PKTINFO": 8, "IP_MTU_DISCOVER": 10, "IP_RECVERR": 11, "IP_RECVTTL": 12,
      "IP_RECVTOS": 13, "IP_MTU": 14, "IP_FREEBIND": 15, "IP_RECVORIGDSTADDR": 20, "IP_MINTTL": 21, "IP_BIND_ADDRESS_NO_PORT": 24,
      "IP_UNICAST_IF": 50, "IP_LOCAL_PORT_RANGE": 51, "no such option": 999}
TCP = {"TCP_NODELAY": 1, "TCP_MAXSEG": 2, "TCP_CORK": 3, "TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6, "TCP_SYNCNT": 7,
       "TCP_LINGER2": 8, "TCP_DEFER_ACCEPT": 9, "TCP_WINDOW_CLAMP": 10, "TCP_QUICKACK": 12, "TCP_THIN_DUPACK": 17,
       "TCP_USER_TIMEOUT": 18, "TCP_FASTOPEN": 23, "TCP_NOTSENT_LOWAT": 25, "TCP_FASTOPEN_CONNECT": 30, "TCP_INQ": 36,
       "no such option": 999}
UDP = {"UDP_CORK": 1, "no such option": 999}
UNICAST_IF = 50
KINDS = {"tcp": (socket.SOCK_STREAM, 6, TCP), "udp": (socket.SOCK_DGRAM, 17, UDP)}


def swapped(value):
    return struct.unpack(">i", struct.pack("=i", value))[0]


def get(sock, level, number):
    try:
        if (level, number) == (0, UNICAST_IF):
            return swapped(sock.getsockopt(level, number))
        return struct.unpack("i", sock.getsockopt(level, number, 4).ljust(4, b"\0"))[0]
    except OSError as error:
        return -error.errno


def set_and_get(kind, level, number, value):
    with socket.socket(socket.AF_INET, KINDS[kind][0]) as sock:
        try:
            sock.setsockopt(level, number, swapped(value) if (level, number) == (0, UNICAST_IF) else value)
        except OSError as error:
            return [-error.errno]
        return [0, get(sock, level, number)]


def rows():
    for kind, (sort, own, options) in KINDS.items():
        for level, names in ((1, SOCKET), (0, IP), (own, options), (77, {"no such level": 1})):
            for name, number in names.items():
                with socket.socket(socket.AF_INET, sort) as sock:
                    before = get(sock, level, number)
                yield [kind, level, name, number, before, [set_and_get(kind, level, number, value) for value in VALUES]]


with open(os.path.join(os.path.dirname(__file__), "linux-options.json"), "w") as file:
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows())
    file.write('{"kernel":%s,"values":%s,"rows":[\n%s\n]}\n' % (json.dumps(os.uname().release.split("-")[0]), json.dumps(VALUES), lines))
