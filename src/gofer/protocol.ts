// What the Sentry and the Gofer say to each other: one request, one reply, each one datagram of a
// SEQPACKET socket; a reply may carry one descriptor (SCM_RIGHTS). Fixed little-endian layouts; strings are
// a u16 length and that many bytes, no NUL. Both sides check every length: neither trusts the other.
// Attributes are the first 144 bytes of the host's struct statx (statx(2), abi/stat.ts STATX_*).
//
//   header   u32 length of the whole message | u16 op | u16 flags | u32 sequence | u32 handle or i32 result
//   HELLO    u32 magic, u32 version                        -> u32 version, u32 trees
//   ATTACH   (handle: tree id)                             -> u32 handle, u32 tree flags, attributes
//   WALK     u16 n, n strings                              -> i32 why it stopped (0: all found), then for
//            each found (result of them) u32 handle (0: not a directory), attributes
//   READDIR  u32 1 to start over, string ("": the handle's -> u32 1 at the end, u32 handle of what is listed,
//            own directory; else one of its directories)      result x (attributes, string)
//   READLINK string                                        -> string
//   OPEN     u32 access, string ("" for a tree of one file)-> attributes; the descriptor
//   CREATE   u32 mode, u32 uid, u32 gid, string            -> attributes; the descriptor (O_RDWR|O_EXCL)
//   MKDIR    u32 mode, u32 uid, u32 gid, string            -> attributes
//   SYMLINK  u32 uid, u32 gid, string, string target       -> attributes
//   LINK     u32 new directory, string, string new name    -> attributes
//   UNLINK   u32 AT_REMOVEDIR or 0, string                 ->
//   RENAME   u32 new directory, u32 RENAME_*, string, string new name ->
//   SETATTR  u32 mask, mode, uid, gid, u64 size, i64 atime, i64 mtime (seconds), u32 atime, u32 mtime
//            (nanoseconds), string ("": the directory itself)  -> attributes
//   STATFS                                                 -> u64 type, bsize, blocks, bfree, files, ffree, namelen

export const GOFER_MAGIC = 0x6e63676f;
export const GOFER_VERSION = 2;
export const MESSAGE_BYTES_MAX = 65_536;
export const HEADER_BYTES = 16;
export const ATTR_BYTES = 144;
export const NAME_BYTES_MAX = 255;
export const TARGET_BYTES_MAX = 4095;
/** Components of one WALK. */
export const WALK_MAX = 64;

export const OP_HELLO = 1;
export const OP_ATTACH = 2;
export const OP_WALK = 3;
export const OP_READDIR = 4;
export const OP_READLINK = 5;
export const OP_OPEN = 6;
export const OP_CREATE = 7;
export const OP_MKDIR = 8;
export const OP_SYMLINK = 9;
export const OP_LINK = 10;
export const OP_UNLINK = 11;
export const OP_RENAME = 12;
export const OP_SETATTR = 13;
export const OP_STATFS = 14;

/** Reply flag: a descriptor came along. */
export const FLAG_DESCRIPTOR = 1;

export const ACCESS_READ = 0;
export const ACCESS_READ_WRITE = 2;

export const TREE_WRITABLE = 1;
/** The tree is one regular file. */
export const TREE_IS_FILE = 2;
/** The host has it mounted noexec: its bytes cannot be mapped as code. */
export const TREE_NOEXEC = 4;

/** SETATTR's mask has the same bits as the Sentry's AttrChange. */
export const SET_MODE = 1;
export const SET_UID = 2;
export const SET_GID = 4;
export const SET_SIZE = 8;
export const SET_ATIME = 16;
export const SET_MTIME = 32;

/** One tree of the host's files, as the monitor configures it (first argument of the Gofer, JSON). */
export interface TreeConfig {
  /** What ATTACH and MountSpec.tree say. */
  id: number;
  /** Absolute; a directory or one regular file. */
  hostPath: string;
  writable: boolean;
  /**
   * Names that look as if they were not there: paths relative to the tree, `*` matches within a component
   * ("shadow*", "ssh/ssh_host_*_key"). Two stars alone as a component match any depth.
   */
  exclude?: string[];
  /** Only what every user of the host may read is shown: for the view of the host's own programs. */
  publicOnly?: boolean;
}

export interface GoferConfig {
  trees: TreeConfig[];
}
