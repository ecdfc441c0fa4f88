// The machine as programs see it: uname, sysinfo, random bytes, host name, and the administrator's calls
// that nobody may make here.

import { CAP_SYS_ADMIN, CAP_SYSLOG } from "../../abi/capability.ts";
import { EFAULT, EINVAL, ENOSYS, EPERM } from "../../abi/errno.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { byteString, putByteString, setU16Le, setU32Le, setU64Le } from "../../base/bytes.ts";
import { SECOND } from "../../base/clock.ts";
import type { Task } from "../kernel/task.ts";
import { UTS_MACHINE, UTS_RELEASE, UTS_SYSNAME, UTS_VERSION } from "../kernel/version.ts";
import type { SyscallArgs } from "./args.ts";
import type { SyscallFamily } from "./family.ts";

const UTS_FIELD_BYTES = 65;
const UTS_BYTES = 6 * UTS_FIELD_BYTES;
const HOSTNAME_BYTES_MAX = 64;
const SYSINFO_BYTES = 112;
const RANDOM_CHUNK_BYTES = 4096;
const GRND_NONBLOCK = 1;
const GRND_RANDOM = 2;
const GRND_INSECURE = 4;
const scratch = new Uint8Array(RANDOM_CHUNK_BYTES);

function sysUname(t: Task, a: SyscallArgs): number {
  scratch.fill(0, 0, UTS_BYTES);
  const kernel = t.kernel;
  const fields = [
    UTS_SYSNAME,
    kernel.hostname,
    UTS_RELEASE,
    UTS_VERSION,
    UTS_MACHINE,
    kernel.domainname,
  ];
  for (let i = 0; i < fields.length; i++) {
    putByteString(scratch, i * UTS_FIELD_BYTES, fields[i].slice(0, UTS_FIELD_BYTES - 1));
  }
  return t.mm.copyOut(a.addr(0), scratch, 0, UTS_BYTES) === UTS_BYTES ? 0 : -EFAULT;
}

/** A new host or domain name; -errno. */
function readName(t: Task, a: SyscallArgs): string | number {
  if (!t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
  const length = a.size(1);
  if (a.int(1) < 0 || length > HOSTNAME_BYTES_MAX) return -EINVAL;
  if (t.mm.copyIn(a.addr(0), scratch, 0, length) !== length) return -EFAULT;
  return byteString(scratch, 0, length).split("\0")[0];
}

function sysSethostname(t: Task, a: SyscallArgs): number {
  const name = readName(t, a);
  if (typeof name === "number") return name;
  t.kernel.hostname = name;
  return 0;
}
function sysSetdomainname(t: Task, a: SyscallArgs): number {
  const name = readName(t, a);
  if (typeof name === "number") return name;
  t.kernel.domainname = name;
  return 0;
}

function sysSysinfo(t: Task, a: SyscallArgs): number {
  const kernel = t.kernel;
  const total = kernel.limits.memoryBytes;
  scratch.fill(0, 0, SYSINFO_BYTES);
  setU64Le(scratch, 0, Math.floor(kernel.time.uptimeNs() / SECOND));
  setU64Le(scratch, 32, total);
  setU64Le(scratch, 40, Math.max(0, total - kernel.memoryFile.allocatedBytes));
  setU16Le(scratch, 80, kernel.pids.tasks.size);
  setU32Le(scratch, 104, 1);
  return t.mm.copyOut(a.addr(0), scratch, 0, SYSINFO_BYTES) === SYSINFO_BYTES ? 0 : -EFAULT;
}

function sysGetrandom(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  const both = GRND_RANDOM | GRND_INSECURE;
  if ((flags & ~(GRND_NONBLOCK | both)) !== 0 || (flags & both) === both) return -EINVAL;
  const length = Math.min(a.size(1), 0x7fff_ffff);
  let done = 0;
  while (done < length) {
    const chunk = Math.min(RANDOM_CHUNK_BYTES, length - done);
    t.kernel.rng.fill(scratch, 0, chunk);
    const moved = t.mm.copyOut(a.addr(0) + done, scratch, 0, chunk);
    if (moved > 0) done += moved;
    if (moved !== chunk) return done > 0 ? done : -EFAULT;
  }
  return done;
}

function sysPersonality(t: Task, a: SyscallArgs): number {
  const old = t.personality;
  if (a.uint(0) === 0xffff_ffff) return old;
  // Only the execution domain Linux; of its flags those that change nothing here may be kept.
  if ((a.uint(0) & 0xff) !== 0) return -EINVAL;
  t.personality = a.uint(0);
  return old;
}

const SYSLOG_READ_ALL = 3;
const SYSLOG_SIZE_BUFFER = 10;

/** An empty kernel log. */
function sysSyslog(t: Task, a: SyscallArgs): number {
  const type = a.int(0);
  if (type < 0 || type > SYSLOG_SIZE_BUFFER) return -EINVAL;
  const isOpen = type === SYSLOG_READ_ALL || type === SYSLOG_SIZE_BUFFER;
  const may = t.creds.hasCapability(CAP_SYSLOG) || t.creds.hasCapability(CAP_SYS_ADMIN);
  if (!isOpen && !may) return -EPERM;
  return 0;
}

const forbidden = (): number => -EPERM;
const absent = (): number => -ENOSYS;

export const systemFamily: SyscallFamily = [
  [nr.SYS_uname, sysUname],
  [nr.SYS_sethostname, sysSethostname],
  [nr.SYS_setdomainname, sysSetdomainname],
  [nr.SYS_sysinfo, sysSysinfo],
  [nr.SYS_getrandom, sysGetrandom],
  [nr.SYS_personality, sysPersonality],
  [nr.SYS_syslog, sysSyslog],
  // glibc and others take ENOSYS for "no restartable sequences" and go on without.
  [nr.SYS_rseq, absent],
  [nr.SYS_acct, forbidden],
  [nr.SYS_bpf, forbidden],
  [nr.SYS_delete_module, forbidden],
  [nr.SYS_finit_module, forbidden],
  [nr.SYS_init_module, forbidden],
  [nr.SYS_ioperm, forbidden],
  [nr.SYS_iopl, forbidden],
  [nr.SYS_kexec_load, forbidden],
  [nr.SYS_perf_event_open, forbidden],
  [nr.SYS_ptrace, forbidden],
  [nr.SYS_reboot, forbidden],
  [nr.SYS_swapoff, forbidden],
  [nr.SYS_swapon, forbidden],
  [nr.SYS_userfaultfd, forbidden],
  [nr.SYS_vhangup, forbidden],
];
