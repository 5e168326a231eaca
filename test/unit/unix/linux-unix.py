"""Writes linux-unix.json: what Linux answers to calls on UNIX sockets drawn at random, and what poll() says of each socket after each.

    unshare --net python3 test/unit/unix/linux-unix.py
Names are abstract, as a path would need a file system. Each call is its name, its numbers, its answer (negative: an errno; text: what was
read), and the poll mask of every socket that is open.
"""
import json
import os
import random
import select
import socket
import struct

SEQUENCES = 80
CALLS = 40
rng = random.Random(5)
NAMES = ["a", "b", "cc"]
MASK = 0x1 | 0x4 | 0x8 | 0x10 | 0x2000
STREAM, DGRAM = 1, 2


def attempt(call):
    try:
        return call()
    except OSError as error:
        return -error.errno


def poll(sock):
    poller = select.poll()
    poller.register(sock, MASK)
    found = poller.poll(0)
    return found[0][1] & MASK if found else 0


class Run:
    def __init__(self):
        self.socks = {}
        self.next = 0

    def add(self, sock):
        sock.setblocking(False)
        self.socks[self.next] = sock
        self.next += 1
        return self.next - 1

    def pick(self):
        return rng.choice(list(self.socks))

    def masks(self):
        return [[number, poll(sock)] for number, sock in self.socks.items()]

    def open(self):
        kind = rng.choice([STREAM, STREAM, DGRAM])
        return ["socket", kind, self.add(socket.socket(socket.AF_UNIX, kind))]

    def pair(self):
        kind = rng.choice([STREAM, DGRAM])
        one, two = socket.socketpair(socket.AF_UNIX, kind)
        return ["pair", kind, [self.add(one), self.add(two)]]

    def bind(self):
        which, name = self.pick(), rng.choice(NAMES)
        return ["bind", which, name, attempt(lambda: self.socks[which].bind("\0" + name) or 0)]

    def listen(self):
        which, backlog = self.pick(), rng.choice([0, 1, 2, 5])
        return ["listen", which, backlog, attempt(lambda: self.socks[which].listen(backlog) or 0)]

    def connect(self):
        which, name = self.pick(), rng.choice(NAMES)
        return ["connect", which, name, attempt(lambda: self.socks[which].connect("\0" + name) or 0)]

    def accept(self):
        which = self.pick()
        return ["accept", which, attempt(lambda: self.add(self.socks[which].accept()[0]))]

    def send(self):
        which, text = self.pick(), rng.choice(["", "x", "hello", "0123456789"])
        return ["send", which, text, attempt(lambda: self.socks[which].send(text.encode(), socket.MSG_NOSIGNAL))]

    def sendto(self):
        which, text, name = self.pick(), rng.choice(["", "y", "world"]), rng.choice(NAMES)
        return ["sendto", which, text, name, attempt(lambda: self.socks[which].sendto(text.encode(), socket.MSG_NOSIGNAL, "\0" + name))]

    def recv(self):
        which, length, flags = self.pick(), rng.choice([0, 1, 3, 100]), rng.choice([0, 0, 0, socket.MSG_PEEK, socket.MSG_TRUNC])
        def call():
            # MSG_TRUNC of a stream throws data away on newer kernels: only what it answers for messages is asked.
            data, _, _, name = self.socks[which].recvmsg(length, 0, int(flags))
            return [data.decode(), name.decode().replace("\0", "@") if isinstance(name, bytes) else ""]
        if self.socks[which].type & 15 == STREAM:
            flags &= ~socket.MSG_TRUNC
        return ["recv", which, length, int(flags), attempt(call)]

    def shutdown(self):
        which, how = self.pick(), rng.choice([0, 1, 2])
        return ["shutdown", which, how, attempt(lambda: self.socks[which].shutdown(how) or 0)]

    def names(self):
        which = self.pick()
        text = lambda name: name.decode().replace("\0", "@") if isinstance(name, bytes) else name
        return ["names", which, attempt(lambda: text(self.socks[which].getsockname())), attempt(lambda: text(self.socks[which].getpeername()))]

    def error(self):
        which = self.pick()
        return ["error", which, self.socks[which].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]

    def close(self):
        which = self.pick()
        self.socks.pop(which).close()
        return ["close", which, 0]


def sequence():
    run = Run()
    calls = [run.open(), run.open()]
    ways = [run.bind] * 3 + [run.listen] * 3 + [run.connect] * 5 + [run.accept] * 4 + [run.send] * 6 + [run.sendto] * 4 + [run.recv] * 7 \
        + [run.shutdown, run.names, run.error, run.close]
    while len(calls) < CALLS:
        few = len(run.socks) < 2 or (len(run.socks) < 7 and rng.random() < 0.12)
        call = rng.choice([run.open, run.open, run.pair])() if few else rng.choice(ways)()
        calls.append([*call, run.masks()])
    for sock in run.socks.values():
        sock.close()
    return calls


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "linux-unix.json"), "w") as file:
    lines = ",\n".join(json.dumps(sequence(), separators=(",", ":")) for _ in range(SEQUENCES))
    file.write('{"kernel":%s,"sequences":[\n%s\n]}\n' % (json.dumps(os.uname().release.split("-")[0]), lines))
