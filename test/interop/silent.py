"""Has a host send to somebody who is not there, and prints what its sockets say and when: usage silent.py DEVICE GATEWAY TARGET.

TARGET is a host with an agent (agent.ts, agent.py) on the link of DEVICE, GATEWAY this program's address there. Nobody is at .99 of
the link; .50 is this program's, now and then. A case is [name, answers, seconds after the first in which .99 or .50 was asked for].
"""
import json
import socket
import struct
import subprocess
import sys
import threading
import time

device, gateway, target = sys.argv[1:4]
NET = gateway.rsplit(".", 1)[0]
SILENT, SOMETIMES = NET + ".99", NET + ".50"
UDP, RAW, TCP = 0, 1, 2
RECVERR, SOL_TCP, USER_TIMEOUT = 11, 6, 18
OPEN, CLOSE, SEND, READ_ERROR, CONNECT, RECEIVE, ERROR, POLL, SET, FORGET = -1, 0, -2, -3, -4, -5, -6, -7, -8, -9
PORT = 7

control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
control.settimeout(30)
control.connect((target, 9))
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
link.bind((device, 0x0806))
asked = []


def listen():
    while True:
        frame = link.recv(2048)
        wanted = socket.inet_ntoa(frame[38:42])
        if frame[20:22] == b"\0\1" and wanted in (SILENT, SOMETIMES) and socket.inet_ntoa(frame[28:32]) == target:
            asked.append(time.monotonic())


def ip(text):
    return struct.unpack(">i", socket.inet_aton(text))[0]


def ask(call, *numbers):
    control.send(json.dumps([0, call, numbers]).encode())
    return json.loads(control.recv(1000))


def has_sometimes(on):
    subprocess.check_call(["ip", "addr", "add" if on else "del", SOMETIMES + "/24", "dev", device])


class Case:
    """What was answered, one after the other; what takes its time with the seconds that it took."""

    def __init__(self, kind, protocol=0, recverr=0):
        asked.clear()
        self.answers = []
        ask(OPEN, kind, protocol)
        if recverr:
            ask(RECVERR, 1)

    def __call__(self, call, *numbers):
        started = time.monotonic()
        answer = ask(call, *numbers)
        took = round(time.monotonic() - started)
        self.answers.append([answer, took] if took else answer)
        return self

    def send(self, to=SILENT, port=PORT, size=32):
        return self(SEND, ip(to), port, size)

    def connect(self, to=SILENT, port=PORT, blocked=0):
        return self(CONNECT, ip(to), port, blocked)

    def wait(self, seconds):
        time.sleep(seconds)
        return self

    def happens(self, patience):
        """Seconds until poll() says something else."""
        before = now = ask(POLL)
        started = time.monotonic()
        while now == before and time.monotonic() < started + patience:
            time.sleep(0.05)
            now = ask(POLL)
        self.answers.append([before, now, round(time.monotonic() - started)])
        return self

    def queue(self):
        """How many errors wait, and the first one's errno, origin, type and code."""
        errors = []
        while not isinstance(error := ask(READ_ERROR), int):
            errors.append(error[3:7])
        self.answers.append([len(errors), errors[:1], error])
        return self

    def end(self, name, before=60):
        """`before`: what is asked for later than that does not count."""
        ask(CLOSE)
        for address in (SILENT, SOMETIMES):
            ask(FORGET, ip(address))
        return [name, self.answers, [round(moment - asked[0]) for moment in asked if moment - asked[0] < before]]


def datagrams(name, kind, protocol=0):
    port = PORT if kind == UDP and protocol == 0 else 0
    yield Case(kind, protocol).send(port=port).send(port=port).happens(4)(RECEIVE)(ERROR).send(port=port).end(f"{name}")
    yield Case(kind, protocol).connect(port=port).send(port=port).happens(4)(RECEIVE)(ERROR).send(port=port).end(f"{name}, connected")
    connected = Case(kind, protocol, 1).connect(port=port)
    yield connected.send(port=port).send(port=port).send(port=port).happens(5)(RECEIVE)(RECEIVE)(ERROR)(POLL).queue()(POLL)(ERROR).end(f"{name}, connected, IP_RECVERR")
    yield Case(kind, protocol, 1).send(port=port)(RECEIVE, 1)(RECEIVE)(POLL).queue().end(f"{name}, IP_RECVERR, received blocked")
    yield Case(kind, protocol, 1).send(port=port).wait(4).send(port=port).send(port=port).wait(4).queue().end(f"{name}, IP_RECVERR, told by the next call")


def streams():
    # The third SYN is due when the third question has had its second: whether it asks once more is a matter of milliseconds.
    for recverr in (0, 1):
        name = ", IP_RECVERR" if recverr else ""
        yield Case(TCP, 0, recverr).connect().happens(6)(ERROR)(ERROR).connect(target, 9)(RECEIVE).queue().end("TCP, not blocked" + name, 2.5)
        yield Case(TCP, 0, recverr).connect().connect().happens(6).connect().connect(target, 9)(ERROR).end("TCP, asked again how it went" + name, 2.5)
        yield Case(TCP, 0, recverr).connect().happens(6)(RECEIVE)(RECEIVE).send()(POLL).end("TCP, received" + name, 2.5)
        yield Case(TCP, 0, recverr).connect(blocked=1)(POLL)(ERROR).send()(RECEIVE).end("TCP, blocked" + name, 2.5)


def established(recverr, back):
    """
    The peer goes away in the middle; perhaps it is back before the sender gives up. Retransmissions after 0.2, 0.6, 1.4 and 3 s: whether
    the last one comes before or after the third question has had its second is a matter of milliseconds.
    """
    has_sometimes(True)
    with socket.create_server((SOMETIMES, PORT)) as server:
        case = Case(TCP, 0, recverr)
        server.settimeout(10)
        case(SET, SOL_TCP, USER_TIMEOUT, 30000 if back else 6000).connect(SOMETIMES, PORT, 1)
        peer = server.accept()[0]
        case.send()
        peer.recv(100)
        has_sometimes(False)
        asked.clear()
        case(FORGET, ip(SOMETIMES)).send().send()
        case.happens(4 if back else 20).queue()
        if back:
            has_sometimes(True)
            peer.settimeout(20)
            got = 0
            while got < 64:
                got += len(peer.recv(100))
            case.answers.append(got)
            case(POLL)(ERROR)
            has_sometimes(False)
        else:
            case(RECEIVE)(RECEIVE)(ERROR).send()
        peer.close()
        return case.end(f"a stream whose peer goes away{' and comes back' if back else ''}{', IP_RECVERR' if recverr else ''}", 2.5)


threading.Thread(target=listen, daemon=True).start()
cases = [*datagrams("UDP", UDP), *datagrams("raw", RAW, 253), *datagrams("ping", UDP, 1), *streams()]
cases += [established(recverr, back) for recverr in (0, 1) for back in (False, True)]
print(json.dumps(cases))
