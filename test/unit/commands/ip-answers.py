"""Writes ip-answers.json: what iproute2's `ip` and net-tools' `route` and `ifconfig` say and how they end.

    python3 test/unit/commands/ip-answers.py        (root)
Each scene has a network namespace of its own with d0 and d1, both up. A step is a command line, its status, and what it printed; or
"listen WORDS" and "heard", between which `ip monitor WORDS` tells what happens. Times of the day are written as zeros.
"""
import json
import os
import re
import subprocess
import sys
import time

SCENES = {
    "options": """
        ip
        ip help
        ip -h
        ip -help
        ip -bogus
        ip --bogus
        ip bogus
        ip -f
        ip -f bogus link
        ip -f inet addr show dev d0
        ip -family inet addr show dev d0
        ip --family inet addr show dev d0
        ip -4 link show dev d0
        ip -o link show dev d0
        ip -oneline link show dev d0
        ip -br link show dev d0
        ip -brief addr show dev d0
        ip -s link show dev d0
        ip -statistics link show dev d0
        ip -stats link show dev d0
        ip -s -s link show dev d0
        ip -s -s -o link show dev d0
        ip -ss link show dev d0
        ip -d link show dev d0
        ip -details addr show dev d0
        ip -d -s link show dev d0
        ip -h -s link show dev d0
        ip -human -s link show dev d0
        ip -human-readable -s link show dev d0
        ip -iec -s link show dev d0
        ip -N route show table local dev d0
        ip -Numeric route show table local dev d0
        ip -r addr show dev d0
        ip -resolve addr show dev d0
        ip -c=never link show dev d0
        ip -color=never link show dev d0
        ip -c=auto link show dev d0
        ip -c=bogus link show dev d0
        ip -l 5 link show dev d0
        ip -loops 5 addr show dev d0
        ip -l bogus link show dev d0
        ip -l
        ip -rcvbuf bogus link
        ip -t link show dev d0
        ip -ts link show dev d0
        ip -a link show dev d0
        ip -all link show dev d0
        ip -j link show dev d0
        ip -json link show dev d0
        ip -j -p link show dev d0
        ip -p link show dev d0
        ip -pretty -json link show dev d0
        ip -force link show dev d0
        ip -j addr show dev d0
        ip -j -o link show dev d0
        ip -j -br link show dev d0
        ip -j -br addr show dev d0
        ip -j -s link show dev d0
        ip -j -s -s link show dev d0
        ip -j -p -s link show dev d0
        ip -j -d link show dev d0
        ip -j route
        ip -j -p route
        ip -j rule
        ip -j -p rule
        ip -j neigh
        ip -j bogus
        ip -j addr show dev d9
        ip -j route get 1.2.3.4
        ip l
        ip li
        ip lin
        ip link
        ip a
        ip ad
        ip addr
        ip address
        ip addres
        ip addresss
        ip n
        ip ne
        ip neighbor
        ip neighbour
        ip r
        ip ro
        ip ru
        ip rul
        ip ma show dev d9
        ip l l dev d0
        ip l ls dev d0
        ip l lst dev d0
        ip a s dev d0
        ip a sh d0
        ip a l d0
        ip ro li
        ip ro ls
        ip ru li
        ip ne ls
        ip link help
        ip addr help
        ip route help
        ip rule help
        ip neigh help
        ip monitor help
        ip link bogus
        ip addr bogus
        ip route bogus
        ip rule bogus
        ip neigh bogus
        ip monitor bogus
        ip route l bogus
    """,
    "address": """
        ip addr add 10.0.0.1/24 dev d0
        ip addr add 10.0.0.1/24 dev d0
        ip addr add 10.0.0.1/25 dev d0
        ip addr show dev d0
        ip addr del 10.0.0.1/25 dev d0
        ip addr add 10.0.1.1/24 brd + dev d0
        ip addr add 10.0.2.1/24 broadcast + dev d0 label d0:2
        ip addr add 10.0.3.1/24 brd - dev d0
        ip addr add 10.0.4.1/24 brd 10.0.4.77 dev d0
        ip addr add 10.0.5.1/24 brd bogus dev d0
        ip addr add 10.0.5.1/24 brd + brd + dev d0
        ip addr add 10.0.5.1/32 brd + dev d0
        ip addr add 10.0.5.2/31 brd + dev d0
        ip addr show d0
        ip addr add 10.0.6.1/24 dev d0 scope link
        ip addr add 10.0.7.1/24 dev d0 scope host
        ip addr add 10.0.8.1/24 dev d0 scope site
        ip addr add 10.0.9.1/24 dev d0 scope global
        ip addr add 10.0.10.1/24 dev d0 scope 17
        ip addr add 10.0.11.1/24 dev d0 scope bogus
        ip addr add 10.0.11.1/24 dev d0 scope 300
        ip addr add 127.1.0.1/24 dev d0
        ip addr add 10.0.12.1 peer 10.0.12.2 dev d0
        ip addr add 10.0.13.1 peer 10.0.13.2/30 dev d0
        ip addr add 10.0.13.1 remote 10.0.13.5/30 dev d0
        ip addr add 10.0.13.1/24 peer 10.0.13.9/30 dev d0
        ip addr add 10.0.14.1 peer bogus dev d0
        ip addr add 10.0.14.1 peer 10.0.14.2 peer 10.0.14.3 dev d0
        ip addr show dev d0
        ip addr add 10.0.15.1/24 dev d0 metric 77
        ip addr add 10.0.16.1/24 dev d0 priority 78
        ip addr add 10.0.17.1/24 dev d0 preference 79
        ip addr add 10.0.17.1/24 dev d0 metric bogus
        ip addr add 10.0.18.1/24 dev d0 noprefixroute
        ip addr add 10.0.19.1/24 dev d0 valid_lft forever preferred_lft forever
        ip addr add 10.0.21.1/24 dev d0 valid_lft 3600
        ip addr add 10.0.22.1/24 dev d0 valid_lft 3600sec preferred_lft 0
        ip addr add 10.0.23.1/24 dev d0 valid_lft 100 preferred_lft 200
        ip addr add 10.0.23.1/24 dev d0 valid_lft 0
        ip addr add 10.0.23.1/24 dev d0 valid_lft bogus
        ip addr add 10.0.23.1/24 dev d0 preferred_lft bogus
        ip addr add 10.0.23.1/24 dev d0 valid_lft
        ip addr show dev d0 to 10.0.20.0/22
        ip addr show dev d0 to 10.0.16.0/20
        ip -4 -o addr show dev d0 dynamic
        ip -4 -o addr show dev d0 permanent
        ip -4 -o addr show dev d0 deprecated
        ip -4 -o addr show dev d0 -deprecated
        ip -4 -o addr show dev d0 noprefixroute
        ip -4 -o addr show dev d0 -noprefixroute
        ip -4 -o addr show dev d0 tentative
        ip -4 -o addr show dev d0 primary
        ip -4 -o addr show dev d0 secondary
        ip -4 -o addr show dev d0 temporary
        ip -4 -o addr show dev d0 scope link
        ip -4 -o addr show dev d0 scope host
        ip -4 -o addr show dev d0 scope global
        ip -4 -o addr show dev d0 scope all
        ip -4 -o addr show dev d0 scope bogus
        ip -4 -o addr show dev d0 label d0:2
        ip -4 -o addr show dev d0 label d0*
        ip -4 -o addr show label d0:*
        ip -4 -o addr show label bogus
        ip -4 -o addr show to 10.0.12.0/22
        ip -4 -o addr show to 10.0.1.1
        ip -4 -o addr show to bogus
        ip -4 -o addr show up
        ip -4 -o addr show group default
        ip -4 -o addr show group bogus
        ip -4 -o addr show master bogus
        ip -4 -o addr show nomaster to 10.0.1.1
        ip -4 -o addr show dev d0 dev d1
        ip -4 -o addr show d0 d1
        ip -4 -o addr show dev
        ip -4 -o addr show bogus
        ip addr show dev bogus
        ip -br addr show dev d0
        ip -br addr
        ip -br -4 addr show dev d1
        ip -br addr show dev d0 to 10.0.12.0/22
        ip -br addr show scope link
        ip -o addr show dev d0 to 10.0.12.0/22
        ip -j addr show dev d0 to 10.0.12.0/22
        ip -j -p addr show dev d0 to 10.0.20.0/22
        ip -j -br addr show dev d0 to 10.0.12.0/22
        ip -j -4 addr show dev d0 to 10.0.16.0/22
        ip -j addr show dev d1
        ip -s addr show dev d0 to 10.0.1.1
        ip -d addr show dev d0 to 10.0.1.1
        ip -s -s addr show dev d0 to 10.0.1.1
        ip addr add
        ip addr add dev d0
        ip addr add dev
        ip addr add 10.0.30.1/24
        ip addr add 10.0.30.1/24 dev bogus
        ip addr add 10.0.30.1/33 dev d0
        ip addr add 10.0.30.1/-1 dev d0
        ip addr add 10.0.30.1/ dev d0
        ip addr add 10.0.30.1/255.255.255.0 dev d0
        ip addr add 10.0.31.1/0xff dev d0
        ip addr add 10.0.31/24 dev d0
        ip addr add 10.0.31.256/24 dev d0
        ip addr add bogus dev d0
        ip addr add any dev d0
        ip addr add default dev d0
        ip addr add 0.0.0.0/0 dev d0
        ip addr add 10.0.32.0/24 dev d0
        ip addr add 10.0.33.255/24 dev d0
        ip addr add 224.0.0.5/24 dev d0
        ip addr add 255.255.255.255/32 dev d0
        ip addr add local 10.0.34.1/24 dev d0
        ip addr add local 10.0.34.1/24 local 10.0.35.1/24 dev d0
        ip addr add 10.0.34.1/24 10.0.35.1/24 dev d0
        ip addr add 10.0.36.1/24 dev d0 label bogus
        ip addr add 10.0.36.1/24 dev d0 label d0:0123456789012
        ip addr add 10.0.36.1/24 dev d0 label d00
        ip addr add 10.0.36.1/24 dev d0 label
        ip addr add 10.0.38.1/24 dev d0 bogus
        ip addr del 10.0.34.1/24 dev d0
        ip addr del 10.0.34.1/24 dev d0
        ip addr del 10.0.1.1 dev d0
        ip addr del 10.0.99.1/24 dev d0
        ip addr del 10.0.99.1/24 dev d1
        ip addr del 10.0.99.1/24 dev bogus
        ip addr del 10.0.99.1/24
        ip addr del dev d0
        ip addr del
        ip addr delete 10.0.2.1/24 dev d0 label d0:2
        ip addr d 10.0.3.1/24 dev d0
        ip addr replace 10.0.40.1/24 dev d0
        ip addr replace 10.0.40.1/24 dev d0 metric 5
        ip addr change 10.0.41.1/24 dev d0
        ip addr chg 10.0.40.1/24 dev d0 noprefixroute
        ip addr show dev d0 to 10.0.40.0/22
        ip addr flush
        ip addr flush dev bogus
        ip -s addr flush dev d0 to 10.0.40.0/22
        ip -s -s addr flush dev d0 to 10.0.12.0/22
        ip -s addr flush dev d0 to 10.0.12.0/22
        ip addr flush dev d0 scope link
        ip addr flush dev d0 label d0:*
        ip addr show dev d0
        ip addr flush dev d0
        ip addr show dev d0
        ip -j addr flush dev d0
    """,
    "link": """
        ip link show
        ip link show d0
        ip link show dev d0
        ip link show dev d0 up
        ip link list d0
        ip link show bogus
        ip link show dev bogus
        ip link show dev d0 dev d1
        ip link show d0 d1
        ip link show dev
        ip link show up
        ip link show group default
        ip link show group bogus
        ip link show type veth
        ip link show type bogus
        ip link show master bogus
        ip link show nomaster dev d0
        ip link show vrf bogus
        ip link set d0 down
        ip link show d0
        ip -br link show d0
        ip link set d0 up
        ip link set dev d0 up
        ip link set d0 up down
        ip link set d0 up
        ip link set
        ip link set dev
        ip link set up
        ip link set d0
        ip link set bogus up
        ip link set d0 bogus
        ip link set d0 bogus up
        ip link set d0 mtu 1400
        ip link set d0 mtu
        ip link set d0 mtu bogus
        ip link set d0 mtu -1
        ip link set d0 mtu 1400 mtu 1401
        ip link set d0 mtu 1500
        ip link set d0 txqueuelen 50
        ip link set d0 txqlen 51
        ip link set d0 qlen 52
        ip link set d0 txqueuelen bogus
        ip link set d0 txqueuelen 1 txqueuelen 2
        ip link show d0
        ip link set d0 txqueuelen 32
        ip link set d0 address bogus
        ip link set d0 address 02:00:00:00:00
        ip link set d0 address 02:00:00:00:00:01:02
        ip link set d0 address
        ip link show d0
        ip link show d0
        ip link show d0
        ip link set d0 arp on
        ip link set d0 arp off
        ip link set d0 arp bogus
        ip link set d0 arp
        ip link set d0 multicast on
        ip link set d0 allmulticast on
        ip link set d0 promisc on
        ip link set d0 trailers on
        ip link set d0 dynamic on
        ip link show d0
        ip link set d0 multicast off
        ip link set d0 allmulticast off
        ip link set d0 promisc off
        ip link set d0 trailers off
        ip link set d0 dynamic off
        ip link set d0 multicast bogus
        ip link set d0 allmulti on
        ip link set d0 promisc maybe
        ip link set d0 dynamic
        ip link show d0
        ip link show d0
        ip link set d0 mtu 1500
        ip link show d0
        ip link set d0 name d7
        ip link set d0 down
        ip link set d0 name d7
        ip link set d7 name d1
        ip link set d7 name bad/name
        ip link set d7 name 0123456789012345
        ip link set d7 name
        ip link set d7 name d0
        ip link set d0 up
        ip link show d0
        ip link set d0 master d1
        ip link set d0 master bogus
        ip link set d0 nomaster
        ip link set d0 type bogus
        ip link set d0 type vlan
        ip link set d0 minmtu 100
        ip link add
        ip link add v0
        ip link add v0 type
        ip link add type bogus
        ip link add v0 type bogus
        ip link add v0 type veth bogus
        ip link add v0 mtu 1400 txqueuelen 0 address 02:00:00:00:00:05 type veth peer name v1 txqueuelen 0 address 02:00:00:00:00:06
        ip link set v0 address 02:00:00:00:00:07
        ip link set v0 address 2:0:0:0:0:5
        ip link set v0 address 03:00:00:00:00:01
        ip link set v0 address 00:00:00:00:00:00
        ip -d link show v0
        ip -j -d link show v0
        ip -j -p -d link show v0
        ip link add v0 type veth peer name v1
        ip link add name v2 type veth peer name v1
        ip link show type veth
        ip -br link show type veth
        ip -o link show type veth up
        ip -j link show type veth
        ip -d link show v0
        ip link set v0 up
        ip link set v1 up
        ip link show v0
        ip -br link
        ip link add br0 txqueuelen 0 address 02:00:00:00:00:09 type bridge
        ip link set v0 master br0
        ip link set v0 master br0
        ip link set d1 master v0
        ip link show v0
        ip link show master br0
        ip -br link show master br0
        ip -j link show master br0
        ip link set br0 up
        ip link set v0 nomaster
        ip link show type bridge
        ip link add br1 type bridge ageing_time bogus
        ip link add br1 type bridge bogus 1
        ip link del br0
        ip link del br0
        ip link delete v0
        ip link show v1
        ip link del
        ip link del dev
        ip link del bogus
        ip link del d0 d1
        ip link del lo
        ip link show dev d1
        ip link change d1 up
    """,
    "route": """
        ip addr add 10.0.0.1/24 dev d0
        ip addr add 10.1.0.1/24 dev d1
        ip route
        ip route show
        ip route list
        ip route show table local
        ip route show table all
        ip route add 10.2.0.0/16 via 10.0.0.2
        ip route add 10.2.0.0/16 via 10.0.0.2
        ip route add 10.2.0.0/16 via 10.0.0.3 metric 10
        ip route append 10.2.0.0/16 via 10.0.0.4 metric 10
        ip route prepend 10.2.0.0/16 via 10.0.0.5 metric 10
        ip route change 10.2.0.0/16 via 10.0.0.6
        ip route chg 10.2.0.0/16 via 10.0.0.7 metric 10
        ip route replace 10.2.0.0/16 via 10.0.0.8 metric 20
        ip route replace 10.2.0.0/16 via 10.0.0.9 metric 20
        ip route test 10.2.0.0/16 via 10.0.0.9 metric 20
        ip route test 10.2.9.0/24 via 10.0.0.9 metric 20
        ip route show 10.2.0.0/16
        ip route change 10.99.0.0/16 via 10.0.0.6
        ip route add default via 10.0.0.254
        ip route add default via 10.1.0.254 metric 100
        ip route add 10.3.0.0/16 dev d0
        ip route add 10.3.1.0/24 via 10.0.0.2 dev d0 src 10.0.0.1
        ip route add 10.3.2.0/24 dev d0 src 10.0.0.99
        ip route add 10.3.2.0/24 dev d0 src bogus
        ip route add 10.3.2.0/24 dev d0 proto static
        ip route add 10.3.3.0/24 dev d0 protocol 77
        ip route add 10.3.4.0/24 dev d0 proto bogus
        ip route add 10.3.4.0/24 dev d0 proto 300
        ip route add 10.3.4.0/24 dev d0 proto boot
        ip route add 10.3.5.0/24 dev d0 scope link
        ip route add 10.3.6.0/24 dev d0 scope host
        ip route add 10.3.7.0/24 dev d0 scope global
        ip route add 10.3.8.0/24 dev d0 scope site
        ip route add 10.3.9.0/24 dev d0 scope bogus
        ip route add 10.3.9.0/24 dev d0 scope 300
        ip route add 10.3.9.0/24 via 10.0.0.2 scope link
        ip route add 10.4.0.0/24 via 10.0.0.2 tos 0x10
        ip route add 10.4.0.0/24 via 10.0.0.3 dsfield 0x08
        ip route add 10.4.0.0/24 via 10.0.0.3 tos bogus
        ip route add 10.4.0.0/24 via 10.0.0.3 tos 0x3
        ip route add 10.4.0.0/24 via 10.0.0.3 tos 256
        ip route add 10.4.1.0/24 via 10.0.0.2 metric 5
        ip route add 10.4.1.0/24 via 10.0.0.2 priority 6
        ip route add 10.4.1.0/24 via 10.0.0.2 preference 7
        ip route add 10.4.1.0/24 via 10.0.0.2 metric bogus
        ip route add 10.4.1.0/24 via 10.0.0.2 metric -1
        ip route add 10.4.1.0/24 via 10.0.0.2 metric 0x10
        ip route add 10.5.0.0/24 via 10.0.0.2 mtu 1400
        ip route add 10.5.1.0/24 via 10.0.0.2 mtu lock 1400
        ip route add 10.5.2.0/24 via 10.0.0.2 mtu bogus
        ip route add 10.5.2.0/24 via 10.0.0.2 advmss 1000 window 4096 rtt 100ms rttvar 20ms ssthresh 10 cwnd 11 initcwnd 12 initrwnd 13
        ip route add 10.5.3.0/24 via 10.0.0.2 hoplimit 64 reordering 5 quickack 1 rto_min 50ms fastopen_no_cookie 1 features ecn
        ip route add 10.5.4.0/24 via 10.0.0.2 rto_min 1s
        ip route add 10.5.5.0/24 via 10.0.0.2 rtt 1.5s
        ip route add 10.5.6.0/24 via 10.0.0.2 rtt lock 1.5
        ip route add 10.5.8.0/24 via 10.0.0.2 hoplimit 256
        ip route add 10.5.8.0/24 via 10.0.0.2 features bogus
        ip route add 10.5.8.0/24 via 10.0.0.2 quickack 2
        ip route add 10.5.8.0/24 via 10.0.0.2 window bogus
        ip route add 10.5.9.0/24 via 10.0.0.2 ttl-propagate enabled
        ip route add 10.5.9.0/24 via 10.0.0.2 pref high
        ip route add 10.5.9.0/24 via 10.0.0.2 pref bogus
        ip route add 10.5.9.0/24 via 10.0.0.2 expires 100
        ip route add 10.5.9.0/24 via inet 10.0.0.2
        ip route add 10.5.10.0/24 via fe80::1 dev d0
        ip route add 10.5.10.0/24 via bogus dev d0
        ip route add blackhole 10.6.0.0/24
        ip route add unreachable 10.6.1.0/24
        ip route add prohibit 10.6.2.0/24
        ip route add throw 10.6.3.0/24
        ip route add local 10.6.4.0/24 dev d0
        ip route add broadcast 10.6.5.0/24 dev d0
        ip route add multicast 224.6.0.0/16 dev d0
        ip route add anycast 10.6.6.0/24 dev d0
        ip route add nat 10.6.7.0/24 dev d0
        ip route add unicast 10.6.8.0/24 dev d0
        ip route add to unicast 10.6.9.0/24 dev d0
        ip route add type blackhole 10.6.10.0/24
        ip route add bogus 10.6.9.0/24 dev d0
        ip route add black 10.20.0.0/24
        ip route add u 10.20.1.0/24
        ip route add unr 10.20.2.0/24
        ip route add thro 10.20.3.0/24
        ip route add loc 10.20.4.0/24 dev d0
        ip route add brd 10.20.5.0/24 dev d0
        ip route add 6 10.20.6.0/24
        ip route add any 10.20.7.0/24 dev d0
        ip route add blackhole 10.6.11.0/24 dev d0
        ip route add blackhole 10.6.11.0/24 via 10.0.0.2
        ip route add 10.7.0.0/24 via 10.0.0.2 table 100
        ip route add 10.7.1.0/24 via 10.0.0.2 table 200
        ip route add 10.7.2.0/24 via 10.0.0.2 table main
        ip route add 10.7.3.0/24 via 10.0.0.2 table local
        ip route add 10.7.4.0/24 via 10.0.0.2 table default
        ip route add 10.7.4.0/24 via 10.0.0.2 table bogus
        ip route add 10.7.4.0/24 via 10.0.0.2 table -1
        ip route add 10.7.4.0/24 via 10.0.0.2 table 4294967296
        ip route add 10.8.0.0/24 via 5.5.5.5 dev d0
        ip route add 10.8.0.0/24 via 5.5.5.5 dev d0 onlink
        ip route add 10.8.1.0/24 via 5.5.5.5 onlink
        ip route add 10.8.1.0/24 via 10.0.0.1
        ip route add 10.8.1.0/24 via 10.0.0.255
        ip route add 10.8.1.0/24 via 127.0.0.1
        ip route add 10.8.1.0/24 via 224.0.0.1 dev d0
        ip route add 10.9.0.0/16 nexthop via 10.0.0.2 nexthop via 10.1.0.2 weight 3
        ip route add 10.9.1.0/24 nexthop dev d0 weight 2 nexthop dev d1
        ip route add 10.9.2.0/24 nexthop via 10.0.0.2 dev d0 onlink nexthop via 10.0.0.3
        ip route add 10.9.3.0/24 nexthop
        ip route add 10.9.3.0/24 nexthop via
        ip route add 10.9.3.0/24 nexthop via 10.0.0.2 weight 0
        ip route add 10.9.3.0/24 nexthop via 10.0.0.2 weight 257
        ip route add 10.9.3.0/24 nexthop via 10.0.0.2 weight bogus
        ip route add 10.9.3.0/24 nexthop via 10.0.0.2 dev bogus
        ip route add 10.9.3.0/24 nexthop via 10.0.0.2 bogus
        ip route add 10.9.3.0/24 via 10.0.0.2 nexthop via 10.0.0.3
        ip route add 10.9.3.0/24 mtu 1300 nexthop via 10.0.0.2 nexthop via 10.1.0.2
        ip route append 10.9.3.0/24 nexthop via 10.0.0.3 nexthop via 10.1.0.3
        ip route add
        ip route add dev d0
        ip route add 10.10.0.0/24
        ip route add 10.10.0.0/24 dev
        ip route add 10.10.0.0/24 dev bogus
        ip route add 10.10.0.0/24 oif d0
        ip route add 10.10.0.0/24 10.11.0.0/24 dev d0
        ip route add 10.10.0.0/33 dev d0
        ip route add 10.10.0.0/-5 dev d0
        ip route add 10.10.0.5/24 dev d0
        ip route add 10.10.256.0/24 dev d0
        ip route add 10.10.1 dev d0
        ip route add 10.11/16 dev d0
        ip route add 10.12.0.0/255.255.0.0 dev d0
        ip route add 10.13.0.0/255.0.255.0 dev d0
        ip route add to 10.14.0.0/24 dev d0
        ip route add exact 10.15.0.0/24 dev d0
        ip route add 10.15.0.0/24 dev d0 bogus
        ip route add 10.15.0.0/24 from 10.0.0.0/8 dev d0
        ip route add 10.15.0.0/24 dev d0 via
        ip route add 10.15.0.0/24 dev lo
        ip route add 0.0.0.0/0 dev d1 metric 300
        ip route add all dev d1 metric 301
        ip -4 route add fe80::/64 dev d0
        ip route show
        ip -d route show
        ip -o route show
        ip -N route show
        ip -s route show 10.3.0.0/16
        ip -j route show
        ip -j -p route show 10.9.0.0/16
        ip -j -d route show
        ip -j route show table all
        ip -j route show 10.99.0.0/16
        ip -d -o route show table local
        ip route show dev d1
        ip route show dev bogus
        ip route show oif d1
        ip route show iif d1
        ip route show via 10.0.0.2
        ip route show via 10.0.0.0/8
        ip route show via bogus
        ip route show src 10.0.0.1
        ip route show src bogus
        ip route show proto static
        ip route show proto kernel
        ip route show protocol 77
        ip route show proto all
        ip route show proto bogus
        ip route show scope link
        ip route show scope host
        ip route show scope global
        ip route show scope all
        ip route show scope bogus
        ip route show type blackhole
        ip route show type unicast
        ip route show type local table all
        ip route show type bogus
        ip route show table 100
        ip route show table 200
        ip route show table main
        ip route show table default
        ip route show table 77
        ip route show table cache
        ip route show table bogus
        ip route show cache
        ip route show cached
        ip route show cloned
        ip route show tos 0x10
        ip route show dsfield 0x08
        ip route show tos bogus
        ip route show metric 10
        ip route show priority 10
        ip route show metric bogus
        ip route show root 10.3.0.0/16
        ip route show match 10.3.1.1
        ip route show match 10.3.1.0/24
        ip route show exact 10.3.0.0/16
        ip route show exact 10.3.0.0/17
        ip route show root 10.3.0.0/16 match 10.3.1.1
        ip route show to 10.3.0.0/16
        ip route show to root 10.3.0.0/16
        ip route show to match 10.3.1.1
        ip route show to exact 10.3.0.0/16
        ip route show 10.3.0.0/16
        ip route show 10.3.1.1
        ip route show default
        ip route show 0/0
        ip route show exact default
        ip route show root bogus
        ip route show table
        ip route show dev
        ip route get 10.2.0.1
        ip route get 10.2.0.1 from 10.0.0.1
        ip route get 10.2.0.1 from 10.7.7.7
        ip route get 10.2.0.1 from bogus
        ip route get 10.2.0.1 from 10.0.0.5 iif d1
        ip route get 10.2.0.1 iif d1
        ip route get 10.2.0.1 iif bogus
        ip route get 10.2.0.1 oif d0
        ip route get 10.2.0.1 oif d1
        ip route get 10.2.0.1 dev d0
        ip route get 10.2.0.1 oif bogus
        ip route get 10.2.0.1 oif lo
        ip route get 10.2.0.1 tos 0x10
        ip route get 10.4.0.1 tos 0x10
        ip route get 10.4.0.1 dsfield 0x08
        ip route get 10.4.0.1 tos bogus
        ip route get 10.2.0.1 mark 5
        ip route get 10.2.0.1 mark 0x50
        ip route get 10.2.0.1 mark bogus
        ip route get 10.2.0.1 uid 5
        ip route get 10.2.0.1 uid bogus
        ip route get fibmatch 10.2.0.1
        ip route get 10.2.0.1 fibmatch
        ip route get 10.2.0.1 ipproto tcp
        ip route get 10.2.0.1 ipproto tcp sport 1000 dport 80
        ip route get 10.2.0.1 ipproto udp sport 1000
        ip route get 10.2.0.1 ipproto icmp
        ip route get 10.2.0.1 ipproto 47
        ip route get 10.2.0.1 ipproto 47 sport 1
        ip route get 10.2.0.1 ipproto bogus
        ip route get 10.2.0.1 sport 1000
        ip route get 10.2.0.1 sport bogus
        ip route get 10.2.0.1 sport 0
        ip route get 10.2.0.1 dport 80
        ip route get 10.2.0.1 dport 65536
        ip route get to 10.2.0.1
        ip route get 10.2.0.1/24
        ip route get 10.2.0.0/16
        ip route get 10.2.0.1 10.2.0.2
        ip route get bogus
        ip route get
        ip route get default
        ip route get 0.0.0.0
        ip route get 10.0.0.1
        ip route get 10.0.0.255
        ip route get 255.255.255.255
        ip route get 255.255.255.255 oif d1
        ip route get 224.0.0.1
        ip route get 224.0.0.1 oif d1
        ip route get 224.6.0.1
        ip route get 127.0.0.1
        ip route get 10.6.0.1
        ip route get 10.6.1.1
        ip route get 10.6.2.1
        ip route get 10.6.3.1
        ip route get 10.6.4.1
        ip route get 10.5.0.1
        ip route get 10.5.1.1
        ip route get 10.5.2.1
        ip route get 10.5.3.1
        ip -j route get 10.5.3.1
        ip -j -p route get 10.2.0.1
        ip -j route get 127.0.0.1
        ip -j route get 10.2.0.1 from 10.0.0.5 iif d1
        ip -j route get 10.6.1.1
        ip -o route get 10.2.0.1
        ip -d route get 10.2.0.1
        ip -N route get 127.0.0.1
        ip route del 10.2.0.0/16 metric 20
        ip route del 10.2.0.0/16 metric 20
        ip route del 10.2.0.0/16 via 10.0.0.99
        ip route del 10.2.0.0/16
        ip route del 10.2.0.0/16 dev d1
        ip route del 10.2.0.0/16 dev bogus
        ip route del 10.2.0.0/16 proto static
        ip route del blackhole 10.6.0.0/24
        ip route del unreachable 10.6.0.0/24
        ip route del 10.6.1.0/24
        ip route delete 10.6.2.0/24
        ip route del local 10.6.4.0/24
        ip route del 10.9.0.0/16 nexthop via 10.0.0.2 nexthop via 10.1.0.2 weight 3
        ip route del 10.9.1.0/24 nexthop dev d1
        ip route del 10.4.0.0/24 tos 0x08
        ip route del 10.4.1.0/24 src 10.0.0.1
        ip route del 10.5.0.0/24 mtu 1401
        ip route del 10.5.0.0/24 mtu 1400
        ip route del default
        ip route del default
        ip route del
        ip route del bogus
        ip route del 10.7.0.0/24
        ip route del 10.7.0.0/24 table 100
        ip route del 10.7.0.0/24 table 100
        ip route flush
        ip route flush bogus
        ip -s route flush 10.99.0.0/16
        ip -s route flush proto 77
        ip -s -s route flush 10.3.5.0/24
        ip route flush table 200
        ip route flush table 77
        ip route flush cache
        ip -s route flush cache
        ip route flush dev d1 proto boot
        ip route flush root 10.5.0.0/16
        ip route flush type throw
        ip route flush scope link proto boot
        ip route show table all
        ip link set d1 down
        ip route show
        ip route get 10.1.0.5
    """,
    "rule": """
        ip rule
        ip rule show
        ip rule list
        ip rule add from 10.0.0.0/8
        ip rule add from 10.0.0.0/8 table 100
        ip rule add from 10.0.0.0/8 lookup 100
        ip rule add from 10.1.2.3 table 100
        ip rule add from 10.1.2.3/33 table 100
        ip rule add from bogus table 100
        ip rule add from all table 100 pref 50
        ip rule add from 10.5.0.1/16 table 100 pref 51
        ip rule add to 10.2.0.0/16 table 101 pref 100
        ip rule add to bogus table 101
        ip rule add from 10.0.0.0/8 to 10.2.0.0/16 table 101 priority 101
        ip rule add iif d0 table 102 order 102
        ip rule add dev d0 table 102 preference 103
        ip rule add iif d9 table 102 pref 104
        ip rule add oif d1 table 102 pref 105
        ip rule add oif d9 table 102 pref 106
        ip rule add iif lo table 102 pref 107
        ip rule add iif toolongnameofadevice table 102 pref 108
        ip rule add tos 0x10 table 103 pref 110
        ip rule add dsfield 0x08 table 103 pref 111
        ip rule add tos bogus table 103
        ip rule add tos 0x3 table 103 pref 112
        ip rule add fwmark 1 table 104 pref 120
        ip rule add fwmark 0x10 table 104 pref 121
        ip rule add fwmark 0x10/0xff table 104 pref 122
        ip rule add fwmark bogus table 104
        ip rule add fwmark 1/bogus table 104
        ip rule add fwmark 0x100000000 table 104
        ip rule add not from 10.0.0.0/8 table 105 pref 130
        ip rule add not fwmark 7 table 105 pref 131
        ip rule add goto 200 pref 140
        ip rule add goto 32766 pref 141
        ip rule add goto 100 pref 142
        ip rule add goto bogus pref 143
        ip rule add goto 300
        ip rule add nop pref 150
        ip rule add blackhole pref 151
        ip rule add unreachable pref 152
        ip rule add prohibit pref 153
        ip rule add type blackhole pref 154
        ip rule add type bogus pref 155
        ip rule add from 10.0.0.0/8 blackhole pref 156
        ip rule add table main suppress_prefixlength 0 pref 160
        ip rule add table main suppress_prefixlen 8 pref 161
        ip rule add table main sup_pl 16 pref 162
        ip rule add table main suppress_prefixlength bogus pref 163
        ip rule add table main suppress_prefixlength -1 pref 164
        ip rule add dport bogus table 106 pref 174
        ip rule add ipproto bogus table 106 pref 174
        ip rule add uidrange bogus table 107 pref 182
        ip rule add uidrange 5 table 107 pref 182
        ip rule add protocol static table 108 pref 190
        ip rule add proto 77 table 108 pref 191
        ip rule add proto bogus table 108
        ip rule add table 200 pref 200
        ip rule add table bogus pref 201
        ip rule add table 0 pref 202
        ip rule add table local pref 203
        ip rule add table 4294967296 pref 204
        ip rule add pref bogus
        ip rule add pref -1
        ip rule add pref 0x50 table 5
        ip rule add pref
        ip rule add pref 4000
        ip rule add pref 4000
        ip rule add bogus
        ip rule add
        ip rule
        ip -d rule
        ip -N rule
        ip -o rule
        ip -s rule
        ip -j rule
        ip -j -d rule
        ip -j -p rule list pref 122
        ip rule list table 100
        ip rule list lookup main
        ip rule list table bogus
        ip rule list from 10.0.0.0/8
        ip rule list from 10.1.2.3
        ip rule list from all
        ip rule list from bogus
        ip rule list to 10.2.0.0/16
        ip rule list iif d0
        ip rule list dev d0
        ip rule list oif d1
        ip rule list pref 120
        ip rule list priority 120
        ip rule list pref bogus
        ip rule list fwmark 1
        ip rule list fwmark 0x10
        ip rule list fwmark 0x10/0xff
        ip rule list fwmark bogus
        ip rule list tos 0x10
        ip rule list tos bogus
        ip rule list not
        ip rule list not from 10.0.0.0/8
        ip rule list proto bogus
        ip rule list ipproto tcp
        ip rule list ipproto bogus
        ip rule list sport 53
        ip rule list dport 80
        ip rule list sport 1000-2000
        ip rule list uidrange 1000-2000
        ip rule list uidrange bogus
        ip rule list l3mdev
        ip rule list tun_id 5
        ip rule list suppress_prefixlength 0
        ip rule list goto 200
        ip rule list bogus
        ip rule list 32766
        ip rule del pref 4000
        ip rule del pref 4000
        ip rule del pref 4001
        ip rule del from 10.1.2.3
        ip rule del from 10.1.2.3
        ip rule del from 10.0.0.0/8 table 100
        ip rule del to 10.2.0.0/16 table 102
        ip rule del to 10.2.0.0/16 table 101
        ip rule del fwmark 0x10/0xff
        ip rule del fwmark 1 table 104
        ip rule del iif d0
        ip rule del iif d9
        ip rule del oif d1 pref 105
        ip rule del tos 0x10
        ip rule del goto 200
        ip rule del nop
        ip rule del blackhole
        ip rule del prohibit
        ip rule del unreachable pref 152
        ip rule del protocol static
        ip rule del suppress_prefixlength 0
        ip rule del table 200
        ip rule del bogus
        ip rule del
        ip rule delete pref bogus
        ip rule flush bogus
        ip rule flush table 100
        ip rule flush pref 1
        ip rule
        ip rule flush
        ip rule
        ip rule add lookup main pref 5
        ip rule
    """,
    "neigh": """
        ip addr add 10.0.0.1/24 dev d0
        ip addr add 10.1.0.1/24 dev d1
        ip neigh
        ip neigh add 10.0.0.2 lladdr 02:00:00:00:01:02 dev d0
        ip neigh add 10.0.0.2 lladdr 02:00:00:00:01:02 dev d0
        ip neigh add 10.0.0.3 lladdr 02:00:00:00:01:03 dev d0 nud permanent
        ip neigh add 10.0.0.4 lladdr 02:00:00:00:01:04 dev d0 nud noarp
        ip neigh add 10.0.0.5 lladdr 02:00:00:00:01:05 dev d0 nud bogus
        ip neigh add 10.0.0.5 lladdr 02:00:00:00:01:05 dev d0 nud stale
        ip neigh add 10.0.0.6 dev d0
        ip neigh add 10.0.0.6 lladdr bogus dev d0
        ip neigh add 10.0.0.6 lladdr 02:00 dev d0
        ip neigh add 10.0.0.6 lladdr 02:00:00:00:01:06
        ip neigh add lladdr 02:00:00:00:01:06 dev d0
        ip neigh add 10.0.0.6 lladdr 02:00:00:00:01:06 dev bogus
        ip neigh add bogus lladdr 02:00:00:00:01:06 dev d0
        ip neigh add 10.0.0.6/24 lladdr 02:00:00:00:01:06 dev d0
        ip neigh add 10.0.0.6 10.0.0.7 lladdr 02:00:00:00:01:06 dev d0
        ip neigh add to 10.0.0.7 lladdr 02:00:00:00:01:07 dev d1
        ip neigh add 10.0.0.8 lladdr 02:00:00:00:01:08 dev d1 router
        ip neigh add 10.0.0.9 lladdr 02:00:00:00:01:09 dev d1 proto static
        ip neigh add 10.0.0.9 lladdr 02:00:00:00:01:09 dev d1 proto bogus
        ip neigh add 10.0.0.10 lladdr 02:00:00:00:01:0a dev d1 extern_learn
        ip neigh add proxy 10.0.0.20 dev d0
        ip neigh add proxy 10.0.0.21
        ip neigh
        ip neigh show
        ip neigh show dev d0
        ip neigh show dev d1
        ip neigh show dev bogus
        ip neigh show 10.0.0.2
        ip neigh show to 10.0.0.0/30
        ip neigh show to bogus
        ip neigh show nud permanent
        ip neigh show nud noarp
        ip neigh show nud stale
        ip neigh show nud all
        ip neigh show nud bogus
        ip neigh show nud permanent dev d0
        ip neigh show proxy
        ip neigh show proxy dev d0
        ip neigh show unused
        ip neigh show vrf bogus
        ip neigh show nomaster
        ip neigh show bogus
        ip -4 neigh show dev d0
        ip -o neigh show
        ip -d neigh show dev d1
        ip -N neigh show dev d1
        ip -j neigh show
        ip -j neigh show dev d0
        ip -j -p neigh show dev d1
        ip -j neigh show proxy
        ip -j neigh show 10.0.0.99
        ip -j neigh show nud all
        ip neigh get 10.0.0.2 dev d0
        ip -j neigh get 10.0.0.2 dev d0
        ip neigh get 10.0.0.99 dev d0
        ip neigh get 10.0.0.2
        ip neigh get dev d0
        ip neigh get bogus dev d0
        ip neigh get 10.0.0.2 dev bogus
        ip neigh get to 10.0.0.2 dev d0
        ip neigh change 10.0.0.2 lladdr 02:00:00:00:02:02 dev d0
        ip neigh chg 10.0.0.3 lladdr 02:00:00:00:02:03 dev d0
        ip neigh change 10.0.0.77 lladdr 02:00:00:00:02:03 dev d0
        ip neigh replace 10.0.0.30 lladdr 02:00:00:00:02:30 dev d0
        ip neigh replace 10.0.0.30 lladdr 02:00:00:00:02:31 dev d0
        ip neigh show dev d0
        ip neigh del 10.0.0.30 dev d0
        ip neigh del 10.0.0.99 dev d0
        ip neigh del 10.0.0.2
        ip neigh del dev d0
        ip neigh del
        ip neigh del proxy 10.0.0.20 dev d0
        ip neigh del proxy 10.0.0.20 dev d0
        ip neigh del bogus dev d0
        ip neigh delete 10.0.0.3 dev d0
        ip neigh flush
        ip neigh flush dev bogus
        ip neigh flush bogus
        ip neigh flush dev d1
        ip -s neigh flush dev d1
        ip -s neigh flush dev d1 nud permanent
        ip neigh flush nud bogus
        ip neigh flush all
        ip neigh show
    """,
    "monitor": """
        listen all
        ip addr add 10.0.0.1/24 dev d0
        ip route add 10.2.0.0/16 via 10.0.0.2
        ip route replace 10.2.0.0/16 via 10.0.0.3
        ip route del 10.2.0.0/16
        ip neigh add 10.0.0.9 lladdr 02:00:00:00:01:09 dev d0
        ip neigh del 10.0.0.9 dev d0
        ip rule add from 10.0.0.0/8 table 100
        ip rule del from 10.0.0.0/8 table 100
        ip link set d1 mtu 1400
        ip link set d1 down
        ip link set d1 up
        ip addr del 10.0.0.1/24 dev d0
        heard
        listen
        ip addr add 10.0.0.1/24 dev d0
        ip route add 10.2.0.0/16 via 10.0.0.2
        ip addr del 10.0.0.1/24 dev d0
        heard
        listen label
        ip addr add 10.0.0.1/24 dev d0
        ip neigh add 10.0.0.9 lladdr 02:00:00:00:01:09 dev d0
        ip addr del 10.0.0.1/24 dev d0
        heard
        listen link
        ip link set d1 mtu 1300
        ip addr add 10.0.0.1/24 dev d0
        heard
        listen address
        ip addr add 10.0.1.1/24 dev d0 label d0:1
        ip addr del 10.0.1.1/24 dev d0
        heard
        listen route
        ip route add 10.3.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.0.3 weight 2
        ip route add blackhole 10.4.0.0/16
        ip route del 10.3.0.0/16
        ip route flush 10.4.0.0/16
        heard
        listen neigh
        ip neigh add 10.0.0.9 lladdr 02:00:00:00:01:09 dev d0
        ip neigh change 10.0.0.9 lladdr 02:00:00:00:01:0a dev d0
        ip neigh del 10.0.0.9 dev d0
        heard
        listen rule
        ip rule add fwmark 5 table 7 pref 70
        ip rule del pref 70
        heard
        listen route label
        ip route add 10.3.0.0/16 via 10.0.0.2
        ip route del 10.3.0.0/16
        heard
        listen addr dev d1
        ip addr add 10.5.0.1/24 dev d1
        ip addr add 10.6.0.1/24 dev d0
        heard
        listen bogus
        heard
        listen dev bogus
        heard
        listen -o route
        ip route add 10.3.0.0/16 nexthop via 10.6.0.2 nexthop via 10.6.0.3 weight 2
        heard
        listen -ts route
        ip route del 10.3.0.0/16
        heard
        listen -t route
        ip route add 10.3.0.0/16 via 10.6.0.2
        heard
        listen -j route
        ip route del 10.3.0.0/16
        heard
        listen -br link
        ip link set d1 mtu 1400
        heard
    """,
    "route-tool": """
        route -n
        route
        route -e
        route -ne
        route -nee
        route -nv
        route -nF
        route -nC
        route -nFC
        route -N
        route -h
        route --help
        route -x
        route --bogus
        route -A inet -n
        route -A bogus
        route --inet -n
        route -4 -n
        route --numeric
        route --extend -n
        route --verbose -n
        route --fib -n
        route --cache -n
        route --symbolic -n
        route --numeric-hosts
        route bogus
        ifconfig d0 10.0.0.1/24
        ifconfig d1 10.1.0.1/24
        route -n
        route add -net 10.2.0.0/16 gw 10.0.0.2
        route add -net 10.2.0.0/16 gw 10.0.0.2
        route add -net 10.3.0.0 netmask 255.255.0.0 gw 10.0.0.2 metric 5
        route add -net 10.4.0.0 netmask 255.255.0.0 dev d1
        route add -net 10.5.0.0/16 d1
        route add -net 10.5.0.0
        route add -net 10.5.0.0 gw 10.0.0.2
        route add -net 10.5.1.0/16 gw 10.0.0.2
        route add -net 10.5.0.0 netmask 255.0.255.0 gw 10.0.0.2
        route add -net 10.5.0.0/16 netmask 255.255.0.0 gw 10.0.0.2
        route add -net bogus.invalid gw 10.0.0.2
        route add -host 10.6.0.1 gw 10.0.0.2
        route add -host 10.6.0.2 dev d1
        route add -host 10.6.0.3 netmask 255.255.255.0 dev d1
        route add -host 10.6.0.0/24 dev d1
        route add 10.7.0.1 gw 10.0.0.2
        route add 10.7.0.0/24 gw 10.0.0.2
        route add 10.7.0.0 gw 10.0.0.2
        route add default gw 10.0.0.254
        route add default gw 10.0.0.254
        route add default 10.0.0.254
        route add -net default gw 10.0.0.253 metric 100
        route add default gw 9.9.9.9
        route add default gw bogus.invalid
        route add default gw
        route add default
        route add
        route add -net
        route add -host
        route add -net 10.8.0.0/16 reject
        route add -host 10.8.1.1 reject
        route add -net 10.9.0.0/16 gw 10.0.0.2 mss 1000
        route add -net 10.10.0.0/16 gw 10.0.0.2 window 4000
        route add -net 10.11.0.0/16 gw 10.0.0.2 irtt 300
        route add -net 10.12.0.0/16 gw 10.0.0.2 mss 10
        route add -net 10.12.0.0/16 gw 10.0.0.2 window 10
        route add -net 10.12.0.0/16 gw 10.0.0.2 metric bogus
        route add -net 10.12.0.0/16 gw 10.0.0.2 metric
        route add -net 10.12.0.0/16 gw 10.0.0.2 mod
        route add -net 10.13.0.0/16 gw 10.0.0.2 dyn
        route add -net 10.14.0.0/16 gw 10.0.0.2 reinstate
        route add -net 10.15.0.0/16 gw 10.0.0.2 dev bogus
        route add -net 10.15.0.0/16 gw 10.0.0.2 bogus d0
        route add -net 10.15.0.0/16 gw 10.0.0.2 gw 10.0.0.3
        route add -net 10.15.0.0/16 dev d0 dev d1
        route add -net 10.15.0.0/33 dev d0
        route add -net 10.15 netmask 255.255.0.0 dev d0
        route -n
        route
        route -e
        route -ne
        route -nee
        route -C
        route -v add -net 10.16.0.0/16 gw 10.0.0.2
        route -n add -net 10.17.0.0/16 gw 10.0.0.2
        route -A inet add -net 10.18.0.0/16 gw 10.0.0.2
        route -F add -net 10.19.0.0/16 gw 10.0.0.2
        route del -net 10.2.0.0/16
        route del -net 10.2.0.0/16
        route del -net 10.3.0.0/16 metric 6
        route del -net 10.3.0.0/16 metric 5
        route del -net 10.4.0.0/16 dev d0
        route del -net 10.4.0.0/16 dev d1
        route del -net 10.5.0.0/16 gw 10.0.0.2
        route del -host 10.6.0.1
        route del 10.6.0.2
        route del 10.7.0.1 gw 10.0.0.99
        route del 10.7.0.1 gw 10.0.0.2
        route delete default gw 10.0.0.254
        route del default
        route del default
        route del -net 10.8.0.0/16 reject
        route del -net 10.8.0.0/16
        route del -host 10.8.1.1
        route del
        route del -net
        route flush
        route -n
        ifconfig d1 down
        route -n
    """,
    "ifconfig-tool": """
        ifconfig
        ifconfig d0
        ifconfig -a
        ifconfig -s
        ifconfig -s d0
        ifconfig -a -s
        ifconfig -v d0
        ifconfig -h
        ifconfig --help
        ifconfig -x
        ifconfig bogus
        ifconfig -s bogus
        ifconfig bogus up
        ifconfig d0 10.0.0.1
        ifconfig d0
        ifconfig d0 172.16.0.1
        ifconfig d0
        ifconfig d0 192.168.1.1
        ifconfig d0
        ifconfig d0 10.0.0.1/24
        ifconfig d0
        ifconfig d0 10.0.0.1 netmask 255.255.255.0
        ifconfig d0 10.0.0.1 netmask 255.0.255.0
        ifconfig d0 10.0.0.1/24 netmask 255.255.0.0
        ifconfig d0 netmask 255.255.0.0
        ifconfig d0
        ifconfig d0 netmask bogus.invalid
        ifconfig d0 netmask
        ifconfig d0 broadcast 10.0.0.77
        ifconfig d0
        ifconfig d0 broadcast bogus.invalid
        ifconfig d0 broadcast
        ifconfig d0 -broadcast
        ifconfig d0 inet 10.0.1.1
        ifconfig d0 inet
        ifconfig d0 bogus.invalid
        ifconfig d0 10.0.0.256
        ifconfig d0 0
        ifconfig d0
        ifconfig d0 0.0.0.0
        ifconfig d0 default
        ifconfig d0 10.0.0.1 up
        ifconfig d0 down
        ifconfig d0
        ifconfig
        ifconfig -a
        ifconfig d0 up
        ifconfig d0 mtu 1400
        ifconfig d0 mtu
        ifconfig d0 mtu bogus
        ifconfig d0 mtu -5
        ifconfig d0 mtu 1500
        ifconfig d0 metric 1
        ifconfig d0 metric 2
        ifconfig d0 metric
        ifconfig d0 txqueuelen 100
        ifconfig d0 txqueuelen
        ifconfig d0 txqueuelen bogus
        ifconfig d0
        ifconfig d0 txqueuelen 32
        ifconfig d0 hw ether bogus
        ifconfig d0 hw ether
        ifconfig d0 hw bogus 1
        ifconfig d0 hw
        ifconfig d0 ether 02:00:00:00:00:bb
        ifconfig d0
        ifconfig d0 arp
        ifconfig d0
        ifconfig d0 -arp
        ifconfig d0 promisc
        ifconfig d0 allmulti
        ifconfig d0 multicast
        ifconfig d0 dynamic
        ifconfig d0 trailers
        ifconfig d0 -trailers
        ifconfig d0
        ifconfig d0 -promisc -allmulti -multicast -dynamic
        ifconfig d0 trailers
        ifconfig d0
        ifconfig d0 pointopoint 10.0.0.9
        ifconfig d0 -pointopoint
        ifconfig d0 dstaddr 10.0.0.9
        ifconfig d0 dstaddr
        ifconfig d0
        ifconfig d0 keepalive 5
        ifconfig d0 outfill 5
        ifconfig d0 mem_start 0x1000
        ifconfig d0 io_addr 0x300
        ifconfig d0 irq 5
        ifconfig d0 -bogus
        ifconfig d0:1 10.0.9.1/24
        ifconfig d0:1
        ifconfig
        ifconfig d0:2 10.0.10.1 netmask 255.255.255.0 up
        ifconfig d0:2 down
        ifconfig d0:2
        ifconfig d0:1 0
        ifconfig d0:1
        ifconfig d9:1 10.0.9.1
        ifconfig lo
        ifconfig lo 127.0.0.2
        ifconfig lo down
        ifconfig lo
        ifconfig d0 name d7
        ifconfig d0 down
        ifconfig d0 name d7
        ifconfig d7
        ifconfig d7 name d1
        ifconfig d7 name
        ifconfig d7 name bad/name
        ifconfig d7 up down
        ifconfig d1 10.1.0.1 netmask 255.255.255.0 broadcast 10.1.0.255 mtu 1400 up
        ifconfig d1
        ifconfig -s
    """,
}


def run(words):
    result = subprocess.run(words, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=10)
    return result.returncode, result.stdout, result.stderr


def timeless(text):
    text = re.sub(r"\[\d{4}-\d\d-\d\dT[\d:.]+\] ", "[0000-00-00T00:00:00.000000] ", text)
    return re.sub(r"Timestamp: .*", "Timestamp: 0", text)


def play(steps):
    """In a namespace of its own: does the steps and prints them with their answers."""
    subprocess.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1",
                    "net.ipv4.conf.all.promote_secondaries=0", "net.ipv4.conf.default.promote_secondaries=0"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up", "mtu", "1500", "txqueuelen", "0"], check=True)
    for i in (0, 1):
        subprocess.run(["ip", "link", "add", "name", f"d{i}", "address", f"02:00:00:00:00:0{i + 1}", "txqueuelen", "32",
                        "type", "ifb"], check=True)
        subprocess.run(["ip", "link", "set", f"d{i}", "up"], check=True)
    rows, monitor = [], None
    for step in steps:
        words = step.split()
        if words[0] == "listen":
            options = [word for word in words[1:] if word.startswith("-")]
            monitor = subprocess.Popen(["ip", *options, "monitor", *[word for word in words[1:] if word not in options]],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(0.1)
            rows.append([step])
        elif words[0] == "heard":
            time.sleep(0.2)
            status = monitor.poll()
            monitor.terminate()
            text, error = monitor.communicate()
            rows.append([step, status or 0, timeless(text), error])
        else:
            rows.append([step, *run([word.strip('"') for word in words])])
    print(json.dumps(rows))


def main():
    # Names are asked of nobody: the question would go to a device that swallows it.
    quiet = "mount -t tmpfs tmpfs /mnt; echo nameserver 127.0.0.1 > /mnt/resolv.conf; mount --bind /mnt/resolv.conf /etc/resolv.conf; "
    scenes = {}
    for name, text in SCENES.items():
        steps = [line.strip() for line in text.strip().split("\n")]
        played = subprocess.run(["unshare", "-nm", "sh", "-c", quiet + f"exec python3 {__file__} --play"],
                                input=json.dumps(steps), stdout=subprocess.PIPE, text=True, check=True)
        scenes[name] = json.loads(played.stdout)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ip-answers.json"), "w") as file:
        texts = ["%s: [\n%s\n]" % (json.dumps(name), ",\n".join(json.dumps(row) for row in rows)) for name, rows in scenes.items()]
        file.write("{\n" + ",\n".join(texts) + "\n}\n")


if "--play" in sys.argv:
    play(json.load(sys.stdin))
else:
    main()
