"""
The flows of one point of `bench loss` between two Linux kernels:

    flows.py SENDER_PID RECEIVER_PID ADDRESS SECONDS FLOWS SO_RCVBUF

Joins the network namespaces of the two processes in turn, opens a listener in the one and FLOWS connections in the other,
sends over all of them at once for SECONDS, compares every byte, and prints one line of JSON: the bytes that each flow's
receiver got.
"""
import ctypes
import json
import os
import selectors
import socket
import sys
import time

CLONE_NEWNET = 0x40000000
PORT = 5001
# A namespace other than the first may not choose its default, where that is not CUBIC.
CONGESTION = b"cubic"
PERIOD = 65521
PATTERN = bytes((i * 7 + (i >> 8) * 13) & 255 for i in range(PERIOD)) * 2

sender_pid, receiver_pid, address = sys.argv[1:4]
seconds, flows, rcvbuf = map(int, sys.argv[4:7])
libc = ctypes.CDLL(None, use_errno=True)


def enter(pid):
    with open(f"/proc/{pid}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Flow:
    def __init__(self, listener):
        self.sender = socket.socket()
        self.sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION)
        self.sender.connect((address, PORT))
        self.receiver, _ = listener.accept()
        self.sender.setblocking(False)
        self.receiver.setblocking(False)
        self.sent = self.got = 0

    def start(self, selector):
        selector.register(self.sender, selectors.EVENT_WRITE, self.write)
        selector.register(self.receiver, selectors.EVENT_READ, self.read)

    def write(self):
        at = self.sent % PERIOD
        self.sent += self.sender.send(memoryview(PATTERN)[at:at + PERIOD])

    def read(self):
        data = self.receiver.recv(PERIOD)
        at = self.got % PERIOD
        if not data or data != PATTERN[at:at + len(data)]:
            raise SystemExit(f"{len(data)} bytes after {self.got} are not what was sent")
        self.got += len(data)


enter(receiver_pid)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
listener.bind((address, PORT))
listener.listen(1)
enter(sender_pid)
running = [Flow(listener) for _ in range(flows)]
selector = selectors.DefaultSelector()
for flow in running:
    flow.start(selector)
end = time.monotonic() + seconds
while time.monotonic() < end:
    for key, _ in selector.select(end - time.monotonic()):
        key.data()
print(json.dumps([flow.got for flow in running]))
