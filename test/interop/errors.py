"""Has a host send what cannot arrive, and prints what its sockets' error queues say: usage errors.py TARGET (see agent.ts).

The host's way is by this namespace to 10.2.0.2 behind it. Addresses of the two sides are H (the host) and G (its gateway).
"""
import json
import socket
import struct
import sys
import time

target, gateway = sys.argv[1], sys.argv[2]
FAR, NOBODY, NOWHERE, FORBIDDEN = "10.2.0.2", "10.2.0.99", "10.9.9.9", "10.8.0.1"
TTL, MTU_DISCOVER, RECVERR, HDRINCL = 2, 10, 11, 3
UDP, RAW = 0, 1
DO, PROBE, DONT = 2, 3, 0

control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
control.settimeout(10)
control.connect((target, 9))


def ip(text):
    return struct.unpack(">i", socket.inet_aton(text))[0]


NAMES = {ip(target): "H", ip(gateway): "G"}


def ask(call, *numbers):
    control.send(json.dumps([0, call, numbers]).encode())
    return json.loads(control.recv(1000))


def text(number):
    return NAMES.get(number) or socket.inet_ntoa(struct.pack(">i", number))


def read(patience):
    """The next error, or what the queue answers when none has come."""
    until = time.monotonic() + patience
    while True:
        answer = ask(-3)
        if not isinstance(answer, int):
            return [text(answer[0]), *answer[1:8], text(answer[8])]
        if time.monotonic() > until:
            return answer
        time.sleep(0.05)


def case(name, to, size=32, port=9999, kind=UDP, protocol=0, options=(), patience=3.0, again=False, recverr=1):
    ask(-1, kind, protocol)
    for option, value in ((RECVERR, recverr), *options):
        ask(option, value)
    sent = [ask(-2, ip(to), port, size)]
    errors = [read(patience)]
    if again:
        sent += [ask(-2, ip(to), port, size), ask(-2, ip(to), port, size)]
    errors.append(read(0.2))
    ask(0)
    return [name, sent, errors]


print(json.dumps([
    case("closed port", FAR),
    case("closed port, told again by the next call", FAR, again=True),
    case("an empty datagram", FAR, 0),
    case("time exceeded", FAR, options=[(TTL, 1)]),
    case("no network", NOWHERE),
    case("forbidden", FORBIDDEN),
    case("no host", NOBODY, patience=8),
    case("too long for the path", FAR, 1400, options=[(MTU_DISCOVER, DO)], again=True),
    case("too long for this host", FAR, 3000, options=[(MTU_DISCOVER, DO)], patience=0.3),
    case("probing", FAR, 1400, options=[(MTU_DISCOVER, PROBE)]),
    case("raw ICMP, time exceeded", FAR, kind=RAW, protocol=1, options=[(TTL, 1)]),
    case("raw, no protocol", FAR, kind=RAW, protocol=253),
    case("raw, no host", NOBODY, kind=RAW, protocol=253, patience=8),
    case("ping, time exceeded", FAR, kind=UDP, protocol=1, port=0, options=[(TTL, 1)]),
    case("ping, no network", NOWHERE, kind=UDP, protocol=1, port=0),
    case("without IP_RECVERR", FAR, recverr=0, patience=0.3),
]))
