// Order of the general registers in a signal frame's mcontext (arch/x86/include/uapi/asm/sigcontext.h,
// struct sigcontext_64). The Sentry keeps a task's registers in this order, 8 bytes each, as pairs of
// int32 (low word first) in one Int32Array of REG_WORDS.

export const REG_R8 = 0;
export const REG_R9 = 1;
export const REG_R10 = 2;
export const REG_R11 = 3;
export const REG_R12 = 4;
export const REG_R13 = 5;
export const REG_R14 = 6;
export const REG_R15 = 7;
export const REG_RDI = 8;
export const REG_RSI = 9;
export const REG_RBP = 10;
export const REG_RBX = 11;
export const REG_RDX = 12;
export const REG_RAX = 13;
export const REG_RCX = 14;
export const REG_RSP = 15;
export const REG_RIP = 16;
export const REG_EFL = 17;
/** cs, gs, fs, ss: 16 bits each. */
export const REG_CSGSFS = 18;
export const REG_ERR = 19;
export const REG_TRAPNO = 20;
export const REG_OLDMASK = 21;
export const REG_CR2 = 22;
export const REG_COUNT = 23;
export const REG_WORDS = 2 * REG_COUNT;
