"""Opens sockets, sets options, sends and reads error queues on request, as agent.ts does on a board: a Linux host's side of a test.

See agent.ts for what can be asked.
"""
import json
import select
import socket
import struct
import subprocess

KINDS = [socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_STREAM]
IP_TTL, IP_MTU_DISCOVER, IP_RECVERR, IP_MSFILTER = 2, 10, 11, 41
MSG_ERRQUEUE = 0x2000

sockets = {}
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
control.bind(("0.0.0.0", 9))


def number(packed):
    return struct.unpack(">i", packed)[0]


def pack(option, fields):
    """Addresses are in network order, what is none in the machine's."""
    plain = range(len(fields)) if option in (IP_TTL, IP_MTU_DISCOVER, IP_RECVERR) else (2, 3) if option == IP_MSFILTER else ()
    return b"".join(struct.pack("=i" if i in plain else ">i", field) for i, field in enumerate(fields))


def read_error(sock):
    data, messages, _, name = sock.recvmsg(2000, 512, MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    for level, kind, value in messages:
        if (level, kind) == (0, IP_RECVERR):
            errno, origin, sort, code, _, info, _ = struct.unpack("=IBBBBII", value[:16])
            offender = number(value[20:24]) if origin == 2 else 0
            return [number(socket.inet_aton(name[0])), name[1], len(data), errno, origin, sort, code, info, offender]
    return None


def act(which, call, numbers):
    if call == -1:
        sockets[which] = socket.socket(socket.AF_INET, KINDS[numbers[0]], numbers[1])
        return 0
    if call == 0:
        sockets.pop(which).close()
        return 0
    if call == -9:
        address = socket.inet_ntoa(struct.pack(">i", numbers[0]))
        return subprocess.call(["ip", "neigh", "flush", "to", address])
    if which not in sockets:
        sockets[which] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock = sockets[which]
    if call == -2:
        address, port, size = numbers
        data = b"\x08\0\xf7\xff" + bytes(size - 4) if size >= 8 else bytes(size)
        return sock.sendto(data, (socket.inet_ntoa(struct.pack(">i", address)), port))
    if call == -3:
        return read_error(sock)
    if call in (-4, -5):
        sock.setblocking(numbers[-1:] == [1])
        if call == -5:
            return len(sock.recv(2000))
        sock.connect((socket.inet_ntoa(struct.pack(">i", numbers[0])), numbers[1]))
        return 0
    if call == -6:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if call == -7:
        asked = select.poll()
        asked.register(sock, select.POLLIN | select.POLLOUT)
        return dict(asked.poll(0)).get(sock.fileno(), 0)
    if call == -8:
        sock.setsockopt(*numbers)
        return 0
    sock.setsockopt(0, call, pack(call, numbers))
    return 0


print("ready", flush=True)
while True:
    request, peer = control.recvfrom(2000)
    try:
        answer = act(*json.loads(request))
    except OSError as error:
        answer = -error.errno
    control.sendto(json.dumps(answer).encode(), peer)
