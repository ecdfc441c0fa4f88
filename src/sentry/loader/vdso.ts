// Maps the platform's vDSO: its data pages ([vvar], read-only), then its image ([vdso]).

import { EFAULT } from "../../abi/errno.ts";
import { PROT_EXEC, PROT_READ } from "../../abi/mman.ts";
import { mapMemory, PLACE_FIXED } from "../mm/map.ts";
import type { Mappable, MapRun } from "../mm/mappable.ts";
import type { MemoryManager } from "../mm/memory-manager.ts";
import { VMA_DONTDUMP, VMA_SPECIAL } from "../mm/vma.ts";
import type { VdsoImage } from "../platform/platform.ts";

/** A fixed stretch of a host descriptor. The kernel itself never reads it through the program's addresses. */
class FixedPages implements Mappable {
  readonly mapName = "";
  readonly mapDevice = 0;
  readonly mapInode = 0;
  readonly #fd: number;
  readonly #offset: number;

  constructor(fd: number, offset: number) {
    this.#fd = fd;
    this.#offset = offset;
  }
  mapRun(offset: number, length: number, _write: boolean, out: MapRun): number {
    out.fd = this.#fd;
    out.offset = this.#offset + offset;
    out.length = length;
    out.inMemoryFile = false;
    return 0;
  }
  readAt(): number {
    return -EFAULT;
  }
  writeAt(): number {
    return -EFAULT;
  }
  addMapping(): void {}
  removeMapping(): void {}
  incRef(): void {}
  decRef(): void {}
}

/** Address of the image, or -errno. */
export function mapVdso(mm: MemoryManager, vdso: VdsoImage): number {
  const start = mm.free.find(vdso.dataBytes + vdso.imageBytes);
  if (start < 0) return start;
  const image = start + vdso.dataBytes;
  let result = map(mm, start, vdso.dataBytes, PROT_READ, vdso.fd, vdso.dataOffset, "[vvar]");
  if (result < 0) return result;
  const prot = PROT_READ | PROT_EXEC;
  result = map(mm, image, vdso.imageBytes, prot, vdso.fd, vdso.imageOffset, "[vdso]");
  if (result < 0) return result;
  mm.info.vdso = image;
  mm.info.sigreturn = vdso.sigreturnOffset < 0 ? 0 : image + vdso.sigreturnOffset;
  return image;
}

function map(
  mm: MemoryManager,
  addr: number,
  length: number,
  prot: number,
  fd: number,
  offset: number,
  label: string,
): number {
  if (length === 0) return addr;
  return mapMemory(mm, {
    addr,
    length,
    place: PLACE_FIXED,
    prot,
    maxProt: prot,
    flags: VMA_SPECIAL | VMA_DONTDUMP,
    mappable: new FixedPages(fd, offset),
    offset: 0,
    populate: false,
    mayLock: false,
    label,
  });
}
