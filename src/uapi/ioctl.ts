/*
 * ioctl requests of sockets and interfaces (Linux: linux/sockios.h, asm-generic/ioctls.h). Read first: netdevice(7),
 * tcp(7), udp(7).
 */

export const FIONBIO = 0x5421;
export const FIONREAD = 0x541b;
export const FIOASYNC = 0x5452;
export const TIOCOUTQ = 0x5411;
/** Bytes waiting to be read. */
export const SIOCINQ = 0x541b;
/** Bytes sent and not acknowledged. */
export const SIOCOUTQ = 0x5411;
/** Bytes not yet sent. */
export const SIOCOUTQNSD = 0x894b;
/** Bytes that send() takes now. BSD's (FreeBSD: ioctl_list(4)); Linux has no such request. TCP only. */
export const FIONSPACE = 0x40046676;
/** At the urgent mark? */
export const SIOCATMARK = 0x8905;
export const SIOCGSTAMP = 0x8906;
export const SIOCGSTAMPNS = 0x8907;

export const SIOCADDRT = 0x890b;
export const SIOCDELRT = 0x890c;

export const SIOCGIFNAME = 0x8910;
export const SIOCGIFCONF = 0x8912;
export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const SIOCGIFADDR = 0x8915;
export const SIOCSIFADDR = 0x8916;
export const SIOCGIFDSTADDR = 0x8917;
export const SIOCSIFDSTADDR = 0x8918;
export const SIOCGIFBRDADDR = 0x8919;
export const SIOCSIFBRDADDR = 0x891a;
export const SIOCGIFNETMASK = 0x891b;
export const SIOCSIFNETMASK = 0x891c;
export const SIOCGIFMETRIC = 0x891d;
export const SIOCSIFMETRIC = 0x891e;
export const SIOCGIFMTU = 0x8921;
export const SIOCSIFMTU = 0x8922;
export const SIOCSIFNAME = 0x8923;
export const SIOCSIFHWADDR = 0x8924;
export const SIOCGIFHWADDR = 0x8927;
export const SIOCADDMULTI = 0x8931;
export const SIOCDELMULTI = 0x8932;
export const SIOCGIFINDEX = 0x8933;
export const SIOCSIFHWBROADCAST = 0x8937;
export const SIOCGIFTXQLEN = 0x8942;
export const SIOCSIFTXQLEN = 0x8943;
export const SIOCETHTOOL = 0x8946;

export const SIOCDARP = 0x8953;
export const SIOCGARP = 0x8954;
export const SIOCSARP = 0x8955;

export const SIOCGIFVLAN = 0x8982;
export const SIOCSIFVLAN = 0x8983;
export const SIOCBRADDBR = 0x89a0;
export const SIOCBRDELBR = 0x89a1;
export const SIOCBRADDIF = 0x89a2;
export const SIOCBRDELIF = 0x89a3;
