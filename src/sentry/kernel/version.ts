// What uname(2) and /proc/version say: the Linux whose behaviour is followed.

export const UTS_SYSNAME = "Linux";
export const UTS_RELEASE = "6.12.0-netcell";
export const UTS_VERSION = "#1 SMP PREEMPT_DYNAMIC netcell";
export const UTS_MACHINE = "x86_64";
