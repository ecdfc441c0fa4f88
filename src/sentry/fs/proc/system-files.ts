// /proc's files about the machine as the sandbox shows it (proc(5)): processors, memory, load, version.

import type { ByteString } from "../../../base/bytes.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { UTS_RELEASE, UTS_SYSNAME, UTS_VERSION } from "../../kernel/version.ts";

/** The processor as far as the host tells us. */

export interface CpuInfo {
  vendor: string;
  family: number;
  model: number;
  modelName: string;
  stepping: number;
  mhz: number;
  cacheKiB: number;
  /** Space separated, as in /proc/cpuinfo. */
  flags: string;
}

export const GENERIC_CPU: CpuInfo = {
  vendor: "GenuineIntel",
  family: 6,
  model: 0,
  modelName: "x86-64 processor",
  stepping: 0,
  mhz: 2000,
  cacheKiB: 4096,
  flags:
    "fpu tsc cx8 cmov mmx fxsr sse sse2 syscall nx rdtscp lm constant_tsc rep_good nopl cpuid pni ssse3 cx16 sse4_1 sse4_2 popcnt",
};

const PAGE = 4096;
const KIB = 1024;
const TICK_NS = 10_000_000;
const seconds = (ns: number): string => (ns / 1e9).toFixed(2);

export function cpuinfoText(kernel: Kernel, cpu: CpuInfo): ByteString {
  let s = "";
  for (let i = 0; i < kernel.cpus; i++) {
    s += `processor\t: ${i}\nvendor_id\t: ${cpu.vendor}\ncpu family\t: ${cpu.family}\nmodel\t\t: ${cpu.model}\n`;
    s += `model name\t: ${cpu.modelName}\nstepping\t: ${cpu.stepping}\nmicrocode\t: 0x1\n`;
    s += `cpu MHz\t\t: ${cpu.mhz.toFixed(3)}\ncache size\t: ${cpu.cacheKiB} KB\nphysical id\t: 0\n`;
    s += `siblings\t: ${kernel.cpus}\ncore id\t\t: ${i}\ncpu cores\t: ${kernel.cpus}\napicid\t\t: ${i}\n`;
    s += `initial apicid\t: ${i}\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: 13\nwp\t\t: yes\n`;
    s += `flags\t\t: ${cpu.flags}\nbugs\t\t:\nbogomips\t: ${(cpu.mhz * 2).toFixed(2)}\n`;
    s += "clflush size\t: 64\ncache_alignment\t: 64\n";
    s += "address sizes\t: 46 bits physical, 48 bits virtual\npower management:\n\n";
  }
  return s;
}

/** [name, bytes] in the order of /proc/meminfo. */
export function meminfoText(kernel: Kernel): ByteString {
  const total = kernel.limits.memoryBytes;
  const used = kernel.memoryFile.allocatedBytes;
  const free = Math.max(0, total - used);
  const lines: [string, number][] = [
    ["MemTotal", total],
    ["MemFree", free],
    ["MemAvailable", free],
    ["Buffers", 0],
    ["Cached", 0],
    ["SwapCached", 0],
    ["Active", used],
    ["Inactive", 0],
    ["Active(anon)", used],
    ["Inactive(anon)", 0],
    ["Active(file)", 0],
    ["Inactive(file)", 0],
    ["Unevictable", 0],
    ["Mlocked", 0],
    ["SwapTotal", 0],
    ["SwapFree", 0],
    ["Dirty", 0],
    ["Writeback", 0],
    ["AnonPages", used],
    ["Mapped", 0],
    ["Shmem", 0],
    ["KReclaimable", 0],
    ["Slab", 0],
    ["SReclaimable", 0],
    ["SUnreclaim", 0],
    ["KernelStack", 0],
    ["PageTables", 0],
    ["NFS_Unstable", 0],
    ["Bounce", 0],
    ["WritebackTmp", 0],
    ["CommitLimit", total],
    ["Committed_AS", used],
    ["VmallocTotal", 34_359_738_367 * KIB],
    ["VmallocUsed", 0],
    ["VmallocChunk", 0],
  ];
  let s = "";
  for (const [name, bytes] of lines) {
    s += `${`${name}:`.padEnd(16)}${String(Math.floor(bytes / KIB)).padStart(8)} kB\n`;
  }
  return `${s}HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\nHugepagesize:       2048 kB\n`;
}

/** User and system time of everything that runs or ran. */
function cpuTimes(kernel: Kernel): [number, number] {
  let user = 0;
  let system = 0;
  for (const g of kernel.pids.groups.values()) {
    user += g.utimeNs;
    system += g.stimeNs;
    if (g.parent === null || g === kernel.init) {
      user += g.childUsage.utimeNs;
      system += g.childUsage.stimeNs;
    }
  }
  return [user, system];
}

function taskCounts(kernel: Kernel): { running: number; blocked: number; total: number } {
  const counts = { running: 0, blocked: 0, total: 0 };
  for (const t of kernel.pids.tasks.values()) {
    if (t.context === null) continue;
    counts.total++;
    const letter = t.stateLetter;
    if (letter === "R") counts.running++;
    else if (letter === "D") counts.blocked++;
  }
  return counts;
}

export function statText(kernel: Kernel): ByteString {
  const [user, system] = cpuTimes(kernel);
  const up = kernel.time.uptimeNs();
  const ticks = (ns: number): number => Math.floor(ns / TICK_NS);
  const line = (name: string, share: number): string => {
    const idle = Math.max(0, up * (kernel.cpus / share) - (user + system) / share);
    return `${name} ${ticks(user / share)} 0 ${ticks(system / share)} ${ticks(idle)} 0 0 0 0 0 0\n`;
  };
  let s = line("cpu ", 1);
  for (let i = 0; i < kernel.cpus; i++) s += line(`cpu${i}`, kernel.cpus);
  let switches = 0;
  for (const t of kernel.pids.tasks.values()) {
    switches += t.voluntarySwitches + t.involuntarySwitches;
  }
  const { running, blocked } = taskCounts(kernel);
  const boot = Math.floor(kernel.time.startRealtimeNs / 1e9);
  return `${s}intr 0\nctxt ${switches}\nbtime ${boot}\nprocesses ${kernel.pids.last}\nprocs_running ${Math.max(1, running)}\nprocs_blocked ${blocked}\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n`;
}

/** Exponentially decayed counts are not kept: the present number of running tasks stands for all three. */
export function loadavgText(kernel: Kernel): ByteString {
  const { running, total } = taskCounts(kernel);
  const load = Math.max(0, running - 1).toFixed(2);
  return `${load} ${load} ${load} ${Math.max(1, running)}/${total} ${kernel.pids.last}\n`;
}

export function uptimeText(kernel: Kernel): ByteString {
  const [user, system] = cpuTimes(kernel);
  const up = kernel.time.uptimeNs();
  return `${seconds(up)} ${seconds(Math.max(0, up * kernel.cpus - user - system))}\n`;
}

export function versionText(): ByteString {
  return `${UTS_SYSNAME} version ${UTS_RELEASE} (netcell@sandbox) (no compiler) ${UTS_VERSION}\n`;
}

export function vmstatText(kernel: Kernel): ByteString {
  const used = Math.floor(kernel.memoryFile.allocatedBytes / PAGE);
  const free = Math.floor(kernel.limits.memoryBytes / PAGE) - used;
  return `nr_free_pages ${free}\nnr_anon_pages ${used}\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\n`;
}

export const DEVICES_TEXT =
  "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n";
