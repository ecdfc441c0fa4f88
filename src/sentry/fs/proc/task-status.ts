// /proc/PID/{stat,statm,status,limits,io,comm,cmdline,environ,...}: a task in numbers (proc(5)).

import { EINVAL, ESRCH } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import { byteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { MemoryManager } from "../../mm/memory-manager.ts";
import { Pty } from "../devpts/pty.ts";

const PAGE = 4096;
const TICK_NS = 10_000_000;
const ARGUMENTS_BYTES_MAX = 2 * 1024 * 1024;

const ticks = (ns: number): number => Math.floor(ns / TICK_NS);
const kib = (bytes: number): string => `${String(Math.ceil(bytes / 1024)).padStart(8)} kB`;
const hex8 = (word: number): string => (word >>> 0).toString(16).padStart(8, "0");
const mask64 = (low: number, high: number): string => hex8(high) + hex8(low);

/** Null once the task has exited. */
export function memoryOf(target: Task): MemoryManager | null {
  return target.context === null ? null : target.mm;
}

/** Ignored or caught signals as a mask: [low, high]. */
function handledMask(target: Task, ignored: boolean): [number, number] {
  let low = 0;
  let high = 0;
  for (let signo = 1; signo <= 64; signo++) {
    const { handler } = target.threadGroup.actions.get(signo);
    if (ignored ? handler !== 1 : handler <= 1) continue;
    if (signo <= 32) low |= 1 << (signo - 1);
    else high |= 1 << (signo - 33);
  }
  return [low, high];
}

function terminalNumber(target: Task): [number, number] {
  const tty = target.threadGroup.processGroup?.session.tty;
  if (!(tty instanceof Pty)) return [0, -1];
  return [(136 << 8) | (tty.index & 0xff), tty.foreground?.pgid ?? -1];
}

/** whole: of the process (its leader's file); otherwise of the thread alone. */
export function statText(target: Task, whole: boolean): ByteString {
  const g = target.threadGroup;
  const mm = memoryOf(target);
  const info = mm?.info;
  const [tty, tpgid] = terminalNumber(target);
  const [ignoredLow] = handledMask(target, true);
  const [caughtLow] = handledMask(target, false);
  const start = target.startTimeNs - target.kernel.time.startMonotonicNs;
  const priority = 20 + target.nice;
  const fields: (number | string)[] = [
    target.tid,
    `(${target.comm})`,
    target.stateLetter,
    g.ppid,
    g.pgid,
    g.sid,
    tty,
    tpgid,
    0x400000,
    whole ? g.usage.minorFaults + target.minorFaults : target.minorFaults,
    g.childUsage.minorFaults,
    whole ? g.usage.majorFaults + target.majorFaults : target.majorFaults,
    g.childUsage.majorFaults,
    ticks(whole ? g.utimeNs : target.utimeNs),
    ticks(whole ? g.stimeNs : target.stimeNs),
    ticks(g.childUsage.utimeNs),
    ticks(g.childUsage.stimeNs),
    target.schedPriority > 0 ? -1 - target.schedPriority : priority,
    target.nice,
    Math.max(1, g.tasks.size),
    0,
    ticks(Math.max(0, start)),
    mm === null ? 0 : mm.vmas.totalBytes,
    mm === null ? 0 : Math.ceil(mm.residentBytes / PAGE),
    "18446744073709551615",
    info?.codeStart ?? 0,
    info?.codeEnd ?? 0,
    info?.stackStart ?? 0,
    0,
    0,
    (target.pending.set.low | g.pending.set.low) & 0x7fff_ffff,
    target.signalMask.low & 0x7fff_ffff,
    ignoredLow & 0x7fff_ffff,
    caughtLow & 0x7fff_ffff,
    target.isParked ? 1 : 0,
    0,
    0,
    g.exitSignal,
    0,
    target.schedPriority,
    target.schedPolicy,
    0,
    0,
    0,
    info?.dataStart ?? 0,
    info?.dataEnd ?? 0,
    mm?.brkStart ?? 0,
    info?.argStart ?? 0,
    info?.argEnd ?? 0,
    info?.envStart ?? 0,
    info?.envEnd ?? 0,
    g.isZombie ? g.exitStatus : 0,
  ];
  return `${fields.join(" ")}\n`;
}

export function statmText(target: Task): ByteString {
  const mm = memoryOf(target);
  if (mm === null) return "0 0 0 0 0 0 0\n";
  const pages = (bytes: number): number => Math.ceil(bytes / PAGE);
  const shared = Math.max(0, mm.residentBytes - mm.pmas.ownedBytes);
  return `${pages(mm.vmas.totalBytes)} ${pages(mm.residentBytes)} ${pages(shared)} ${pages(mm.vmas.textBytes)} 0 ${pages(mm.vmas.dataBytes + mm.vmas.stackBytes)} 0\n`;
}

const STATE_NAMES: Record<string, string> = {
  R: "R (running)",
  S: "S (sleeping)",
  D: "D (disk sleep)",
  T: "T (stopped)",
  Z: "Z (zombie)",
};

export function statusText(target: Task): ByteString {
  const g = target.threadGroup;
  const c = target.creds;
  const tab = (name: string, value: string | number): string => `${name}:\t${value}\n`;
  let s = tab("Name", target.comm.replace(/\\/g, "\\\\").replace(/\n/g, "\\n"));
  if (target.context !== null) s += tab("Umask", target.fs.umask.toString(8).padStart(4, "0"));
  s += tab("State", STATE_NAMES[target.stateLetter]);
  s += tab("Tgid", g.tgid) + tab("Ngid", 0) + tab("Pid", target.tid) + tab("PPid", g.ppid);
  s += tab("TracerPid", 0);
  s += tab("Uid", `${c.uid}\t${c.euid}\t${c.suid}\t${c.fsuid}`);
  s += tab("Gid", `${c.gid}\t${c.egid}\t${c.sgid}\t${c.fsgid}`);
  s += tab("FDSize", target.context === null ? 0 : Math.max(64, target.fds.end));
  s += tab("Groups", `${c.groups.join(" ")}${c.groups.length > 0 ? " " : ""}`);
  s += tab("NStgid", g.tgid) + tab("NSpid", target.tid);
  s += tab("NSpgid", g.pgid) + tab("NSsid", g.sid) + tab("Kthread", 0);
  s += memoryLines(target);
  s += tab("Threads", Math.max(1, g.tasks.size));
  const limit = g.rlimit(11).hard;
  s += tab("SigQ", `${target.pending.count + g.pending.count}/${limit}`);
  s += tab("SigPnd", mask64(target.pending.set.low, target.pending.set.high));
  s += tab("ShdPnd", mask64(g.pending.set.low, g.pending.set.high));
  s += tab("SigBlk", mask64(target.signalMask.low, target.signalMask.high));
  s += tab("SigIgn", mask64(...handledMask(target, true)));
  s += tab("SigCgt", mask64(...handledMask(target, false)));
  s += tab("CapInh", mask64(...c.capInheritable)) + tab("CapPrm", mask64(...c.capPermitted));
  s += tab("CapEff", mask64(...c.capEffective)) + tab("CapBnd", mask64(...c.capBounding));
  s += tab("CapAmb", mask64(...c.capAmbient));
  s += tab("NoNewPrivs", target.noNewPrivs ? 1 : 0) + tab("Seccomp", 0) + tab("Seccomp_filters", 0);
  s += tab("Speculation_Store_Bypass", "not vulnerable");
  s += tab("Cpus_allowed", cpuMask(target)) + tab("Cpus_allowed_list", cpuList(target));
  s += tab("Mems_allowed", 1) + tab("Mems_allowed_list", 0);
  s += tab("voluntary_ctxt_switches", target.voluntarySwitches);
  return s + tab("nonvoluntary_ctxt_switches", target.involuntarySwitches);
}

function memoryLines(target: Task): string {
  const mm = memoryOf(target);
  if (mm === null) return "";
  const { vmas } = mm;
  const owned = mm.pmas.ownedBytes;
  const line = (name: string, bytes: number): string => `${name}:\t${kib(bytes)}\n`;
  return (
    line("VmPeak", vmas.totalBytes) +
    line("VmSize", vmas.totalBytes) +
    line("VmLck", vmas.lockedBytes) +
    line("VmPin", 0) +
    line("VmHWM", Math.max(mm.peakResidentBytes, mm.residentBytes)) +
    line("VmRSS", mm.residentBytes) +
    line("RssAnon", owned) +
    line("RssFile", Math.max(0, mm.residentBytes - owned)) +
    line("RssShmem", 0) +
    line("VmData", vmas.dataBytes) +
    line("VmStk", vmas.stackBytes) +
    line("VmExe", Math.max(0, mm.info.codeEnd - mm.info.codeStart)) +
    line("VmLib", Math.max(0, vmas.textBytes - (mm.info.codeEnd - mm.info.codeStart))) +
    line("VmPTE", Math.ceil(mm.residentBytes / 512)) +
    line("VmSwap", 0) +
    line("HugetlbPages", 0) +
    "CoreDumping:\t0\nTHP_enabled:\t1\n"
  );
}

function allowedCpus(target: Task): number[] {
  const cpus: number[] = [];
  for (let i = 0; i < target.kernel.cpus; i++) {
    const word = target.affinity?.[i >>> 5];
    if (target.affinity === null || ((word ?? 0) & (1 << (i & 31))) !== 0) cpus.push(i);
  }
  return cpus;
}
function cpuMask(target: Task): string {
  let mask = 0;
  for (const cpu of allowedCpus(target)) if (cpu < 32) mask |= 1 << cpu;
  return (mask >>> 0).toString(16);
}
/** "0-3,6". */
function cpuList(target: Task): string {
  const cpus = allowedCpus(target);
  const ranges: string[] = [];
  for (let i = 0; i < cpus.length; ) {
    let j = i;
    while (j + 1 < cpus.length && cpus[j + 1] === cpus[j] + 1) j++;
    ranges.push(i === j ? `${cpus[i]}` : `${cpus[i]}-${cpus[j]}`);
    i = j + 1;
  }
  return ranges.join(",");
}

/** Name, unit, RLIMIT_* number, in the order of /proc/PID/limits. */
const LIMITS: readonly (readonly [string, string, number])[] = [
  ["Max cpu time", "seconds", 0],
  ["Max file size", "bytes", 1],
  ["Max data size", "bytes", 2],
  ["Max stack size", "bytes", 3],
  ["Max core file size", "bytes", 4],
  ["Max resident set", "bytes", 5],
  ["Max processes", "processes", 6],
  ["Max open files", "files", 7],
  ["Max locked memory", "bytes", 8],
  ["Max address space", "bytes", 9],
  ["Max file locks", "locks", 10],
  ["Max pending signals", "signals", 11],
  ["Max msgqueue size", "bytes", 12],
  ["Max nice priority", "", 13],
  ["Max realtime priority", "", 14],
  ["Max realtime timeout", "us", 15],
];

export function limitsText(target: Task): ByteString {
  const show = (v: number): string => (v >= 2 ** 63 ? "unlimited" : String(v));
  let s = "Limit                     Soft Limit           Hard Limit           Units     \n";
  for (const [name, unit, resource] of LIMITS) {
    const { soft, hard } = target.rlimit(resource);
    s += `${name.padEnd(25)} ${show(soft).padEnd(20)} ${show(hard).padEnd(20)} ${unit.padEnd(10)}\n`;
  }
  return s;
}

/** Bytes of the target's memory, at most 2 MiB; what cannot be read is left out. */
function copyFrom(mm: MemoryManager, start: number, end: number): ByteString {
  const length = Math.max(0, Math.min(end - start, ARGUMENTS_BYTES_MAX));
  if (length === 0) return "";
  const bytes = new Uint8Array(length);
  const n = mm.copyIn(start, bytes, 0, length);
  return n > 0 ? byteString(bytes, 0, n) : "";
}

export function cmdlineText(target: Task): ByteString {
  const mm = memoryOf(target);
  if (mm === null) return "";
  const { argStart, argEnd, envStart, envEnd } = mm.info;
  const text = copyFrom(mm, argStart, argEnd);
  if (text === "" || text.endsWith("\0")) return text;
  // setproctitle(3bsd): the last NUL was overwritten, the title goes on into the environment.
  const nul = text.indexOf("\0");
  if (nul >= 0) return text.slice(0, nul);
  const more = copyFrom(mm, envStart, envEnd);
  const end = more.indexOf("\0");
  return text + (end < 0 ? more : more.slice(0, end));
}

export function environText(target: Task): ByteString {
  const mm = memoryOf(target);
  return mm === null ? "" : copyFrom(mm, mm.info.envStart, mm.info.envEnd);
}

export function auxvText(target: Task): ByteString {
  const mm = memoryOf(target);
  return mm === null ? "" : byteString(mm.info.auxv, 0, mm.info.auxv.length);
}

export function setComm(target: Task, t: Task, text: ByteString): number {
  if (target.threadGroup !== t.threadGroup) return -EINVAL;
  target.comm = text.replace(/\n$/, "").slice(0, 15);
  return text.length;
}

export function setOomScoreAdj(target: Task, t: Task, text: ByteString): number {
  const value = /^\s*-?[0-9]+\s*$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= -1000 && value <= 1000)) return -EINVAL;
  // CAP_SYS_RESOURCE to go below what it is.
  if (value < target.threadGroup.oomScoreAdj && !t.creds.hasCapability(24)) return -13;
  if (target.context === null) return -ESRCH;
  target.threadGroup.oomScoreAdj = value;
  return text.length;
}
