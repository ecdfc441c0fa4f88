// /proc/PID/maps, smaps, smaps_rollup (proc(5)): the VMAs, with what backs them.

import { devMajor, devMinor } from "../../../abi/stat.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { MemoryManager } from "../../mm/memory-manager.ts";
import {
  VMA_DONTDUMP,
  VMA_DONTFORK,
  VMA_GROWSDOWN,
  VMA_HUGE,
  VMA_LOCKED,
  VMA_NOHUGE,
  VMA_NORESERVE,
  VMA_WIPEONFORK,
  type Vma,
} from "../../mm/vma.ts";
import { memoryOf } from "./task-status.ts";

/** Column where the name starts. */
const NAME_COLUMN = 73;
const hex = (n: number): string => n.toString(16).padStart(8, "0");
const hex2 = (n: number): string => n.toString(16).padStart(2, "0");

function mapsLine(vma: Vma): string {
  const { mappable, prot } = vma;
  const permissions =
    (prot & 1 ? "r" : "-") +
    (prot & 2 ? "w" : "-") +
    (prot & 4 ? "x" : "-") +
    (vma.isShared ? "s" : "p");
  const device = mappable?.mapDevice ?? 0;
  const offset = mappable === null ? 0 : vma.offset;
  const head = `${hex(vma.start)}-${hex(vma.end)} ${permissions} ${hex(offset)} ${hex2(devMajor(device))}:${hex2(devMinor(device))} ${mappable?.mapInode ?? 0} `;
  const name = vma.label !== "" ? vma.label : (mappable?.mapName ?? "");
  return name === "" ? `${head}\n` : `${head.padEnd(NAME_COLUMN)}${name.replace(/\n/g, "\\012")}\n`;
}

export function mapsText(target: Task): ByteString {
  const mm = memoryOf(target);
  let s = "";
  for (const vma of mm?.vmas.items ?? []) s += mapsLine(vma);
  return s;
}

interface Residence {
  rss: number;
  /** Private memory of this address space alone, and shared with a forked one. */
  privateDirty: number;
  sharedDirty: number;
  clean: number;
}

function residenceOf(mm: MemoryManager, vma: Vma): Residence {
  const r: Residence = { rss: 0, privateDirty: 0, sharedDirty: 0, clean: 0 };
  const pmas = mm.pmas.items;
  for (let i = mm.pmas.indexAbove(vma.start); i < pmas.length && pmas[i].start < vma.end; i++) {
    const pma = pmas[i];
    const bytes = Math.min(pma.end, vma.end) - Math.max(pma.start, vma.start);
    r.rss += bytes;
    if (pma.owned) r[pma.cow ? "sharedDirty" : "privateDirty"] += bytes;
    else r.clean += bytes;
  }
  return r;
}

function detailLines(r: Residence, bytes: number, lockedBytes: number): string {
  const line = (name: string, value: number): string =>
    `${`${name}:`.padEnd(16)}${String(Math.floor(value / 1024)).padStart(8)} kB\n`;
  const size =
    bytes < 0 ? "" : line("Size", bytes) + line("KernelPageSize", 4096) + line("MMUPageSize", 4096);
  return (
    size +
    line("Rss", r.rss) +
    line("Pss", r.privateDirty + r.clean + r.sharedDirty / 2) +
    line("Pss_Dirty", r.privateDirty + r.sharedDirty / 2) +
    line("Shared_Clean", r.clean) +
    line("Shared_Dirty", r.sharedDirty) +
    line("Private_Clean", 0) +
    line("Private_Dirty", r.privateDirty) +
    line("Referenced", r.rss) +
    line("Anonymous", r.privateDirty + r.sharedDirty) +
    line("KSM", 0) +
    line("LazyFree", 0) +
    line("AnonHugePages", 0) +
    line("ShmemPmdMapped", 0) +
    line("FilePmdMapped", 0) +
    line("Shared_Hugetlb", 0) +
    line("Private_Hugetlb", 0) +
    line("Swap", 0) +
    line("SwapPss", 0) +
    line("Locked", lockedBytes)
  );
}

/** VmFlags: two letters each. */
function flagLetters(vma: Vma): string {
  const letters: string[] = [];
  const when = (on: boolean | number, text: string): void => {
    if (on) letters.push(text);
  };
  when(vma.prot & 1, "rd");
  when(vma.prot & 2, "wr");
  when(vma.prot & 4, "ex");
  when(vma.isShared, "sh");
  when(vma.maxProt & 1, "mr");
  when(vma.maxProt & 2, "mw");
  when(vma.maxProt & 4, "me");
  when(vma.flags & VMA_GROWSDOWN, "gd");
  when(vma.flags & VMA_LOCKED, "lo");
  when(vma.flags & VMA_DONTFORK, "dc");
  when(vma.flags & VMA_NORESERVE, "nr");
  when(vma.flags & VMA_DONTDUMP, "dd");
  when(vma.flags & VMA_WIPEONFORK, "wf");
  when(vma.flags & VMA_HUGE, "hg");
  when(vma.flags & VMA_NOHUGE, "nh");
  return letters.join(" ");
}

export function smapsText(target: Task): ByteString {
  const mm = memoryOf(target);
  if (mm === null) return "";
  let s = "";
  for (const vma of mm.vmas.items) {
    const locked = (vma.flags & VMA_LOCKED) !== 0 ? vma.length : 0;
    s += mapsLine(vma) + detailLines(residenceOf(mm, vma), vma.length, locked);
    s += `THPeligible:           0\nVmFlags: ${flagLetters(vma)} \n`;
  }
  return s;
}

export function smapsRollupText(target: Task): ByteString {
  const mm = memoryOf(target);
  const vmas = mm?.vmas.items ?? [];
  if (mm === null || vmas.length === 0) return "";
  const sum: Residence = { rss: 0, privateDirty: 0, sharedDirty: 0, clean: 0 };
  for (const vma of vmas) {
    const r = residenceOf(mm, vma);
    sum.rss += r.rss;
    sum.privateDirty += r.privateDirty;
    sum.sharedDirty += r.sharedDirty;
    sum.clean += r.clean;
  }
  const range = `${hex(vmas[0].start)}-${hex(vmas[vmas.length - 1].end)} ---p 00000000 00:00 0 `;
  return `${range.padEnd(NAME_COLUMN)}[rollup]\n${detailLines(sum, -1, mm.vmas.lockedBytes)}`;
}
