/**
 * What net-tools 2.10 answered to these commands, one after the other, in a network namespace with two devices like those of the
 * harness: facts. "USAGE" stands for its usage text, which is not ours.
 */
export const NET_TOOLS_ANSWERS: readonly (readonly [string, string, number])[] = Object.freeze([
  ["ifconfig d0",
    "d0: flags=195<UP,BROADCAST,RUNNING,NOARP>  mtu 1500\n"
    + "        ether 02:00:00:00:00:01  txqueuelen 32  (Ethernet)\n"
    + "        RX packets 0  bytes 0 (0.0 B)\n"
    + "        RX errors 0  dropped 0  overruns 0  frame 0\n"
    + "        TX packets 0  bytes 0 (0.0 B)\n"
    + "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
    + "\n", 0],
  ["ifconfig d0 10.0.0.1", "", 0],
  ["ifconfig d0",
    "d0: flags=195<UP,BROADCAST,RUNNING,NOARP>  mtu 1500\n"
    + "        inet 10.0.0.1  netmask 255.0.0.0  broadcast 10.255.255.255\n"
    + "        ether 02:00:00:00:00:01  txqueuelen 32  (Ethernet)\n"
    + "        RX packets 0  bytes 0 (0.0 B)\n"
    + "        RX errors 0  dropped 0  overruns 0  frame 0\n"
    + "        TX packets 0  bytes 0 (0.0 B)\n"
    + "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
    + "\n", 0],
  ["ifconfig d0 10.0.0.1/24", "", 0],
  ["ifconfig d0 netmask 255.255.0.255", "SIOCSIFNETMASK: Invalid argument\n", 1],
  ["ifconfig d0 10.0.0.2 netmask 255.255.255.0 broadcast 10.0.0.99 mtu 1400", "", 0],
  ["ifconfig d0:1 10.0.5.1/24", "", 0],
  ["ifconfig d0:1",
    "d0:1: flags=195<UP,BROADCAST,RUNNING,NOARP>  mtu 1400\n"
    + "        inet 10.0.5.1  netmask 255.255.255.0  broadcast 10.0.5.255\n"
    + "        ether 02:00:00:00:00:01  txqueuelen 32  (Ethernet)\n"
    + "\n", 0],
  ["ifconfig d0:2",
    "d0:2: flags=195<UP,BROADCAST,RUNNING,NOARP>  mtu 1400\n"
    + "        ether 02:00:00:00:00:01  txqueuelen 32  (Ethernet)\n"
    + "\n", 0],
  ["ifconfig d0",
    "d0: flags=195<UP,BROADCAST,RUNNING,NOARP>  mtu 1400\n"
    + "        inet 10.0.0.2  netmask 255.255.255.0  broadcast 10.0.0.99\n"
    + "        ether 02:00:00:00:00:01  txqueuelen 32  (Ethernet)\n"
    + "        RX packets 0  bytes 0 (0.0 B)\n"
    + "        RX errors 0  dropped 0  overruns 0  frame 0\n"
    + "        TX packets 0  bytes 0 (0.0 B)\n"
    + "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
    + "\n", 0],
  ["ifconfig -s d0",
    "Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"
    + "d0               1400        0      0      0 0             0      0      0      0 BORU\n", 0],
  ["ifconfig d0:1 down", "", 0],
  ["ifconfig d9", "d9: error fetching interface information: Device not found\n", 1],
  ["ifconfig d9 up", "d9: ERROR while getting interface flags: No such device\n", 255],
  ["ifconfig d9 10.0.0.1",
    "SIOCSIFADDR: No such device\n"
    + "d9: ERROR while getting interface flags: No such device\n", 255],
  ["ifconfig d1 -broadcast", "Warning: Interface d1 still in BROADCAST mode.\n", 0],
  ["ifconfig d1 hw ether zz", "zz: invalid ether address.\n", 1],
  ["ifconfig d1 hw", "USAGE", 3],
  ["ifconfig d1 mtu", "USAGE", 3],
  ["ifconfig d1 mtu 1280 txqueuelen 7", "", 0],
  ["ifconfig d1 txqueuelen -1", "SIOCSIFTXQLEN: Invalid argument\n", 1],
  ["ifconfig d1 promisc allmulti -arp multicast dynamic -trailers", "", 0],
  ["ifconfig d1",
    "d1: flags=-27677<UP,BROADCAST,NOTRAILERS,RUNNING,NOARP,PROMISC,ALLMULTI,MULTICAST,DYNAMIC>  mtu 1280\n"
    + "        ether 02:00:00:00:00:02  txqueuelen 7  (Ethernet)\n"
    + "        RX packets 0  bytes 0 (0.0 B)\n"
    + "        RX errors 0  dropped 0  overruns 0  frame 0\n"
    + "        TX packets 0  bytes 0 (0.0 B)\n"
    + "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
    + "\n", 0],
  ["ifconfig -s d1",
    "Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"
    + "d1               1280        0      0      0 0             0      0      0      0 ABMdPNORU\n", 0],
  ["ifconfig d1 -promisc -allmulti -multicast -dynamic trailers arp", "", 0],
  ["ifconfig d1",
    "d1: flags=67<UP,BROADCAST,RUNNING>  mtu 1280\n"
    + "        ether 02:00:00:00:00:02  txqueuelen 7  (Ethernet)\n"
    + "        RX packets 0  bytes 0 (0.0 B)\n"
    + "        RX errors 0  dropped 0  overruns 0  frame 0\n"
    + "        TX packets 0  bytes 0 (0.0 B)\n"
    + "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
    + "\n", 0],
  ["ifconfig d1 -arp", "", 0],
  ["ifconfig d1 pointopoint 10.7.0.1", "SIOCSIFDSTADDR: Cannot assign requested address\n", 1],
  ["ifconfig d1 10.7.0.2 pointopoint 10.7.0.1", "", 0],
  ["ifconfig d1",
    "d1: flags=195<UP,BROADCAST,RUNNING,NOARP>  mtu 1280\n"
    + "        inet 10.7.0.2  netmask 255.0.0.0  broadcast 10.255.255.255\n"
    + "        ether 02:00:00:00:00:02  txqueuelen 7  (Ethernet)\n"
    + "        RX packets 0  bytes 0 (0.0 B)\n"
    + "        RX errors 0  dropped 0  overruns 0  frame 0\n"
    + "        TX packets 0  bytes 0 (0.0 B)\n"
    + "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
    + "\n", 0],
  ["ifconfig d1 10.300.0.1",
    "10.300.0.1: Unknown host\n"
    + "ifconfig: `--help' gives usage information.\n", 1],
  ["ifconfig d1 224.0.0.1", "SIOCSIFADDR: Invalid argument\n", 1],
  ["ifconfig d1 10.2", "", 0],
  ["ifconfig d1",
    "d1: flags=195<UP,BROADCAST,RUNNING,NOARP>  mtu 1280\n"
    + "        inet 10.0.0.2  netmask 255.0.0.0  broadcast 10.255.255.255\n"
    + "        ether 02:00:00:00:00:02  txqueuelen 7  (Ethernet)\n"
    + "        RX packets 0  bytes 0 (0.0 B)\n"
    + "        RX errors 0  dropped 0  overruns 0  frame 0\n"
    + "        TX packets 0  bytes 0 (0.0 B)\n"
    + "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
    + "\n", 0],
  ["ifconfig d1 0.0.0.0", "", 0],
  ["ifconfig d1",
    "d1: flags=195<UP,BROADCAST,RUNNING,NOARP>  mtu 1280\n"
    + "        ether 02:00:00:00:00:02  txqueuelen 7  (Ethernet)\n"
    + "        RX packets 0  bytes 0 (0.0 B)\n"
    + "        RX errors 0  dropped 0  overruns 0  frame 0\n"
    + "        TX packets 0  bytes 0 (0.0 B)\n"
    + "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
    + "\n", 0],
  ["ifconfig d1 netmask 255.255.255.0", "SIOCSIFNETMASK: Cannot assign requested address\n", 1],
  ["ifconfig d1 broadcast 10.1.1.1", "SIOCSIFBRDADDR: Cannot assign requested address\n", 1],
  ["ifconfig d1 10.8.0.1/24 netmask 10.300.0.1", "10.300.0.1: Unknown host\n", 1],
  ["ifconfig d1 inet 10.1.0.1 netmask 255.255.255.0 up", "", 0],
  ["ifconfig -x",
    "ifconfig: option `-x' not recognised.\n"
    + "ifconfig: `--help' gives usage information.\n", 1],
  ["ifconfig d1 down name d7", "", 0],
  ["ifconfig d7",
    "d7: flags=130<BROADCAST,NOARP>  mtu 1280\n"
    + "        inet 10.1.0.1  netmask 255.255.255.0  broadcast 10.1.0.255\n"
    + "        ether 02:00:00:00:00:02  txqueuelen 7  (Ethernet)\n"
    + "        RX packets 0  bytes 0 (0.0 B)\n"
    + "        RX errors 0  dropped 0  overruns 0  frame 0\n"
    + "        TX packets 0  bytes 0 (0.0 B)\n"
    + "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n"
    + "\n", 0],
  ["ifconfig d7 name lo", "SIOCSIFNAME: File exists\n", 1],
  ["ifconfig d7 up", "", 0],
  ["ifconfig d7 name d1", "", 0],
  ["ifconfig d1 down name d1 up", "", 0],
  ["route -n",
    "Kernel IP routing table\n"
    + "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
    + "10.0.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d0\n"
    + "10.1.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d1\n", 0],
  ["route add -net 10.2.0.0 netmask 255.255.0.0 gw 10.0.0.9", "", 0],
  ["route add -net 10.2.0.0 netmask 255.255.0.0 gw 10.0.0.9", "SIOCADDRT: File exists\n", 7],
  ["route add -net 10.3.0.0/16 gw 10.0.0.9 metric 5", "", 0],
  ["route add -host 10.4.0.1 gw 10.0.0.9", "", 0],
  ["route add 10.4.0.3 dev d1", "", 0],
  ["route add 10.4.0.4 d1", "", 0],
  ["route add default gw 10.0.0.254", "", 0],
  ["route add default gw 10.0.0.253 metric 10 dev d0", "", 0],
  ["route add -net 10.6.0.0 dev d1", "SIOCADDRT: Invalid argument\n", 7],
  ["route add -net 10.7.0.1/16 dev d1",
    "route: netmask doesn't match route address\n"
    + "USAGE", 3],
  ["route add -net 10.8.0.0 netmask 255.0.255.0 dev d1",
    "route: bogus netmask 255.0.255.0\n"
    + "USAGE", 3],
  ["route add -net 11.8.0.0 netmask 255.255.0.0 reject", "", 0],
  ["route add -host 11.8.0.1 reject", "", 0],
  ["route add -net 12.0.0.0 netmask 255.0.0.0 gw 10.0.0.9 mss 1000 window 2000 irtt 300", "", 0],
  ["route -n",
    "Kernel IP routing table\n"
    + "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
    + "0.0.0.0         10.0.0.254      0.0.0.0         UG    0      0        0 d0\n"
    + "0.0.0.0         10.0.0.253      0.0.0.0         UG    10     0        0 d0\n"
    + "10.0.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d0\n"
    + "10.1.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d1\n"
    + "10.2.0.0        10.0.0.9        255.255.0.0     UG    0      0        0 d0\n"
    + "10.3.0.0        10.0.0.9        255.255.0.0     UG    5      0        0 d0\n"
    + "10.4.0.1        10.0.0.9        255.255.255.255 UGH   0      0        0 d0\n"
    + "10.4.0.3        0.0.0.0         255.255.255.255 UH    0      0        0 d1\n"
    + "10.4.0.4        0.0.0.0         255.255.255.255 UH    0      0        0 d1\n"
    + "11.8.0.0        -               255.255.0.0     !     0      -        0 -\n"
    + "11.8.0.1        -               255.255.255.255 !H    0      -        0 -\n"
    + "12.0.0.0        10.0.0.9        255.0.0.0       UG    0      0        0 d0\n", 0],
  ["route",
    "Kernel IP routing table\n"
    + "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
    + "default         10.0.0.254      0.0.0.0         UG    0      0        0 d0\n"
    + "default         10.0.0.253      0.0.0.0         UG    10     0        0 d0\n"
    + "10.0.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d0\n"
    + "10.1.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d1\n"
    + "10.2.0.0        10.0.0.9        255.255.0.0     UG    0      0        0 d0\n"
    + "10.3.0.0        10.0.0.9        255.255.0.0     UG    5      0        0 d0\n"
    + "10.4.0.1        10.0.0.9        255.255.255.255 UGH   0      0        0 d0\n"
    + "10.4.0.3        0.0.0.0         255.255.255.255 UH    0      0        0 d1\n"
    + "10.4.0.4        0.0.0.0         255.255.255.255 UH    0      0        0 d1\n"
    + "11.8.0.0        -               255.255.0.0     !     0      -        0 -\n"
    + "11.8.0.1        -               255.255.255.255 !H    0      -        0 -\n"
    + "12.0.0.0        10.0.0.9        255.0.0.0       UG    0      0        0 d0\n", 0],
  ["route -ne",
    "Kernel IP routing table\n"
    + "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n"
    + "0.0.0.0         10.0.0.254      0.0.0.0         UG        0 0          0 d0\n"
    + "0.0.0.0         10.0.0.253      0.0.0.0         UG        0 0          0 d0\n"
    + "10.0.0.0        0.0.0.0         255.255.255.0   U         0 0          0 d0\n"
    + "10.1.0.0        0.0.0.0         255.255.255.0   U         0 0          0 d1\n"
    + "10.2.0.0        10.0.0.9        255.255.0.0     UG        0 0          0 d0\n"
    + "10.3.0.0        10.0.0.9        255.255.0.0     UG        0 0          0 d0\n"
    + "10.4.0.1        10.0.0.9        255.255.255.255 UGH       0 0          0 d0\n"
    + "10.4.0.3        0.0.0.0         255.255.255.255 UH        0 0          0 d1\n"
    + "10.4.0.4        0.0.0.0         255.255.255.255 UH        0 0          0 d1\n"
    + "11.8.0.0        -               255.255.0.0     !         - -          - -\n"
    + "11.8.0.1        -               255.255.255.255 !H        - -          - -\n"
    + "12.0.0.0        10.0.0.9        255.0.0.0       UG     1000 2000     300 d0\n", 0],
  ["route -nee",
    "Kernel IP routing table\n"
    + "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface    MSS   Window irtt\n"
    + "0.0.0.0         10.0.0.254      0.0.0.0         UG    0      0        0 d0       0     0      0\n"
    + "0.0.0.0         10.0.0.253      0.0.0.0         UG    10     0        0 d0       0     0      0\n"
    + "10.0.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d0       0     0      0\n"
    + "10.1.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d1       0     0      0\n"
    + "10.2.0.0        10.0.0.9        255.255.0.0     UG    0      0        0 d0       0     0      0\n"
    + "10.3.0.0        10.0.0.9        255.255.0.0     UG    5      0        0 d0       0     0      0\n"
    + "10.4.0.1        10.0.0.9        255.255.255.255 UGH   0      0        0 d0       0     0      0\n"
    + "10.4.0.3        0.0.0.0         255.255.255.255 UH    0      0        0 d1       0     0      0\n"
    + "10.4.0.4        0.0.0.0         255.255.255.255 UH    0      0        0 d1       0     0      0\n"
    + "11.8.0.0        -               255.255.0.0     !     0      -        0 -        -     -      -\n"
    + "11.8.0.1        -               255.255.255.255 !H    0      -        0 -        -     -      -\n"
    + "12.0.0.0        10.0.0.9        255.0.0.0       UG    0      0        0 d0       1000  2000   300\n", 0],
  ["route -nC",
    "Kernel IP routing cache\n"
    + "Source          Destination     Gateway         Flags Metric Ref    Use Iface\n", 0],
  ["route del -net 10.2.0.0 netmask 255.255.0.0", "", 0],
  ["route del -net 10.2.0.0 netmask 255.255.0.0", "SIOCDELRT: No such process\n", 7],
  ["route del default", "", 0],
  ["route del default gw 10.0.0.253", "", 0],
  ["route del default gw 10.0.0.253", "SIOCDELRT: No such process\n", 7],
  ["route del -host 10.4.0.1 gw 10.0.0.8", "SIOCDELRT: No such process\n", 7],
  ["route add -net 10.20.0.0/16 gw 99.9.9.9", "SIOCADDRT: Network is unreachable\n", 7],
  ["route add -net 10.20.0.0/16 gw 10.0.0.2", "", 0],
  ["route add -net 10.20.0.0/16 dev d9", "SIOCADDRT: No such device\n", 7],
  ["route add -net 10.20.0.0/16", "SIOCADDRT: No such device\n", 7],
  ["route add -net 10.20.0.0/33 dev d1",
    "route: netmask doesn't match route address\n"
    + "USAGE", 3],
  ["route add 10.20.300.1", "10.20.300.1: Unknown host\n", 6],
  ["route add -host 10.5.5.5 netmask 255.255.255.0 dev d1",
    "route: netmask 000000ff doesn't make sense with host route\n"
    + "USAGE", 3],
  ["route add -net 10.5.0.0/16 gw 10.300.0.1", "10.300.0.1: Unknown host\n", 6],
  ["route add -net 10.5.0.0/16 metric x dev d1", "USAGE", 3],
  ["route add", "USAGE", 0],
  ["route bogus", "USAGE", 3],
  ["route flush",
    "Flushing `inet' routing table not supported\n"
    + "USAGE", 3],
  ["route add 10.30.0.0/16 dev d1",
    "route: netmask 0000ffff doesn't make sense with host route\n"
    + "USAGE", 3],
  ["route add 0.0.0.0 dev d1", "", 0],
  ["route add -net 0.0.0.0 dev d1", "", 0],
  ["route add -net default dev d1 metric 7", "", 0],
  ["route -n",
    "Kernel IP routing table\n"
    + "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"
    + "0.0.0.0         0.0.0.0         255.255.255.255 UH    0      0        0 d1\n"
    + "0.0.0.0         0.0.0.0         0.0.0.0         U     0      0        0 d1\n"
    + "0.0.0.0         0.0.0.0         0.0.0.0         U     7      0        0 d1\n"
    + "10.0.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d0\n"
    + "10.1.0.0        0.0.0.0         255.255.255.0   U     0      0        0 d1\n"
    + "10.3.0.0        10.0.0.9        255.255.0.0     UG    5      0        0 d0\n"
    + "10.4.0.1        10.0.0.9        255.255.255.255 UGH   0      0        0 d0\n"
    + "10.4.0.3        0.0.0.0         255.255.255.255 UH    0      0        0 d1\n"
    + "10.4.0.4        0.0.0.0         255.255.255.255 UH    0      0        0 d1\n"
    + "10.20.0.0       10.0.0.2        255.255.0.0     UG    0      0        0 d0\n"
    + "11.8.0.0        -               255.255.0.0     !     0      -        0 -\n"
    + "11.8.0.1        -               255.255.255.255 !H    0      -        0 -\n"
    + "12.0.0.0        10.0.0.9        255.0.0.0       UG    0      0        0 d0\n", 0],
  ["route --inet add -host 10.44.0.1 dev d1", "", 0],
  ["route del -host 0.0.0.0", "", 0],
  ["ifconfig d0 arp", "", 0],
  ["ifconfig d1 arp", "", 0],
  ["arp -n", "", 0],
  ["arp -s 10.0.0.50 02:00:00:00:00:50", "", 0],
  ["arp -n",
    "Address                  HWtype  HWaddress           Flags Mask            Iface\n"
    + "10.0.0.50                ether   02:00:00:00:00:50   CM                    d0\n", 0],
  ["arp -s 10.0.0.50 02:00:00:00:00:51 temp", "", 0],
  ["arp -an", "? (10.0.0.50) at 02:00:00:00:00:51 [ether] on d0\n", 0],
  ["arp -i d1 -s 10.1.0.53 02:00:00:00:00:53", "", 0],
  ["arp -an -i d1", "? (10.1.0.53) at 02:00:00:00:00:53 [ether] PERM on d1\n", 0],
  ["arp -n 10.0.0.50",
    "Address                  HWtype  HWaddress           Flags Mask            Iface\n"
    + "10.0.0.50                ether   02:00:00:00:00:51   C                     d0\n", 0],
  ["arp -n 10.0.0.99", "10.0.0.99 (10.0.0.99) -- no entry\n", 0],
  ["arp -an 10.0.0.99", "arp: in 2 entries no match found.\n", 0],
  ["arp -n -v -i d0",
    "Address                  HWtype  HWaddress           Flags Mask            Iface\n"
    + "10.0.0.50                ether   02:00:00:00:00:51   C                     d0\n"
    + "Entries: 2\tSkipped: 1\tFound: 1\n", 0],
  ["arp -d 10.0.0.50", "", 0],
  ["arp -d 10.0.0.50", "No ARP entry for 10.0.0.50\n", 255],
  ["arp -s 10.0.0.50", "arp: need hardware address\n", 255],
  ["arp -s", "arp: need host name\n", 255],
  ["arp -d", "arp: need host name\n", 255],
  ["arp -s 10.300.0.1 02:00:00:00:00:50", "10.300.0.1: Unknown host\n", 255],
  ["arp -s 10.0.0.50 zz", "arp: invalid hardware address\n", 255],
  ["arp -i d9 -s 10.0.0.50 02:00:00:00:00:50", "SIOCSARP: No such device\n", 255],
  ["arp -i d9 -n", "arp: in 1 entries no match found.\n", 0],
  ["arp -H bogus -n", "arp: bogus: unknown hardware type.\n", 255],
  ["arp -D -s 10.1.0.60 d1", "", 0],
  ["arp -n 10.1.0.60",
    "Address                  HWtype  HWaddress           Flags Mask            Iface\n"
    + "10.1.0.60                ether   02:00:00:00:00:02   CM                    d1\n", 0],
  ["arp -d 10.0.0.52 pub", "No ARP entry for 10.0.0.52\n", 255],
  ["arp -s 10.0.0.52 02:00:00:00:00:52 bogus", "USAGE", 3],
  ["arp -d 10.1.0.60", "", 0],
  ["arp -d 10.1.0.53", "", 0],
  ["arp", "", 0],
] as const);
