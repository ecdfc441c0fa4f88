// linux/if_packet.h, and the classic filters of linux/filter.h.

// struct sockaddr_ll.
export const SLL_PROTOCOL = 2;
export const SLL_IFINDEX = 4;
export const SLL_HATYPE = 8;
export const SLL_PKTTYPE = 10;
export const SLL_HALEN = 11;
export const SLL_ADDR = 12;
export const SOCKADDR_LL_BYTES = 20;

export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_DROP_MEMBERSHIP = 2;
export const PACKET_RX_RING = 5;
export const PACKET_STATISTICS = 6;
export const PACKET_AUXDATA = 8;
export const PACKET_VERSION = 10;
export const PACKET_HDRLEN = 11;
export const PACKET_RESERVE = 12;
export const PACKET_TIMESTAMP = 17;
export const PACKET_IGNORE_OUTGOING = 23;

export const PACKET_MR_MULTICAST = 0;
export const PACKET_MR_PROMISC = 1;
export const PACKET_MR_ALLMULTI = 2;
export const PACKET_MR_UNICAST = 3;
export const PACKET_MREQ_BYTES = 16;

export const TPACKET_V1 = 0;
export const TPACKET_V2 = 1;
export const TPACKET_V3 = 2;

export const TP_STATUS_KERNEL = 0;
export const TP_STATUS_USER = 1;
export const TP_STATUS_LOSING = 4;
export const TP_STATUS_CSUMNOTREADY = 8;
export const TP_STATUS_VLAN_VALID = 0x10;
export const TP_STATUS_VLAN_TPID_VALID = 0x40;
export const TP_STATUS_CSUM_VALID = 128;
export const TP_STATUS_TS_SOFTWARE = 0x2000_0000;

// struct tpacket2_hdr; the sockaddr_ll follows it.
export const TPACKET2_HDR_BYTES = 32;
export const TPACKET2_HDRLEN = TPACKET2_HDR_BYTES + SOCKADDR_LL_BYTES;
export const TPACKET_ALIGNMENT = 16;
// struct tpacket_req.
export const TPACKET_REQ_BYTES = 16;
// struct tpacket_auxdata.
export const TPACKET_AUXDATA_BYTES = 20;

// struct sock_fprog: the count, and the address of the instructions at 8.
export const SOCK_FPROG_BYTES = 16;
export const SOCK_FILTER_BYTES = 8;
/** SKF_AD_MAX. */
export const BPF_EXTENSIONS = 64;
