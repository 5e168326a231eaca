/*
 * The counters of /proc/net/snmp and /proc/net/netstat in one flat numbering (Linux: the *_MIB_* enumerations of
 * linux/snmp.h and the name tables of net/ipv4/proc.c). They are grouped and ordered as those files print them.
 *
 * Read first: RFC 4293 (IP, ICMP), RFC 4022 (TCP), RFC 4113 (UDP).
 * Unlike Linux, where each protocol's array starts at 0, an index says by itself which counter it is: one Int32Array
 * of SNMP_MIB_MAX entries per namespace holds them all. What the first lines of Ip and Tcp print besides (Forwarding,
 * DefaultTTL, RtoAlgorithm, RtoMin, RtoMax, MaxConn) is configuration, not counters, and is not here.
 */

/* Ip. Datagrams: RFC 4293 ipSystemStats. */
export const IPSTATS_MIB_INPKTS = 0;
export const IPSTATS_MIB_INHDRERRORS = 1;
export const IPSTATS_MIB_INADDRERRORS = 2;
export const IPSTATS_MIB_OUTFORWDATAGRAMS = 3;
export const IPSTATS_MIB_INUNKNOWNPROTOS = 4;
export const IPSTATS_MIB_INDISCARDS = 5;
export const IPSTATS_MIB_INDELIVERS = 6;
export const IPSTATS_MIB_OUTREQUESTS = 7;
export const IPSTATS_MIB_OUTDISCARDS = 8;
export const IPSTATS_MIB_OUTNOROUTES = 9;
export const IPSTATS_MIB_REASMTIMEOUT = 10;
export const IPSTATS_MIB_REASMREQDS = 11;
export const IPSTATS_MIB_REASMOKS = 12;
export const IPSTATS_MIB_REASMFAILS = 13;
export const IPSTATS_MIB_FRAGOKS = 14;
export const IPSTATS_MIB_FRAGFAILS = 15;
export const IPSTATS_MIB_FRAGCREATES = 16;
export const IPSTATS_MIB_OUTPKTS = 17;

/* Icmp. Messages: RFC 4293 icmpStats, icmpMsgStats. */
export const ICMP_MIB_INMSGS = 18;
export const ICMP_MIB_INERRORS = 19;
export const ICMP_MIB_CSUMERRORS = 20;
export const ICMP_MIB_INDESTUNREACHS = 21;
export const ICMP_MIB_INTIMEEXCDS = 22;
export const ICMP_MIB_INPARMPROBS = 23;
export const ICMP_MIB_INSRCQUENCHS = 24;
export const ICMP_MIB_INREDIRECTS = 25;
export const ICMP_MIB_INECHOS = 26;
export const ICMP_MIB_INECHOREPS = 27;
export const ICMP_MIB_INTIMESTAMPS = 28;
export const ICMP_MIB_INTIMESTAMPREPS = 29;
export const ICMP_MIB_INADDRMASKS = 30;
export const ICMP_MIB_INADDRMASKREPS = 31;
export const ICMP_MIB_OUTMSGS = 32;
export const ICMP_MIB_OUTERRORS = 33;
export const ICMP_MIB_RATELIMITGLOBAL = 34;
export const ICMP_MIB_RATELIMITHOST = 35;
export const ICMP_MIB_OUTDESTUNREACHS = 36;
export const ICMP_MIB_OUTTIMEEXCDS = 37;
export const ICMP_MIB_OUTPARMPROBS = 38;
export const ICMP_MIB_OUTSRCQUENCHS = 39;
export const ICMP_MIB_OUTREDIRECTS = 40;
export const ICMP_MIB_OUTECHOS = 41;
export const ICMP_MIB_OUTECHOREPS = 42;
export const ICMP_MIB_OUTTIMESTAMPS = 43;
export const ICMP_MIB_OUTTIMESTAMPREPS = 44;
export const ICMP_MIB_OUTADDRMASKS = 45;
export const ICMP_MIB_OUTADDRMASKREPS = 46;

/* Tcp. Connections and segments: RFC 4022. CurrEstab is a gauge. */
export const TCP_MIB_ACTIVEOPENS = 47;
export const TCP_MIB_PASSIVEOPENS = 48;
export const TCP_MIB_ATTEMPTFAILS = 49;
export const TCP_MIB_ESTABRESETS = 50;
export const TCP_MIB_CURRESTAB = 51;
export const TCP_MIB_INSEGS = 52;
export const TCP_MIB_OUTSEGS = 53;
export const TCP_MIB_RETRANSSEGS = 54;
export const TCP_MIB_INERRS = 55;
export const TCP_MIB_OUTRSTS = 56;
export const TCP_MIB_CSUMERRORS = 57;

/* Udp. Datagrams: RFC 4113. */
export const UDP_MIB_INDATAGRAMS = 58;
export const UDP_MIB_NOPORTS = 59;
export const UDP_MIB_INERRORS = 60;
export const UDP_MIB_OUTDATAGRAMS = 61;
export const UDP_MIB_RCVBUFERRORS = 62;
export const UDP_MIB_SNDBUFERRORS = 63;
export const UDP_MIB_CSUMERRORS = 64;
export const UDP_MIB_IGNOREDMULTI = 65;
export const UDP_MIB_MEMERRORS = 66;

/* TcpExt. Linux's own, mostly about TCP. */
export const LINUX_MIB_SYNCOOKIESSENT = 67;
export const LINUX_MIB_SYNCOOKIESRECV = 68;
export const LINUX_MIB_SYNCOOKIESFAILED = 69;
export const LINUX_MIB_EMBRYONICRSTS = 70;
export const LINUX_MIB_PRUNECALLED = 71;
export const LINUX_MIB_RCVPRUNED = 72;
export const LINUX_MIB_OFOPRUNED = 73;
export const LINUX_MIB_OUTOFWINDOWICMPS = 74;
export const LINUX_MIB_LOCKDROPPEDICMPS = 75;
export const LINUX_MIB_ARPFILTER = 76;
export const LINUX_MIB_TIMEWAITED = 77;
export const LINUX_MIB_TIMEWAITRECYCLED = 78;
export const LINUX_MIB_TIMEWAITKILLED = 79;
export const LINUX_MIB_PAWSACTIVEREJECTED = 80;
export const LINUX_MIB_PAWSESTABREJECTED = 81;
export const LINUX_MIB_BEYONDWINDOW = 82;
export const LINUX_MIB_TSECRREJECTED = 83;
export const LINUX_MIB_PAWS_OLD_ACK = 84;
export const LINUX_MIB_PAWS_TW_REJECTED = 85;
export const LINUX_MIB_DELAYEDACKS = 86;
export const LINUX_MIB_DELAYEDACKLOCKED = 87;
export const LINUX_MIB_DELAYEDACKLOST = 88;
export const LINUX_MIB_LISTENOVERFLOWS = 89;
export const LINUX_MIB_LISTENDROPS = 90;
export const LINUX_MIB_TCPHPHITS = 91;
export const LINUX_MIB_TCPPUREACKS = 92;
export const LINUX_MIB_TCPHPACKS = 93;
export const LINUX_MIB_TCPRENORECOVERY = 94;
export const LINUX_MIB_TCPSACKRECOVERY = 95;
export const LINUX_MIB_TCPSACKRENEGING = 96;
export const LINUX_MIB_TCPSACKREORDER = 97;
export const LINUX_MIB_TCPRENOREORDER = 98;
export const LINUX_MIB_TCPTSREORDER = 99;
export const LINUX_MIB_TCPFULLUNDO = 100;
export const LINUX_MIB_TCPPARTIALUNDO = 101;
export const LINUX_MIB_TCPDSACKUNDO = 102;
export const LINUX_MIB_TCPLOSSUNDO = 103;
export const LINUX_MIB_TCPLOSTRETRANSMIT = 104;
export const LINUX_MIB_TCPRENOFAILURES = 105;
export const LINUX_MIB_TCPSACKFAILURES = 106;
export const LINUX_MIB_TCPLOSSFAILURES = 107;
export const LINUX_MIB_TCPFASTRETRANS = 108;
export const LINUX_MIB_TCPSLOWSTARTRETRANS = 109;
export const LINUX_MIB_TCPTIMEOUTS = 110;
export const LINUX_MIB_TCPLOSSPROBES = 111;
export const LINUX_MIB_TCPLOSSPROBERECOVERY = 112;
export const LINUX_MIB_TCPRENORECOVERYFAIL = 113;
export const LINUX_MIB_TCPSACKRECOVERYFAIL = 114;
export const LINUX_MIB_TCPRCVCOLLAPSED = 115;
export const LINUX_MIB_TCPBACKLOGCOALESCE = 116;
export const LINUX_MIB_TCPDSACKOLDSENT = 117;
export const LINUX_MIB_TCPDSACKOFOSENT = 118;
export const LINUX_MIB_TCPDSACKRECV = 119;
export const LINUX_MIB_TCPDSACKOFORECV = 120;
export const LINUX_MIB_TCPABORTONDATA = 121;
export const LINUX_MIB_TCPABORTONCLOSE = 122;
export const LINUX_MIB_TCPABORTONMEMORY = 123;
export const LINUX_MIB_TCPABORTONTIMEOUT = 124;
export const LINUX_MIB_TCPABORTONLINGER = 125;
export const LINUX_MIB_TCPABORTFAILED = 126;
export const LINUX_MIB_TCPMEMORYPRESSURES = 127;
export const LINUX_MIB_TCPMEMORYPRESSURESCHRONO = 128;
export const LINUX_MIB_TCPSACKDISCARD = 129;
export const LINUX_MIB_TCPDSACKIGNOREDOLD = 130;
export const LINUX_MIB_TCPDSACKIGNOREDNOUNDO = 131;
export const LINUX_MIB_TCPSPURIOUSRTOS = 132;
export const LINUX_MIB_TCPMD5NOTFOUND = 133;
export const LINUX_MIB_TCPMD5UNEXPECTED = 134;
export const LINUX_MIB_TCPMD5FAILURE = 135;
export const LINUX_MIB_SACKSHIFTED = 136;
export const LINUX_MIB_SACKMERGED = 137;
export const LINUX_MIB_SACKSHIFTFALLBACK = 138;
export const LINUX_MIB_TCPBACKLOGDROP = 139;
export const LINUX_MIB_PFMEMALLOCDROP = 140;
export const LINUX_MIB_TCPMINTTLDROP = 141;
export const LINUX_MIB_TCPDEFERACCEPTDROP = 142;
export const LINUX_MIB_IPRPFILTER = 143;
export const LINUX_MIB_TCPTIMEWAITOVERFLOW = 144;
export const LINUX_MIB_TCPREQQFULLDOCOOKIES = 145;
export const LINUX_MIB_TCPREQQFULLDROP = 146;
export const LINUX_MIB_TCPRETRANSFAIL = 147;
export const LINUX_MIB_TCPRCVCOALESCE = 148;
export const LINUX_MIB_TCPOFOQUEUE = 149;
export const LINUX_MIB_TCPOFODROP = 150;
export const LINUX_MIB_TCPOFOMERGE = 151;
export const LINUX_MIB_TCPCHALLENGEACK = 152;
export const LINUX_MIB_TCPSYNCHALLENGE = 153;
export const LINUX_MIB_TCPFASTOPENACTIVE = 154;
export const LINUX_MIB_TCPFASTOPENACTIVEFAIL = 155;
export const LINUX_MIB_TCPFASTOPENPASSIVE = 156;
export const LINUX_MIB_TCPFASTOPENPASSIVEFAIL = 157;
export const LINUX_MIB_TCPFASTOPENLISTENOVERFLOW = 158;
export const LINUX_MIB_TCPFASTOPENCOOKIEREQD = 159;
export const LINUX_MIB_TCPFASTOPENBLACKHOLE = 160;
export const LINUX_MIB_TCPSPURIOUS_RTX_HOSTQUEUES = 161;
export const LINUX_MIB_BUSYPOLLRXPACKETS = 162;
export const LINUX_MIB_TCPAUTOCORKING = 163;
export const LINUX_MIB_TCPFROMZEROWINDOWADV = 164;
export const LINUX_MIB_TCPTOZEROWINDOWADV = 165;
export const LINUX_MIB_TCPWANTZEROWINDOWADV = 166;
export const LINUX_MIB_TCPSYNRETRANS = 167;
export const LINUX_MIB_TCPORIGDATASENT = 168;
export const LINUX_MIB_TCPHYSTARTTRAINDETECT = 169;
export const LINUX_MIB_TCPHYSTARTTRAINCWND = 170;
export const LINUX_MIB_TCPHYSTARTDELAYDETECT = 171;
export const LINUX_MIB_TCPHYSTARTDELAYCWND = 172;
export const LINUX_MIB_TCPACKSKIPPEDSYNRECV = 173;
export const LINUX_MIB_TCPACKSKIPPEDPAWS = 174;
export const LINUX_MIB_TCPACKSKIPPEDSEQ = 175;
export const LINUX_MIB_TCPACKSKIPPEDFINWAIT2 = 176;
export const LINUX_MIB_TCPACKSKIPPEDTIMEWAIT = 177;
export const LINUX_MIB_TCPACKSKIPPEDCHALLENGE = 178;
export const LINUX_MIB_TCPWINPROBE = 179;
export const LINUX_MIB_TCPKEEPALIVE = 180;
export const LINUX_MIB_TCPMTUPFAIL = 181;
export const LINUX_MIB_TCPMTUPSUCCESS = 182;
export const LINUX_MIB_TCPDELIVERED = 183;
export const LINUX_MIB_TCPDELIVEREDCE = 184;
export const LINUX_MIB_TCPACKCOMPRESSED = 185;
export const LINUX_MIB_TCPZEROWINDOWDROP = 186;
export const LINUX_MIB_TCPRCVQDROP = 187;
export const LINUX_MIB_TCPWQUEUETOOBIG = 188;
export const LINUX_MIB_TCPFASTOPENPASSIVEALTKEY = 189;
export const LINUX_MIB_TCPTIMEOUTREHASH = 190;
export const LINUX_MIB_TCPDUPLICATEDATAREHASH = 191;
export const LINUX_MIB_TCPDSACKRECVSEGS = 192;
export const LINUX_MIB_TCPDSACKIGNOREDDUBIOUS = 193;
export const LINUX_MIB_TCPMIGRATEREQSUCCESS = 194;
export const LINUX_MIB_TCPMIGRATEREQFAILURE = 195;

/* IpExt. What RFC 4293 adds to Ip. */
export const IPSTATS_MIB_INNOROUTES = 196;
export const IPSTATS_MIB_INTRUNCATEDPKTS = 197;
export const IPSTATS_MIB_INMCASTPKTS = 198;
export const IPSTATS_MIB_OUTMCASTPKTS = 199;
export const IPSTATS_MIB_INBCASTPKTS = 200;
export const IPSTATS_MIB_OUTBCASTPKTS = 201;
export const IPSTATS_MIB_INOCTETS = 202;
export const IPSTATS_MIB_OUTOCTETS = 203;
export const IPSTATS_MIB_INMCASTOCTETS = 204;
export const IPSTATS_MIB_OUTMCASTOCTETS = 205;
export const IPSTATS_MIB_INBCASTOCTETS = 206;
export const IPSTATS_MIB_OUTBCASTOCTETS = 207;
export const IPSTATS_MIB_CSUMERRORS = 208;
export const IPSTATS_MIB_NOECTPKTS = 209;
export const IPSTATS_MIB_ECT1PKTS = 210;
export const IPSTATS_MIB_ECT0PKTS = 211;
export const IPSTATS_MIB_CEPKTS = 212;
export const IPSTATS_MIB_REASM_OVERLAPS = 213;

/** Number of counters. */
export const SNMP_MIB_MAX = 214;

/** The name of each counter by its index, as the /proc files print it. */
export const SNMP_NAMES: readonly string[] = Object.freeze([
  "InReceives", "InHdrErrors", "InAddrErrors", "ForwDatagrams", "InUnknownProtos", "InDiscards", "InDelivers",
  "OutRequests", "OutDiscards", "OutNoRoutes", "ReasmTimeout", "ReasmReqds", "ReasmOKs", "ReasmFails", "FragOKs",
  "FragFails", "FragCreates", "OutTransmits",
  "InMsgs", "InErrors", "InCsumErrors", "InDestUnreachs", "InTimeExcds", "InParmProbs", "InSrcQuenchs",
  "InRedirects", "InEchos", "InEchoReps", "InTimestamps", "InTimestampReps", "InAddrMasks", "InAddrMaskReps",
  "OutMsgs", "OutErrors", "OutRateLimitGlobal", "OutRateLimitHost", "OutDestUnreachs", "OutTimeExcds",
  "OutParmProbs", "OutSrcQuenchs", "OutRedirects", "OutEchos", "OutEchoReps", "OutTimestamps", "OutTimestampReps",
  "OutAddrMasks", "OutAddrMaskReps",
  "ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "CurrEstab", "InSegs", "OutSegs", "RetransSegs",
  "InErrs", "OutRsts", "InCsumErrors",
  "InDatagrams", "NoPorts", "InErrors", "OutDatagrams", "RcvbufErrors", "SndbufErrors", "InCsumErrors",
  "IgnoredMulti", "MemErrors",
  "SyncookiesSent", "SyncookiesRecv", "SyncookiesFailed", "EmbryonicRsts", "PruneCalled", "RcvPruned", "OfoPruned",
  "OutOfWindowIcmps", "LockDroppedIcmps", "ArpFilter", "TW", "TWRecycled", "TWKilled", "PAWSActive", "PAWSEstab",
  "BeyondWindow", "TSEcrRejected", "PAWSOldAck", "PAWSTimewait", "DelayedACKs", "DelayedACKLocked", "DelayedACKLost",
  "ListenOverflows", "ListenDrops", "TCPHPHits", "TCPPureAcks", "TCPHPAcks", "TCPRenoRecovery", "TCPSackRecovery",
  "TCPSACKReneging", "TCPSACKReorder", "TCPRenoReorder", "TCPTSReorder", "TCPFullUndo", "TCPPartialUndo",
  "TCPDSACKUndo", "TCPLossUndo", "TCPLostRetransmit", "TCPRenoFailures", "TCPSackFailures", "TCPLossFailures",
  "TCPFastRetrans", "TCPSlowStartRetrans", "TCPTimeouts", "TCPLossProbes", "TCPLossProbeRecovery",
  "TCPRenoRecoveryFail", "TCPSackRecoveryFail", "TCPRcvCollapsed", "TCPBacklogCoalesce", "TCPDSACKOldSent",
  "TCPDSACKOfoSent", "TCPDSACKRecv", "TCPDSACKOfoRecv", "TCPAbortOnData", "TCPAbortOnClose", "TCPAbortOnMemory",
  "TCPAbortOnTimeout", "TCPAbortOnLinger", "TCPAbortFailed", "TCPMemoryPressures", "TCPMemoryPressuresChrono",
  "TCPSACKDiscard", "TCPDSACKIgnoredOld", "TCPDSACKIgnoredNoUndo", "TCPSpuriousRTOs", "TCPMD5NotFound",
  "TCPMD5Unexpected", "TCPMD5Failure", "TCPSackShifted", "TCPSackMerged", "TCPSackShiftFallback", "TCPBacklogDrop",
  "PFMemallocDrop", "TCPMinTTLDrop", "TCPDeferAcceptDrop", "IPReversePathFilter", "TCPTimeWaitOverflow",
  "TCPReqQFullDoCookies", "TCPReqQFullDrop", "TCPRetransFail", "TCPRcvCoalesce", "TCPOFOQueue", "TCPOFODrop",
  "TCPOFOMerge", "TCPChallengeACK", "TCPSYNChallenge", "TCPFastOpenActive", "TCPFastOpenActiveFail",
  "TCPFastOpenPassive", "TCPFastOpenPassiveFail", "TCPFastOpenListenOverflow", "TCPFastOpenCookieReqd",
  "TCPFastOpenBlackhole", "TCPSpuriousRtxHostQueues", "BusyPollRxPackets", "TCPAutoCorking", "TCPFromZeroWindowAdv",
  "TCPToZeroWindowAdv", "TCPWantZeroWindowAdv", "TCPSynRetrans", "TCPOrigDataSent", "TCPHystartTrainDetect",
  "TCPHystartTrainCwnd", "TCPHystartDelayDetect", "TCPHystartDelayCwnd", "TCPACKSkippedSynRecv", "TCPACKSkippedPAWS",
  "TCPACKSkippedSeq", "TCPACKSkippedFinWait2", "TCPACKSkippedTimeWait", "TCPACKSkippedChallenge", "TCPWinProbe",
  "TCPKeepAlive", "TCPMTUPFail", "TCPMTUPSuccess", "TCPDelivered", "TCPDeliveredCE", "TCPAckCompressed",
  "TCPZeroWindowDrop", "TCPRcvQDrop", "TCPWqueueTooBig", "TCPFastOpenPassiveAltKey", "TcpTimeoutRehash",
  "TcpDuplicateDataRehash", "TCPDSACKRecvSegs", "TCPDSACKIgnoredDubious", "TCPMigrateReqSuccess",
  "TCPMigrateReqFailure",
  "InNoRoutes", "InTruncatedPkts", "InMcastPkts", "OutMcastPkts", "InBcastPkts", "OutBcastPkts", "InOctets",
  "OutOctets", "InMcastOctets", "OutMcastOctets", "InBcastOctets", "OutBcastOctets", "InCsumErrors", "InNoECTPkts",
  "InECT1Pkts", "InECT0Pkts", "InCEPkts", "ReasmOverlaps",
]);

/** A line of /proc/net/snmp or netstat: its prefix, its first counter and their number. */
export interface SnmpGroup {
  readonly prefix: string;
  readonly first: number;
  readonly count: number;
}

/** The groups in the order of the indices. Ip, Icmp, Tcp and Udp are /proc/net/snmp's, the rest /proc/net/netstat's. */
export const SNMP_GROUPS: readonly SnmpGroup[] = Object.freeze([
  Object.freeze({ prefix: "Ip", first: 0, count: 18 }),
  Object.freeze({ prefix: "Icmp", first: 18, count: 29 }),
  Object.freeze({ prefix: "Tcp", first: 47, count: 11 }),
  Object.freeze({ prefix: "Udp", first: 58, count: 9 }),
  Object.freeze({ prefix: "TcpExt", first: 67, count: 129 }),
  Object.freeze({ prefix: "IpExt", first: 196, count: 18 }),
]);
