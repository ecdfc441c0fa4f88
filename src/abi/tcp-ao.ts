// Structures of TCP-AO's socket options (include/uapi/linux/tcp.h, Linux 6.7). Each begins with a sockaddr_storage of
// 128 bytes but struct tcp_ao_info_opt.

export const TCP_AO_ADD_KEY = 38;
export const TCP_AO_DEL_KEY = 39;
export const TCP_AO_INFO = 40;
export const TCP_AO_GET_KEYS = 41;
export const TCP_AO_REPAIR = 42;

export const TCP_AO_MAXKEYLEN = 80;
export const TCP_AO_ALG_NAME_BYTES = 64;
/** Key flags. */
export const TCP_AO_KEYF_IFINDEX = 1;
export const TCP_AO_KEYF_EXCLUDE_OPT = 2;

/** struct tcp_ao_add. */
export const TCP_AO_ADD_BYTES = 288;
export const TCP_AO_ADD_ALG_NAME = 128;
export const TCP_AO_ADD_IFINDEX = 192;
/** Bits: set_current, set_rnext. */
export const TCP_AO_ADD_BITS = 196;
export const TCP_AO_ADD_RESERVED2 = 200;
export const TCP_AO_ADD_PREFIX = 202;
export const TCP_AO_ADD_SNDID = 203;
export const TCP_AO_ADD_RCVID = 204;
export const TCP_AO_ADD_MACLEN = 205;
export const TCP_AO_ADD_KEYFLAGS = 206;
export const TCP_AO_ADD_KEYLEN = 207;
export const TCP_AO_ADD_KEY_BYTES = 208;

/** struct tcp_ao_del. */
export const TCP_AO_DEL_BYTES = 144;
export const TCP_AO_DEL_IFINDEX = 128;
/** Bits: set_current, set_rnext, del_async. */
export const TCP_AO_DEL_BITS = 132;
export const TCP_AO_DEL_RESERVED2 = 136;
export const TCP_AO_DEL_PREFIX = 138;
export const TCP_AO_DEL_SNDID = 139;
export const TCP_AO_DEL_RCVID = 140;
export const TCP_AO_DEL_CURRENT_KEY = 141;
export const TCP_AO_DEL_RNEXT = 142;
export const TCP_AO_DEL_KEYFLAGS = 143;

/** struct tcp_ao_info_opt; bits: set_current, set_rnext, ao_required, set_counters, accept_icmps. */
export const TCP_AO_INFO_BYTES = 48;
export const TCP_AO_INFO_RESERVED2 = 4;
export const TCP_AO_INFO_CURRENT_KEY = 6;
export const TCP_AO_INFO_RNEXT = 7;
export const TCP_AO_INFO_PKT_GOOD = 8;
export const TCP_AO_INFO_PKT_BAD = 16;
export const TCP_AO_INFO_PKT_KEY_NOT_FOUND = 24;
export const TCP_AO_INFO_PKT_AO_REQUIRED = 32;
export const TCP_AO_INFO_PKT_DROPPED_ICMP = 40;

/** struct tcp_ao_getsockopt. */
export const TCP_AO_GET_BYTES = 304;
export const TCP_AO_GET_ALG_NAME = 128;
export const TCP_AO_GET_KEY = 192;
export const TCP_AO_GET_NKEYS = 272;
/** Bits of 16: is_current, is_rnext, get_all. */
export const TCP_AO_GET_BITS = 276;
export const TCP_AO_GET_SNDID = 278;
export const TCP_AO_GET_RCVID = 279;
export const TCP_AO_GET_PREFIX = 280;
export const TCP_AO_GET_MACLEN = 281;
export const TCP_AO_GET_KEYFLAGS = 282;
export const TCP_AO_GET_KEYLEN = 283;
export const TCP_AO_GET_IFINDEX = 284;
export const TCP_AO_GET_PKT_GOOD = 288;
export const TCP_AO_GET_PKT_BAD = 296;
