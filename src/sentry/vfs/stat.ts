// Attributes of a file, family-neutral: struct stat, statx and the gofer's replies are written from it.

export class Stat {
  dev = 0;
  ino = 0;
  /** Type and permission bits (S_IF* | 07777). */
  mode = 0;
  nlink = 1;
  uid = 0;
  gid = 0;
  /** Device number for character and block devices (Linux's encoding, makedev). */
  rdev = 0;
  size = 0;
  blksize = 4096;
  /** 512-byte blocks. */
  blocks = 0;
  atimeNs = 0;
  mtimeNs = 0;
  ctimeNs = 0;
  btimeNs = 0;
}
