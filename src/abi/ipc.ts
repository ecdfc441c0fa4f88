// System V IPC: <linux/ipc.h>, <linux/shm.h>, struct layouts of x86-64.

export const IPC_PRIVATE = 0;
export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;

export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;
export const IPC_INFO = 3;
export const SHM_LOCK = 11;
export const SHM_UNLOCK = 12;
export const SHM_STAT = 13;
export const SHM_INFO = 14;
export const SHM_STAT_ANY = 15;

/** shmget. */
export const SHM_HUGETLB = 0o4000;
/** shmat. */
export const SHM_RDONLY = 0o10000;
export const SHM_RND = 0o20000;
export const SHM_REMAP = 0o40000;
export const SHM_EXEC = 0o100000;
/** In shm_perm.mode: removed, and waits for its last detachment. */
export const SHM_DEST = 0o1000;

export const SHMMNI = 4096;
export const SHMMAX = 2 ** 53;

/** struct ipc64_perm. */
export const IPC_PERM_KEY = 0;
export const IPC_PERM_UID = 4;
export const IPC_PERM_GID = 8;
export const IPC_PERM_CUID = 12;
export const IPC_PERM_CGID = 16;
export const IPC_PERM_MODE = 20;
export const IPC_PERM_SEQ = 24;
/** struct shmid64_ds, after its ipc64_perm. */
export const SHMID_SEGSZ = 48;
export const SHMID_ATIME = 56;
export const SHMID_DTIME = 64;
export const SHMID_CTIME = 72;
export const SHMID_CPID = 80;
export const SHMID_LPID = 84;
export const SHMID_NATTCH = 88;
export const SHMID_BYTES = 112;
