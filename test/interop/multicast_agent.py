"""Sets multicast options on request: a host's side of igmp.py's scenario, for a Linux host as board.ts is for a board.

A request to UDP port 9 is the JSON [socket, option, numbers], its answer 0 or the negative errno; sockets are made when they are first
named and option 0 closes one. Numbers are the fields of the option's structure in order, addresses in host order.
"""
import json
import socket
import struct

sockets = {}
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
control.bind(("0.0.0.0", 9))
print("ready", flush=True)
while True:
    request, peer = control.recvfrom(2000)
    number, option, fields = json.loads(request)
    answer = 0
    if option == 0:
        sockets.pop(number).close()
    else:
        sock = sockets.setdefault(number, socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        filter_ = option == 41
        try:
            sock.setsockopt(0, option, b"".join(struct.pack("=i" if filter_ and i in (2, 3) else ">i", n) for i, n in enumerate(fields)))
        except OSError as error:
            answer = -error.errno
    control.sendto(json.dumps(answer).encode(), peer)
