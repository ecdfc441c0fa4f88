// Network interfaces: flags, hardware types, struct ifreq (include/uapi/linux/if.h, if_arp.h; netdevice(7)).

// Interface flags.
export const IFF_UP = 1;
export const IFF_BROADCAST = 2;
export const IFF_LOOPBACK = 8;
export const IFF_POINTOPOINT = 0x10;
export const IFF_RUNNING = 0x40;
export const IFF_NOARP = 0x80;
export const IFF_PROMISC = 0x100;
export const IFF_ALLMULTI = 0x200;
export const IFF_MULTICAST = 0x1000;
export const IFF_LOWER_UP = 0x10000;

// Hardware types and states.
export const ARPHRD_ETHER = 1;
export const ARPHRD_LOOPBACK = 772;
export const IF_OPER_UNKNOWN = 0;
export const IF_OPER_DOWN = 2;
export const IF_OPER_UP = 6;

/** struct ifreq: 16 bytes of name, 24 of union. */
export const IFREQ_BYTES = 40;
export const IFNAMSIZ = 16;
/** struct ifconf: int length, padding, pointer. */
export const IFCONF_BYTES = 16;
