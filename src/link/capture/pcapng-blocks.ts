// The types of pcapng blocks (draft-ietf-opsawg-pcapng 11.1). What is not here is passed over.

export const BLOCK_SECTION = 0x0a0d0d0a;
export const BLOCK_INTERFACE = 1;
export const BLOCK_PACKET_OBSOLETE = 2;
export const BLOCK_SIMPLE = 3;
export const BLOCK_NAMES = 4;
export const BLOCK_STATISTICS = 5;
export const BLOCK_PACKET = 6;
export const BLOCK_SECRETS = 10;
export const BLOCK_CUSTOM = 0x0bad;
/** The same, not to be copied by programs that change the file. */
export const BLOCK_CUSTOM_LOCAL = 0x4000_0bad;
