// wait4(2), waitid(2): options and the status word (include/uapi/linux/wait.h).

export const WNOHANG = 1;
export const WUNTRACED = 2;
export const WSTOPPED = 2;
export const WEXITED = 4;
export const WCONTINUED = 8;
export const WNOWAIT = 0x0100_0000;
export const __WNOTHREAD = 0x2000_0000;
export const __WALL = 0x4000_0000;
export const __WCLONE = 0x8000_0000 | 0;

export const P_ALL = 0;
export const P_PID = 1;
export const P_PGID = 2;
export const P_PIDFD = 3;

export const CORE_DUMPED = 0x80;

/** The status word of wait4: an ordinary exit, or death by a signal. */
export const exitStatusWord = (code: number): number => (code & 0xff) << 8;
export const signalStatusWord = (signo: number, core: boolean): number =>
  (signo & 0x7f) | (core ? CORE_DUMPED : 0);
export const stopStatusWord = (signo: number): number => (signo << 8) | 0x7f;
export const CONTINUED_STATUS_WORD = 0xffff;

export const wifExited = (status: number): boolean => (status & 0x7f) === 0;
export const wExitStatus = (status: number): number => (status >>> 8) & 0xff;
export const wTermSig = (status: number): number => status & 0x7f;
/** What a shell would say in $?: the exit code, or 128 + signal. */
export const shellStatus = (status: number): number =>
  wifExited(status) ? wExitStatus(status) : 128 + wTermSig(status);
