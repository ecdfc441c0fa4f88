// linux/errqueue.h and linux/net_tstamp.h: what MSG_ERRQUEUE returns, and what SO_TIMESTAMPING asks for.

export const SO_EE_ORIGIN_LOCAL = 1;
export const SO_EE_ORIGIN_ICMP = 2;
export const SO_EE_ORIGIN_ICMP6 = 3;
export const SO_EE_ORIGIN_TIMESTAMPING = 4;
export const SO_EE_ORIGIN_ZEROCOPY = 5;

// struct sock_extended_err.
export const EE_ERRNO = 0;
export const EE_ORIGIN = 4;
export const EE_TYPE = 5;
export const EE_CODE = 6;
export const EE_INFO = 8;
export const EE_DATA = 12;
export const EE_BYTES = 16;

export const SOF_TIMESTAMPING_TX_HARDWARE = 1;
export const SOF_TIMESTAMPING_TX_SOFTWARE = 2;
export const SOF_TIMESTAMPING_RX_HARDWARE = 4;
export const SOF_TIMESTAMPING_RX_SOFTWARE = 8;
export const SOF_TIMESTAMPING_SOFTWARE = 16;
export const SOF_TIMESTAMPING_OPT_ID = 128;
export const SOF_TIMESTAMPING_TX_SCHED = 256;
export const SOF_TIMESTAMPING_TX_ACK = 512;
export const SOF_TIMESTAMPING_OPT_CMSG = 1024;
export const SOF_TIMESTAMPING_OPT_TSONLY = 2048;
export const SOF_TIMESTAMPING_OPT_STATS = 4096;
export const SOF_TIMESTAMPING_OPT_ID_TCP = 65_536;
/** All that there are (Linux 6.8). */
export const SOF_TIMESTAMPING_MASK = 0x1_ffff;
