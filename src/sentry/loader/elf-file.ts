// Reads an ELF file's headers and refuses what Linux refuses (fs/binfmt_elf.c). Nothing is mapped here.

import * as elf from "../../abi/elf.ts";
import { EINVAL, EIO, ENOEXEC } from "../../abi/errno.ts";
import { type ByteString, byteString, u16Le, u32Le, u64Le } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { pageDown, pageUp } from "../mm/page.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import { readExactly } from "./read-file.ts";

const PHDRS_BYTES_MAX = 65_536;
const INTERP_BYTES_MAX = 4096;

export interface Segment {
  /** PF_*. */
  flags: number;
  offset: number;
  vaddr: number;
  fileBytes: number;
  memoryBytes: number;
}

export interface ElfFile {
  /** ET_DYN: may be loaded anywhere. */
  isDynamic: boolean;
  entry: number;
  phnum: number;
  /** Offset in the file, and (where a segment or PT_PHDR holds them) address of the program headers. */
  phoff: number;
  phdrAddr: number;
  segments: Segment[];
  interpreter: ByteString | null;
  execStack: boolean;
  /** Page-rounded extent of all segments. */
  low: number;
  high: number;
  /** Greatest sane p_align of a segment. */
  align: number;
}

export const isElf = (head: Uint8Array): boolean =>
  head.length >= 4 && u32Le(head, 0) === 0x464c457f;

/** head: the file's start. limit: user addresses end there. -errno: ENOEXEC, EINVAL, EIO. */
export function parseElf(
  t: Task,
  file: FileDescription,
  head: Uint8Array,
  limit: number,
): ElfFile | number {
  if (head.length < elf.EHDR_BYTES || !isElf(head)) return -ENOEXEC;
  if (head[elf.EI_CLASS] !== elf.ELFCLASS64 || head[elf.EI_DATA] !== elf.ELFDATA2LSB) {
    return -ENOEXEC;
  }
  const type = u16Le(head, elf.E_TYPE);
  if (type !== elf.ET_EXEC && type !== elf.ET_DYN) return -ENOEXEC;
  if (u16Le(head, elf.E_MACHINE) !== elf.EM_X86_64) return -ENOEXEC;
  const phnum = u16Le(head, elf.E_PHNUM);
  if (u16Le(head, elf.E_PHENTSIZE) !== elf.PHDR_BYTES || phnum === 0) return -ENOEXEC;
  if (phnum * elf.PHDR_BYTES > PHDRS_BYTES_MAX) return -ENOEXEC;
  const phoff = u64Le(head, elf.E_PHOFF);
  const phdrs = readHeaders(t, file, phoff, phnum * elf.PHDR_BYTES);
  if (typeof phdrs === "number") return phdrs;
  const image: ElfFile = {
    isDynamic: type === elf.ET_DYN,
    entry: u64Le(head, elf.E_ENTRY),
    phnum,
    phoff,
    phdrAddr: 0,
    segments: [],
    interpreter: null,
    execStack: false,
    low: Number.POSITIVE_INFINITY,
    high: 0,
    align: 4096,
  };
  for (let i = 0; i < phnum; i++) {
    const error = readHeader(t, file, phdrs, i * elf.PHDR_BYTES, image, limit);
    if (error < 0) return error;
  }
  if (image.segments.length === 0) return -ENOEXEC;
  if (image.phdrAddr === 0) image.phdrAddr = headersAddress(image);
  return image;
}

function readHeaders(
  t: Task,
  file: FileDescription,
  offset: number,
  bytes: number,
): Uint8Array | number {
  if (offset > Number.MAX_SAFE_INTEGER - bytes) return -EINVAL;
  const headers = readExactly(t, file, offset, bytes);
  return headers === -EIO ? -ENOEXEC : headers;
}

function readHeader(
  t: Task,
  file: FileDescription,
  phdrs: Uint8Array,
  at: number,
  image: ElfFile,
  limit: number,
): number {
  const flags = u32Le(phdrs, at + elf.P_FLAGS);
  const offset = u64Le(phdrs, at + elf.P_OFFSET);
  const vaddr = u64Le(phdrs, at + elf.P_VADDR);
  const fileBytes = u64Le(phdrs, at + elf.P_FILESZ);
  switch (u32Le(phdrs, at + elf.P_TYPE)) {
    case elf.PT_LOAD: {
      const memoryBytes = u64Le(phdrs, at + elf.P_MEMSZ);
      if (fileBytes > memoryBytes || vaddr + memoryBytes > limit) return -EINVAL;
      // What mmap would refuse: file and memory must agree within a page.
      if (fileBytes > 0 && ((offset & 4095) !== (vaddr & 4095) || offset > 2 ** 52)) return -EINVAL;
      if (memoryBytes === 0) return 0;
      const segment = { flags, offset, vaddr, fileBytes, memoryBytes };
      image.segments.push(segment);
      image.low = Math.min(image.low, pageDown(vaddr));
      image.high = Math.max(image.high, pageUp(vaddr + memoryBytes));
      const align = u64Le(phdrs, at + elf.P_ALIGN);
      if (align > image.align && align <= 2 ** 30 && Number.isInteger(Math.log2(align))) {
        image.align = align;
      }
      return 0;
    }
    case elf.PT_INTERP:
      return image.interpreter === null ? readInterpreter(t, file, offset, fileBytes, image) : 0;
    case elf.PT_PHDR:
      image.phdrAddr = vaddr;
      return 0;
    case elf.PT_GNU_STACK:
      image.execStack = (flags & elf.PF_X) !== 0;
      return 0;
    default:
      return 0;
  }
}

function readInterpreter(
  t: Task,
  file: FileDescription,
  offset: number,
  bytes: number,
  image: ElfFile,
): number {
  if (bytes < 2 || bytes > INTERP_BYTES_MAX || offset > 2 ** 52) return -ENOEXEC;
  const name = readExactly(t, file, offset, bytes);
  if (typeof name === "number") return name;
  if (name[bytes - 1] !== 0) return -ENOEXEC;
  image.interpreter = byteString(name, 0, name.indexOf(0));
  return 0;
}

/** Where the program headers are in memory, when no PT_PHDR says so: in the segment that holds them. */
function headersAddress(image: ElfFile): number {
  for (const segment of image.segments) {
    if (segment.offset <= image.phoff && image.phoff < segment.offset + segment.fileBytes) {
      return image.phoff - segment.offset + segment.vaddr;
    }
  }
  return 0;
}
