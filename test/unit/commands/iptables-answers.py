"""Records what iptables 1.8.9 (legacy) answers on Linux: iptables-answers.json beside this file.

Each session runs in a network namespace of its own: unshare --net --mount, /run private. To be run as root with iptables-legacy on PATH.
"""
import json
import os
import subprocess
import sys

SESSIONS = [
    [
        "-N foo", "-A INPUT -s 10.0.0.0/8 -i eth+ ! -p tcp -j foo",
        "-A INPUT -p tcp -m tcp --dport 80:90 ! --sport 5 --tcp-flags SYN,ACK SYN -j DROP",
        "-A INPUT -p tcp --syn --tcp-option 8 -j REJECT --reject-with tcp-reset",
        "-A FORWARD -p udp -m multiport ! --dports 53,67:68 -j REJECT",
        "-A FORWARD -p icmp --icmp-type echo-request -m limit --limit 3/minute --limit-burst 7 -j ACCEPT",
        '-A FORWARD -p icmp ! --icmp-type 3/4 -j LOG --log-prefix "hi there " --log-level debug --log-ip-options',
        '-A OUTPUT -o lo -m mark --mark 0x1/0xff -m comment --comment "a remark" -g foo',
        "-A foo -f -d 1.2.3.4 -j RETURN", "-A foo", "-A INPUT -m mac --mac-source 02:00:00:00:00:01 -j ACCEPT", "-P FORWARD DROP",
        "-S", "-L -n -v", "-nL --line-numbers -x", "-S FORWARD 2", "-nvL INPUT 2", "-vS",
        "-A INPUT -j NOPE", "-A NOPE -j DROP", "-D INPUT 99", "-D INPUT -j DROP", "-A INPUT -p tcp --dport foo", "-A INPUT --dport 5",
        "-X INPUT", "-X foo", "-N foo", "-P foo DROP", "-P INPUT REJECT", "-A INPUT -s 1.2.3.4.5", "-Z x", "-A INPUT -p nope",
        "-t nope -L", "-A INPUT -o eth0 -j DROP", "-A OUTPUT -i eth0", "", "-A", "-A INPUT -j", "-Q", "-A INPUT -m nope",
        "-A INPUT -p tcp -j REJECT --reject-with foo", "-A INPUT -m limit --limit 0/s", "-A INPUT -p udp -j REJECT --reject-with tcp-reset",
        "-A FORWARD -t mangle -j TOS", "-L nope", "-E foo bar", "-R INPUT 1 -j DROP", "-I INPUT 3 -j DROP", "-I INPUT 300 -j DROP",
        "-C INPUT -j DROP", "-C INPUT -j QUEUE", "-F nope", "-N averyveryverylongchainnamethatistoolong", "-N -x", "-A INPUT extra",
        "-A INPUT -m multiport --dports 1", "-A INPUT -p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
        "-A INPUT -i averylonginterfacename", "-A INPUT -p tcp --tcp-flags FOO SYN", "-A INPUT -s 1.2.3.4/33", "-A INPUT -m mark --mark zz",
        "-A INPUT -m mac --mac-source zz", "-A INPUT -m state --state FOO", "-A INPUT -m state", "-A INPUT -j LOG --log-level 9",
        "-A INPUT -j LOG --log-prefix aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "-V", "-A INPUT -A INPUT", "-A INPUT -D INPUT",
        "-s 1.1.1.1 -L", "-A INPUT -s 1.2.3.4,2.3.4.5 -j DROP", "-A INPUT -s 10.1.2.3/8 -j DROP", "-A INPUT -s localhost -j DROP", "-S",
    ],
    [
        "-t mangle -A PREROUTING -j MARK --set-xmark 0x5/0xff", "-t mangle -A PREROUTING -p tcp -j TOS --set-tos 0x10",
        "-t mangle -A PREROUTING -j MARK --set-mark 7", "-t mangle -A PREROUTING -j MARK --and-mark 0xf0", "-t mangle -A PREROUTING -j MARK --or-mark 3",
        "-t mangle -A PREROUTING -j MARK --xor-mark 3", "-t mangle -A PREROUTING -j TOS --and-tos 0xf0", "-t mangle -A PREROUTING -j TOS --or-tos 4",
        "-t mangle -A PREROUTING -j TOS --xor-tos 4", "-t mangle -S", "-t mangle -nL", "-t mangle -nvL POSTROUTING",
        "-A INPUT -p tcp -j TOS --set-tos 1", "-t mangle -A INPUT -j REJECT", "-t raw -A PREROUTING -p udp -j DROP", "-t raw -S", "-t raw -P PREROUTING DROP",
        "-t raw -L -n",
    ],
    [
        "-N a", "-N b", "-A a -j b", "-A b -j a", "-S", "-D b 1", "-A INPUT -j a", "-A b -j b", "-A FORWARD -g b", "-X b", "-F", "-X", "-S",
        "-N c", "-A c -p icmp --icmp-type 8/0 -j RETURN", "-A c -p icmp -m icmp --icmp-type any", "-A c -p udp --dport :53", "-A c -p udp ! --sport 1024:",
        "-A c -p 47 -j QUEUE", "-A c ! -f -j ACCEPT", "-A c ! -s 192.168.0.0/255.255.0.0 -d 10.0.0.0/255.0.255.0", "-A c -m mark ! --mark 9",
        "-A c -m mac ! --mac-source 2:0:0:0:0:1", "-A c -m limit", "-A c -m limit --limit 1/day --limit-burst 1", "-A c -m limit --limit 20000/s",
        "-A c -m limit --limit 700/hour", "-A c -p sctp -m multiport --ports 1:2,3", "-A c -m comment --comment x", "-A c -i lo -o eth0", "-A c ! -i lo+",
        "-A c -m icmp --icmp-type 3", "-S c", "-nL c", "-nvL c", "-Z", "-Z c 1", "-Z c 99", "-D c 1", "-D c -p udp --dport 0:53", "-R c 1 -c 5 10 -j DROP",
        "-vS c 1", "-I c -j LOG", "-I c 2 -s 1.1.1.1,2.2.2.2 -j ACCEPT", "-S c", "-A c -s 1.1.1.1 -s 2.2.2.2", "-A c -p all", "-A c ! -p all", "-L -Z",
        "-E c INPUT", "-E INPUT d", "-E nope d", "-E c", "-P INPUT", "-P INPUT DROP", "-R c", "-R c x", "-D c 0", "-N ACCEPT", "-A c -j c", "-A c -m mark",
        "-A c -p tcp --syn ! --syn", "-A c -p tcp ! --syn", "-A c -p tcp --tcp-flags ALL NONE", "-A c -p tcp --tcp-option 0", "-S",
    ],
    [
        "-t nat -A POSTROUTING -j SNAT", "-t nat -A POSTROUTING -j SNAT --to-source 1.2.3.4",
        "-t nat -A POSTROUTING -j SNAT --to-source 1.2.3.4-1.2.3.9", "-t nat -A POSTROUTING -j SNAT --to 1.2.3.4:80",
        "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3.4:80",
        "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3.4-1.2.3.5:80-90 --random",
        "-t nat -A POSTROUTING -p tcp -j SNAT --to :80-90 --random-fully --persistent",
        "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3.4:90-80", "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3.4:0",
        "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3.4:70000", "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3",
        "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3.9-1.2.3.4", "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3.4-x",
        "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3.4 --to 1.2.3.5",
        "-t nat -A POSTROUTING -p tcp -j SNAT --to 1.2.3.4:80:90", "-t nat -A POSTROUTING -p tcp -j SNAT --random",
        "-t nat -A PREROUTING -j SNAT --to 1.2.3.4", "-A FORWARD -j SNAT --to 1.2.3.4",
        "-t nat -A POSTROUTING -j DNAT --to 1.2.3.4", "-t nat -A PREROUTING -j DNAT",
        "-t nat -A PREROUTING -j DNAT --to-destination 1.2.3.4",
        "-t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.2.3.4:8080",
        "-t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.2.3.4:8080-8090",
        "-t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.2.3.4-1.2.3.7:8080-8090/9000",
        "-t nat -A PREROUTING -p tcp -j DNAT --to-destination :8080 --random",
        "-t nat -A PREROUTING -p udp -j DNAT --to-destination 1.2.3.4:8080 --persistent",
        "-t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.2.3.4:8080/",
        "-t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.2.3.4:8080-8090/x",
        "-t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.2.3.4 --random-fully",
        "-t nat -A PREROUTING ! -p tcp -j DNAT --to-destination 1.2.3.4:80",
        "-t nat -A PREROUTING -p icmp -j DNAT --to-destination 1.2.3.4:80",
        "-t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.2.3.4 --to-destination 1.2.3.5",
        "-t nat -A PREROUTING -j REDIRECT", "-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 8080",
        "-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 8080-8090 --random",
        "-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 8090-8080",
        "-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 8080-8090/9000",
        "-t nat -A PREROUTING -j REDIRECT --to-ports 8080", "-t nat -A POSTROUTING -p tcp -j REDIRECT --to-ports 80",
        "-t nat -A POSTROUTING -j MASQUERADE", "-t nat -A POSTROUTING -o eth0 -p tcp -j MASQUERADE --to-ports 1024-65535",
        "-t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024", "-t nat -A POSTROUTING -j MASQUERADE --random",
        "-t nat -A POSTROUTING -j MASQUERADE --random-fully",
        "-t nat -A POSTROUTING -p tcp -j MASQUERADE --random-fully --random --to-ports 5-6",
        "-t nat -A POSTROUTING -j MASQUERADE --to-ports 1024", "-t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 9-3",
        "-t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports x", "-t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 0",
        "-t nat -A PREROUTING -j MASQUERADE", "-t nat -A PREROUTING -j DROP", "-t nat -P PREROUTING DROP",
        "-t nat -A PREROUTING -j REJECT", "-t nat -A PREROUTING -j ACCEPT", "-t nat -A FORWARD -j ACCEPT",
        "-t nat -A INPUT -j SNAT --to-source 9.9.9.9", "-t nat -S", "-t nat -L", "-t nat -L -n -v --line-numbers",
        "-t nat -D POSTROUTING -j SNAT --to-source 1.2.3.4", "-t nat -C PREROUTING -p tcp -j DNAT --to 1.2.3.4:8080",
        "-t nat -D PREROUTING 99", "-t nat -A PREROUTING -p tcp -j DNAT --to 1.2.3.4:1-2/0",
        "-t nat -A PREROUTING -p tcp -j DNAT --to 1.2.3.4:1-2x", "-t nat -A POSTROUTING -j MASQUERADE --random --random",
        "-t nat -A POSTROUTING -p tcp -j MASQUERADE --to 7", "-t nat -F POSTROUTING", "-t nat -S POSTROUTING",
    ],
    [
        "-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp",
        "-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper nope", "-t raw -A PREROUTING -p udp -j CT --helper ftp",
        "-t raw -A PREROUTING -j CT --helper ftp", "-t raw -A PREROUTING -p tcp -j CT --helper",
        "-t raw -A PREROUTING -j CT", "-t raw -A PREROUTING -j CT --notrack", "-t raw -A PREROUTING -j NOTRACK",
        "-t raw -A PREROUTING -p tcp -j CT --notrack --helper ftp",
        "-t raw -A PREROUTING -p tcp -j CT --helper ftp --helper ftp", "-A INPUT -j CT --notrack", "-A INPUT -j NOTRACK",
        "-t raw -S", "-t raw -L -nv",
    ],
    [
        "-A INPUT -p tcp --dport http -j ACCEPT", "-A INPUT -p tcp --dport ssh:https", "-A INPUT -p udp --sport domain --dport :ntp",
        "-A INPUT -p tcp -m multiport --dports ssh,http,8080,ftp:telnet", "-A INPUT -p udp --dport http", "-A INPUT -p udp ! --dport mdns",
        "-A INPUT -p tcp --dport HTTP", "-A INPUT -p tcp --dport http:nosuch", "-A INPUT -p tcp -m multiport --dports nosuch", "-A INPUT -p tcp --sport snmp",
        "-A INPUT -p tcp -m multiport --ports 25,53:67,110,143,443,993,3306", "-A INPUT -p udp -m multiport --ports 53,67:69,123,161,500,5353",
        "-A INPUT -p tcp --dport https:ssh", "-A INPUT -p TCP --dport 53", "-A INPUT -p ospf", "-A INPUT -p vrrp", "-A INPUT -p ipv6",
        "-A INPUT -p ipv6-icmp", "-A INPUT -p icmpv6", "-A INPUT -p l2tp", "-A INPUT -p pim", "-A INPUT -p 41", "-A INPUT -p 89", "-A INPUT -p 200",
        "-A INPUT -p 4", "-A INPUT -p ipip", "-A INPUT -p Udp", "-A INPUT -p ESP", "-A INPUT -p nosuch",
        "-A INPUT -m conntrack --ctstate SNAT,DNAT", "-A INPUT -m conntrack ! --ctstate NEW,SNAT -j DROP", "-A INPUT -m state --state SNAT",
        "-A INPUT -m conntrack --ctstatus ASSURED", "-A INPUT -m conntrack --ctstatus expected,CONFIRMED,SEEN_REPLY --ctdir REPLY",
        "-A INPUT -m conntrack ! --ctstatus NONE", "-A INPUT -m conntrack --ctstatus NONE,ASSURED", "-A INPUT -m conntrack --ctstatus BAD",
        "-A INPUT -m conntrack --ctdir ORIGINAL --ctstate NEW", "-A INPUT -m conntrack ! --ctdir ORIGINAL", "-A INPUT -m conntrack --ctdir reply",
        "-A INPUT -m conntrack --ctdir BOTH", "-A INPUT -m conntrack --ctdir", "-A INPUT -m conntrack --ctstate NEW --ctstate ESTABLISHED",
        "-A INPUT -m conntrack --ctstatus ASSURED --ctstatus EXPECTED", "-A INPUT -m conntrack --ctdir REPLY --ctdir REPLY",
        "-A INPUT -m conntrack --ctstate NEW,", "-A INPUT -m conntrack --ctstate", "-A INPUT -m conntrack", "-A INPUT -m conntrack ! --ctstatus ASSURED --ctstate BAD",
        "-A INPUT -m state --state NEW,ESTABLISHED --state RELATED", "-A INPUT -m state ! --state NEW", "-A INPUT -m state --state new,Untracked",
        "-t nat -A PREROUTING -p tcp --dport http -j REDIRECT --to-ports http-alt", "-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports nosuch",
        "-t nat -A PREROUTING -p tcp -j DNAT --to-destination 1.2.3.4:http", "-t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports http",
        "-S", "-L", "-L -n -v", "-D INPUT -p tcp --dport 80 -j ACCEPT", "-C INPUT -m conntrack --ctdir REPLY", "-C INPUT -m conntrack --ctstate DNAT,SNAT",
        "-D INPUT -m conntrack --ctstate DNAT", "-t nat -S", "-t nat -L",
    ],
]


def record(session):
    answers = []
    for line in session:
        done = subprocess.run(["sh", "-c", "exec iptables-legacy " + line], capture_output=True, text=True)
        answers.append([line, done.returncode, done.stdout, done.stderr])
    return answers


if len(sys.argv) > 1:
    print(json.dumps(record(SESSIONS[int(sys.argv[1])])))
else:
    sessions = []
    for n in range(len(SESSIONS)):
        command = f"mount -t tmpfs tmpfs /run; exec {sys.executable} {os.path.abspath(__file__)} {n}"
        out = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", command], capture_output=True, text=True, check=True).stdout
        sessions.append(json.loads(out))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "iptables-answers.json"), "w", encoding="utf8") as file:
        json.dump(sessions, file, indent=0)
        file.write("\n")
