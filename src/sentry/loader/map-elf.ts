// Maps an ELF file's segments into an address space: file pages, zeroed rest of the last page, bss.

import { PF_R, PF_W, PF_X } from "../../abi/elf.ts";
import { EFAULT, EINVAL, ENOMEM } from "../../abi/errno.ts";
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../../abi/mman.ts";
import { mapMemory, PLACE_FIXED } from "../mm/map.ts";
import type { Mappable } from "../mm/mappable.ts";
import type { MemoryManager } from "../mm/memory-manager.ts";
import { PAGE_MASK, pageDown, pageUp } from "../mm/page.ts";
import type { ElfFile, Segment } from "./elf-file.ts";

const MAX_PROT = PROT_READ | PROT_WRITE | PROT_EXEC;

/** Maps everything at bias + vaddr: 0 or -errno. */
export function mapElf(
  mm: MemoryManager,
  image: ElfFile,
  mappable: Mappable,
  bias: number,
): number {
  if (image.low + bias < mm.minAddress || image.high + bias > mm.maxAddress) return -EINVAL;
  if (mm.vmas.overlaps(image.low + bias, image.high + bias)) return -ENOMEM;
  for (const segment of image.segments) {
    const error = mapSegment(mm, segment, mappable, bias);
    if (error < 0) return error;
  }
  return 0;
}

function mapSegment(mm: MemoryManager, segment: Segment, mappable: Mappable, bias: number): number {
  const { vaddr, offset, fileBytes, memoryBytes } = segment;
  const prot =
    ((segment.flags & PF_R) !== 0 ? PROT_READ : 0) |
    ((segment.flags & PF_W) !== 0 ? PROT_WRITE : 0) |
    ((segment.flags & PF_X) !== 0 ? PROT_EXEC : 0);
  const start = pageDown(vaddr) + bias;
  const fileEnd = vaddr + fileBytes + bias;
  const end = pageUp(vaddr + memoryBytes) + bias;
  let at = start;
  if (fileBytes > 0) {
    const inPage = vaddr & PAGE_MASK;
    const result = map(mm, start, pageUp(fileEnd), prot, mappable, offset - inPage);
    if (result < 0) return result;
    at = pageUp(fileEnd);
    const padding = Math.min(at - fileEnd, vaddr + memoryBytes + bias - fileEnd);
    // What follows in the file's last page is not part of the segment. A read-only one stays as it is.
    if (padding > 0 && memoryBytes > fileBytes && (prot & PROT_WRITE) !== 0) {
      if (mm.zeroOut(fileEnd, at - fileEnd) !== at - fileEnd) return -EFAULT;
    }
  }
  if (end <= at) return 0;
  const error = map(mm, at, end, prot, null, 0);
  return Math.min(error, 0);
}

function map(
  mm: MemoryManager,
  start: number,
  end: number,
  prot: number,
  mappable: Mappable | null,
  offset: number,
): number {
  return mapMemory(mm, {
    addr: start,
    length: end - start,
    place: PLACE_FIXED,
    prot,
    maxProt: MAX_PROT,
    flags: 0,
    mappable,
    offset,
    populate: false,
    mayLock: false,
    label: "",
  });
}
