// TCP socket options and states (include/uapi/linux/tcp.h; tcp(7)).

// Options of level SOL_TCP.
export const TCP_NODELAY = 1;
export const TCP_MAXSEG = 2;
export const TCP_CORK = 3;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_SYNCNT = 7;
export const TCP_LINGER2 = 8;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_WINDOW_CLAMP = 10;
export const TCP_INFO = 11;
export const TCP_QUICKACK = 12;
export const TCP_CONGESTION = 13;
export const TCP_MD5SIG = 14;
export const TCP_THIN_LINEAR_TIMEOUTS = 16;
export const TCP_THIN_DUPACK = 17;
export const TCP_USER_TIMEOUT = 18;
export const TCP_REPAIR = 19;
export const TCP_REPAIR_QUEUE = 20;
export const TCP_QUEUE_SEQ = 21;
export const TCP_REPAIR_OPTIONS = 22;
export const TCP_FASTOPEN = 23;
export const TCP_TIMESTAMP = 24;
export const TCP_NOTSENT_LOWAT = 25;
export const TCP_CC_INFO = 26;
export const TCP_SAVE_SYN = 27;
export const TCP_SAVED_SYN = 28;
export const TCP_REPAIR_WINDOW = 29;
export const TCP_FASTOPEN_CONNECT = 30;
export const TCP_ULP = 31;
export const TCP_FASTOPEN_KEY = 33;
export const TCP_FASTOPEN_NO_COOKIE = 34;
export const TCP_ZEROCOPY_RECEIVE = 35;
export const TCP_INQ = 36;
export const TCP_TX_DELAY = 37;
export const TCP_MD5SIG_EXT = 32;
export const TCP_IS_MPTCP = 43;
export const TCP_RTO_MAX_MS = 44;
export const TCP_RTO_MIN_US = 45;
export const TCP_DELACK_MAX_US = 46;
/** Control message of TCP_INQ. */
export const TCP_CM_INQ = TCP_INQ;

// struct tcp_md5sig: sockaddr_storage 128 | flags 1 | prefixlen 1 | keylen 2 | ifindex 4 | key 80
export const TCP_MD5SIG_BYTES = 216;
export const TCP_MD5SIG_FLAGS = 128;
export const TCP_MD5SIG_PREFIXLEN = 129;
export const TCP_MD5SIG_KEYLEN = 130;
export const TCP_MD5SIG_IFINDEX = 132;
export const TCP_MD5SIG_KEY = 136;
export const TCP_MD5SIG_MAXKEYLEN = 80;
export const TCP_MD5SIG_FLAG_PREFIX = 1;
export const TCP_MD5SIG_FLAG_IFINDEX = 2;

// States, as in tcp_info.tcpi_state and /proc/net/tcp.
export const TCP_ESTABLISHED = 1;
export const TCP_SYN_SENT = 2;
export const TCP_SYN_RECV = 3;
export const TCP_FIN_WAIT1 = 4;
export const TCP_FIN_WAIT2 = 5;
export const TCP_TIME_WAIT = 6;
export const TCP_CLOSE = 7;
export const TCP_CLOSE_WAIT = 8;
export const TCP_LAST_ACK = 9;
export const TCP_LISTEN = 10;
export const TCP_CLOSING = 11;
export const TCP_NEW_SYN_RECV = 12;
