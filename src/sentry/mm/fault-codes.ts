// What a page fault comes to when it cannot be repaired: the kernel makes a signal of it. 0 is success.

/** Nothing is mapped there: SIGSEGV, SEGV_MAPERR. */
export const FAULT_MAPERR = 1;
/** The mapping does not allow the access: SIGSEGV, SEGV_ACCERR. */
export const FAULT_ACCERR = 2;
/** Past the end of the file: SIGBUS, BUS_ADRERR. */
export const FAULT_BUS = 3;
/** No memory is left: the process is killed. */
export const FAULT_OOM = 4;
