// struct stat of x86-64 (asm/stat.h), struct statx (linux/stat.h), struct statfs (asm-generic/statfs.h),
// file types and permission bits (linux/stat.h), directory entry types, device numbers (linux/kdev_t.h).

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;

export const STAT_BYTES = 144;
export const STAT_DEV = 0;
export const STAT_INO = 8;
export const STAT_NLINK = 16;
export const STAT_MODE = 24;
export const STAT_UID = 28;
export const STAT_GID = 32;
export const STAT_RDEV = 40;
export const STAT_SIZE = 48;
export const STAT_BLKSIZE = 56;
export const STAT_BLOCKS = 64;
export const STAT_ATIME = 72;
export const STAT_MTIME = 88;
export const STAT_CTIME = 104;

export const STATX_BYTES = 256;
export const STATX_MASK = 0;
export const STATX_BLKSIZE = 4;
export const STATX_ATTRIBUTES = 8;
export const STATX_NLINK = 16;
export const STATX_UID = 20;
export const STATX_GID = 24;
export const STATX_MODE = 28;
export const STATX_INO = 32;
export const STATX_SIZE = 40;
export const STATX_BLOCKS = 48;
export const STATX_ATTRIBUTES_MASK = 56;
export const STATX_ATIME = 64;
export const STATX_BTIME = 80;
export const STATX_CTIME = 96;
export const STATX_MTIME = 112;
export const STATX_RDEV_MAJOR = 128;
export const STATX_RDEV_MINOR = 132;
export const STATX_DEV_MAJOR = 136;
export const STATX_DEV_MINOR = 140;
export const STATX_MNT_ID_AT = 144;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME_BIT = 0x800;
export const STATX_MNT_ID_BIT = 0x1000;
export const STATX_RESERVED = 0x8000_0000;
export const STATX_ATTR_MOUNT_ROOT = 0x2000;

export const STATFS_BYTES = 120;
export const STATFS_TYPE = 0;
export const STATFS_BSIZE = 8;
export const STATFS_BLOCKS = 16;
export const STATFS_BFREE = 24;
export const STATFS_BAVAIL = 32;
export const STATFS_FILES = 40;
export const STATFS_FFREE = 48;
export const STATFS_FSID = 56;
export const STATFS_NAMELEN = 64;
export const STATFS_FRSIZE = 72;
export const STATFS_FLAGS = 80;
/** statfs f_flags: mounted noexec. */
export const ST_NOEXEC = 8;
/** statfs f_flags says that the mount flags are valid. */
export const ST_VALID = 0x20;

export const DT_UNKNOWN = 0;
export const DT_FIFO = 1;
export const DT_CHR = 2;
export const DT_DIR = 4;
export const DT_BLK = 6;
export const DT_REG = 8;
export const DT_LNK = 10;
export const DT_SOCK = 12;
/** DT_* is the type nibble of the mode. */
export const direntType = (mode: number): number => (mode >>> 12) & 15;

/** struct linux_dirent64: ino u64, off s64, reclen u16, type u8, name. */
export const DIRENT64_HEADER_BYTES = 19;
/** struct linux_dirent: ino u64, off u64, reclen u16, name, NUL, ..., type in the last byte. */
export const DIRENT_HEADER_BYTES = 18;

/** dev_t as user space sees it in struct stat (new_encode_dev; minors above 20 bits are not used here). */
export const makeDev = (major: number, minor: number): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
export const devMajor = (dev: number): number => (dev >>> 8) & 0xfff;
export const devMinor = (dev: number): number => (dev & 0xff) | ((dev >>> 12) & 0xfff00);

export const TMPFS_MAGIC = 0x01021994;
export const OVERLAYFS_SUPER_MAGIC = 0x794c7630;
export const RAMFS_MAGIC = 0x858458f6;
export const PIPEFS_MAGIC = 0x50495045;
export const ANON_INODE_FS_MAGIC = 0x09041934;
