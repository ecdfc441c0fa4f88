// linux/sock_diag.h, inet_diag.h and unix_diag.h: what ss(8) asks.

export const SOCK_DIAG_BY_FAMILY = 20;

// struct inet_diag_req_v2, behind the netlink header; the inet_diag_sockid begins at 8.
export const DIAG_REQ_FAMILY = 0;
export const DIAG_REQ_PROTOCOL = 1;
export const DIAG_REQ_EXT = 2;
export const DIAG_REQ_STATES = 4;
export const DIAG_REQ_ID = 8;
export const INET_DIAG_REQ_BYTES = 56;

// struct inet_diag_sockid.
export const DIAG_ID_SPORT = 0;
export const DIAG_ID_DPORT = 2;
export const DIAG_ID_SRC = 4;
export const DIAG_ID_DST = 20;
export const DIAG_ID_IF = 36;
export const DIAG_ID_COOKIE = 40;
export const INET_DIAG_SOCKID_BYTES = 48;

// struct inet_diag_msg; the sockid at 4.
export const DIAG_MSG_ID = 4;
export const DIAG_MSG_RQUEUE = 56;
export const DIAG_MSG_WQUEUE = 60;
export const DIAG_MSG_UID = 64;
export const DIAG_MSG_INODE = 68;
export const INET_DIAG_MSG_BYTES = 72;

export const INET_DIAG_INFO = 2;
export const INET_DIAG_CONG = 4;
export const INET_DIAG_TOS = 5;
export const INET_DIAG_TCLASS = 6;
export const INET_DIAG_SKMEMINFO = 7;
export const INET_DIAG_SHUTDOWN = 8;
export const INET_DIAG_PROTOCOL = 10;
export const INET_DIAG_SKV6ONLY = 11;
export const INET_DIAG_MARK = 15;

// struct unix_diag_req and unix_diag_msg.
export const UNIX_DIAG_REQ_STATES = 4;
export const UNIX_DIAG_REQ_INO = 8;
export const UNIX_DIAG_REQ_SHOW = 12;
export const UNIX_DIAG_REQ_BYTES = 24;
export const UNIX_DIAG_MSG_BYTES = 16;
export const UNIX_DIAG_NAME = 0;
export const UNIX_DIAG_PEER = 2;
export const UNIX_DIAG_RQLEN = 4;
export const UNIX_DIAG_SHUTDOWN = 6;
export const UDIAG_SHOW_NAME = 1;
export const UDIAG_SHOW_PEER = 4;
export const UDIAG_SHOW_RQLEN = 0x10;
