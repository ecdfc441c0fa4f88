/*
 * Where things are in a stub's address space, and the words through which Sentry and stub talk.
 * src/sentry/platform/systrap/layout.ts says the same in TypeScript; a test compares the two.
 *
 *   CODE    the blob, read+exec
 *   GLOBAL  one page for the whole sandbox, read-only here: spin times, descriptors, seccomp programs
 *   CTL     this stub's command page, read-only here: batches of operations for the mapper
 *   RUN     runner blocks and their small stacks, writable: hostile once a program runs
 *   SLOTS   one slot per context: alternate signal stack with the frame, header at its end; hostile
 */
#define REGION_BASE 0x6f0000000000
#define CODE_BYTES 0x10000
#define GLOBAL_BASE 0x6f0000010000
#define CTL_BASE 0x6f0000020000
#define CTL_BYTES 0x4000
#define RUN_BASE 0x6f0000030000
#define RUN_BYTES 0x10000
#define SLOTS_BASE 0x6f0000100000
#define SLOT_SHIFT 14
#define SLOT_BYTES 0x4000
#define SLOTS_MAX 4096
#define REGION_END 0x6f0004100000

/* GLOBAL */
#define G_SENTRY_SLEEPING 0x00
#define G_BELL_FD 0x04
#define G_SHARED_FD 0x08
#define G_FRAME_OFFSET 0x0c
#define G_RUNNER_SPIN 0x10 /* TSC ticks */
#define G_MAPPER_SPIN 0x14 /* iterations */
#define G_SENTRY_PID 0x18
#define G_USER_DISPATCH 0x1c
#define G_ONE 0x20
#define G_RUNNER_FILTER 0x40 /* struct sock_fprog */
#define G_BASE_FILTER 0x50
#define G_ERRNO_TABLE 0x800 /* u32[512]: i -> i */

/* CTL */
#define C_POSTED 0x00
#define C_DONE 0x04
#define C_ERROR 0x08
#define C_SENTRY_WAITS 0x0c
#define C_COUNT 0x10
#define C_FILE_OFFSET 0x18
#define C_OPS 0x80
#define OP_BYTES 64
#define OP_SYSCALL 0
#define OP_CLONE_STUB 1
#define OP_SPAWN_RUNNER 2
#define OP_START 3

/* Runner block, at the end of each KiB of RUN; the stack is below it. */
#define RUNNER_BYTES 1024
#define RUNNER_BLOCK 960
#define R_WORD 0
#define R_SLEEPING 4
#define R_TID 8
#define WORD_IDLE 0
#define WORD_RESUME 1 /* | slot << 8 */
#define WORD_BUSY 2

/* Slot header, in the last 256 bytes of a slot. */
#define H_OFFSET 0x3f00
#define H_STATE 0x00
#define H_BLOCK 0x30
#define H_SIGNAL 0x08
#define H_CODE 0x0c
#define H_ADDRESS 0x10
#define H_FS_BASE 0x18
#define H_GS_BASE 0x20
#define H_ARCH 0x28
#define H_CPU 0x38
#define STATE_FREE 0
#define STATE_RUNNING 1
#define STATE_TRAPPED 2
