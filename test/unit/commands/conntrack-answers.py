"""Records how conntrack-tools' conntrack answers: conntrack-answers.json beside this file.

In a namespace as that of ../netfilter/conntrack-kernel.py packets are forwarded, and command lines run behind them. Recorded are output, complaints
and exit status: lines sorted, since a hash has no order; T for a timeout, since time passes; N for an id. To be run as root
with iptables-legacy and conntrack on PATH.
"""
import importlib.util
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SPEC = importlib.util.spec_from_file_location("kernel", os.path.join(HERE, "..", "netfilter", "conntrack-kernel.py"))
kernel = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(kernel)

FILL = [
    "a tcp S s=100 p=1001", "a tcp S s=100 p=1002", "b tcp SA s=500 a=101 p=1002",
    "a tcp S s=100 p=1003", "b tcp SA s=500 a=101 p=1003", "a tcp A s=101 a=501 p=1003",
    "a tcp S s=100 p=1004", "b tcp SA s=500 a=101 p=1004", "a tcp A s=101 a=501 p=1004", "a tcp FA s=101 a=501 p=1004", "b tcp FA s=501 a=102 p=1004",
    "a udp l=4 p=1005", "a udp l=4 p=1006", "b udp l=4 p=1006", "b udp l=4 p=1007", "a icmp 8 0 i=9", "b icmp 0 0 i=9", "a icmp 13 0 i=10", "a gre l=1",
]
LINES = [
    "-L", "-L conntrack", "--dump", "-L -p tcp", "-L -p TCP", "-L -p 6", "-L -p udp", "-L -p icmp", "-L -p 99", "-L -p 300", "-L -p foo", "-L -p",
    "-L -s 10.0.0.1", "-L -s 10.0.1.1", "-L --src 10.0.0.0/24", "-L --orig-src 10.0.0.0/255.255.255.0", "-L -s 10.0.0.0/33", "-L -s 1.2.3", "-L -s foo",
    "-L -d 10.0.1.1", "-L --orig-dst 10.0.0.1", "-L -r 10.0.1.1", "-L --reply-src 10.0.0.1", "-L -q 10.0.0.1", "-L --reply-dst 10.0.0.0/8",
    "-L -s 10.0.0.1 -d 10.0.1.1 -p tcp", "-L -p tcp --sport 1003", "-L -p tcp --orig-port-src 1003", "-L -p tcp --dport 80", "-L -p tcp --orig-port-dst 81",
    "-L -p tcp --reply-port-src 80", "-L -p tcp --reply-port-dst 1002", "-L -p udp --sport 1006", "-L -p tcp --state ESTABLISHED", "-L -p tcp --state SYN_SENT",
    "-L -p tcp --state established", "-L -p tcp --state BAD", "-L -p udp --state ESTABLISHED", "-L --sport 80", "-L -p icmp --icmp-type 8",
    "-L -p icmp --icmp-id 10", "-L -p icmp --icmp-code 0", "-L -u ASSURED", "-L -u SEEN_REPLY", "-L -u UNREPLIED", "-L -u bad", "-L -u ASSURED,SEEN_REPLY",
    "-L -o extended", "-L -o id", "-L -o id,extended", "-L -o ktimestamp", "-L -o bad", "-L -o", "-L -f ipv4", "-L -f ipv6", "-L -f bad", "-L -m 0", "-L -m 5",
    "-L -n", "-L -g", "-L -j", "-L foo", "-L foo bar", "-L expect", "-L -x", "-L -L", "-L -D", "-L -e NEW", "-L -s 10.0.0.1 foo",
    "-L dying", "-L unconfirmed", "-x", "-V", "--version", "-C", "--count", "-C conntrack", "-C expect", "-C -x", "-C -s 1.1.1.1", "-S -p tcp", "-F -s 1.1.1.1",
    "-G", "-G -p tcp", "-G -p tcp -s 10.0.0.1", "-G -p tcp -s 10.0.0.1 -d 10.0.1.1", "-G -p tcp -s 10.0.0.1 -d 10.0.1.1 --sport 1003",
    "-G -p tcp -s 10.0.0.1 -d 10.0.1.1 --sport 1003 --dport 80", "--get -p udp --orig-src 10.0.0.1 --orig-dst 10.0.1.1 --sport 1005 --dport 80",
    "-G -p tcp -s 10.0.0.1 -d 10.0.1.1 --sport 1 --dport 80", "-G -p icmp -s 10.0.0.1 -d 10.0.1.1 --icmp-type 8 --icmp-code 0 --icmp-id 9",
    "-D -p tcp --sport 1", "-D -p tcp --sport 1001", "-L -p tcp", "-D -p udp", "-C", "-D -p tcp --state LAST_ACK -o id", "-D -p tcp -s 10.0.0.1 -d 10.0.1.1 --sport 1002 --dport 80",
    "-L", "-D -s 10.0.0.0/24 -p icmp", "-D -u ASSURED", "-D", "-D", "-L", "--flush", "-F conntrack", "-F foo", "-F expect", "-S x", "-D foo",
]

def plain(text):
    text = re.sub(r"(?<=\d )(\d+)(?= (?:[A-Z_\d]+ )?src=)", "T", text)
    return re.sub(r"\bid=\d{5,}", "id=N", text)


def run(line):
    done = subprocess.run(["conntrack", *line.split()], capture_output=True, text=True, check=False, timeout=5)
    return [line, done.returncode, sorted(plain(done.stdout).splitlines()), plain(done.stderr)]


def main(out):
    fds = kernel.setup()
    send = lambda steps: [os.write(fds[0 if step[0] == "a" else 1], kernel.build(step, steps)) for step in steps]
    kernel.flush()
    send(FILL)
    answers = [run(line) for line in LINES]
    with open(out, "w", encoding="utf8") as file:
        json.dump({"fill": FILL, "answers": answers}, file, indent=0)
        file.write("\n")


if sys.argv[1:2] == ["--inside"]:
    main(sys.argv[2])
else:
    here = os.path.abspath(__file__)
    command = f"mount -t tmpfs tmpfs /run; mount -t sysfs sysfs /sys; ip link set lo up; exec {sys.executable} {here} --inside {here[:-2]}json"
    subprocess.run(["unshare", "--net", "--mount", "sh", "-c", command], check=True)
