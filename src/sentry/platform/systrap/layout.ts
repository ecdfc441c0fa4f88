// Where things are in a stub's address space and the words through which Sentry and stub talk: the same
// numbers as native/x86_64/layout.h (a test compares the two). Nothing else knows these offsets.

export const REGION_BASE = 0x6f00_0000_0000;
export const CODE_BYTES = 0x10000;
export const GLOBAL_BASE = 0x6f00_0001_0000;
export const CTL_BASE = 0x6f00_0002_0000;
export const CTL_BYTES = 0x4000;
export const RUN_BASE = 0x6f00_0003_0000;
export const RUN_BYTES = 0x10000;
export const SLOTS_BASE = 0x6f00_0010_0000;
export const SLOT_SHIFT = 14;
export const SLOT_BYTES = 0x4000;
export const SLOTS_MAX = 4096;
export const REGION_END = 0x6f00_0410_0000;

export const G_SENTRY_SLEEPING = 0x00;
export const G_BELL_FD = 0x04;
export const G_SHARED_FD = 0x08;
export const G_FRAME_OFFSET = 0x0c;
export const G_RUNNER_SPIN = 0x10;
export const G_MAPPER_SPIN = 0x14;
export const G_SENTRY_PID = 0x18;
export const G_USER_DISPATCH = 0x1c;
export const G_ONE = 0x20;
export const G_RUNNER_FILTER = 0x40;
export const G_BASE_FILTER = 0x50;
export const G_ERRNO_TABLE = 0x800;

export const C_POSTED = 0x00;
export const C_DONE = 0x04;
export const C_ERROR = 0x08;
export const C_SENTRY_WAITS = 0x0c;
export const C_COUNT = 0x10;
export const C_FILE_OFFSET = 0x18;
export const C_OPS = 0x80;
export const OP_BYTES = 64;
export const OP_SYSCALL = 0;
export const OP_CLONE_STUB = 1;
export const OP_SPAWN_RUNNER = 2;
export const OP_START = 3;
/** Operations that fit in one batch. */
export const OPS_MAX = (CTL_BYTES - C_OPS) / OP_BYTES;

export const RUNNER_BYTES = 1024;
export const RUNNER_BLOCK = 960;
export const RUNNERS_MAX = RUN_BYTES / RUNNER_BYTES;
export const R_WORD = 0;
export const R_SLEEPING = 4;
export const R_TID = 8;
export const WORD_IDLE = 0;
export const WORD_RESUME = 1;
export const WORD_BUSY = 2;

export const H_OFFSET = 0x3f00;
export const H_STATE = 0x00;
export const H_BLOCK = 0x30;
export const H_SIGNAL = 0x08;
export const H_CODE = 0x0c;
export const H_ADDRESS = 0x10;
export const H_FS_BASE = 0x18;
export const H_GS_BASE = 0x20;
export const H_ARCH = 0x28;
export const H_CPU = 0x38;
export const STATE_FREE = 0;
export const STATE_RUNNING = 1;
export const STATE_TRAPPED = 2;

// Not in layout.h: struct ucontext of the signal frame (x86-64 kernel ABI).
export const UC_FLAGS = 0;
export const UC_LINK = 8;
export const UC_STACK_POINTER = 16;
export const UC_STACK_FLAGS = 24;
export const UC_STACK_SIZE = 32;
export const UC_REGS = 40;
export const UC_FPSTATE = 224;
export const UC_SIGMASK = 296;
/** UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */
export const UC_FLAGS_VALUE = 7;

/** Slots are given to a stub in chunks of this many. */
export const CHUNK_SLOTS = 4;
export const CHUNK_BYTES = CHUNK_SLOTS * SLOT_BYTES;
