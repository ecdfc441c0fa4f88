// Loads a program for execve: follows `#!` lines to an ELF file and builds a new address space from it and
// its dynamic linker, with vDSO and first stack (execve(2), elf(5), getauxval(3)). The old address space and
// the task are not touched: that is kernel/task-exec.ts.

import * as auxv from "../../abi/auxv.ts";
import { PF_X, PHDR_BYTES } from "../../abi/elf.ts";
import { EINVAL, ELIBBAD, ELOOP, ENOEXEC, ENOMEM } from "../../abi/errno.ts";
import { RLIMIT_STACK } from "../../abi/resource.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Credentials } from "../kernel/credentials.ts";
import type { Task } from "../kernel/task.ts";
import { type MemoryDeps, MemoryManager, type RlimitSource } from "../mm/memory-manager.ts";
import { alignDown, alignUp, PAGE_BYTES } from "../mm/page.ts";
import type { FileDescription } from "../vfs/file-description.ts";
import type { Path } from "../vfs/path.ts";
import { type ElfFile, parseElf } from "./elf-file.ts";
import { mapElf } from "./map-elf.ts";
import { readFile } from "./read-file.ts";
import { HEAD_BYTES, isScript, parseScript } from "./script.ts";
import { buildStack, checkStrings } from "./stack-image.ts";
import { mapVdso } from "./vdso.ts";

export interface LoadRequest {
  kernel: MemoryDeps;
  /** The task that executes; for the first program of a sandbox, the task being made. */
  task: Task;
  /** Opened for reading, execute permission checked. The caller keeps its reference. */
  file: FileDescription;
  /** As the program named it: AT_EXECFN, argv of scripts, comm. */
  path: ByteString;
  /** Opens an interpreter (PT_INTERP or `#!`) with execute permission checked; the loader releases it. */
  openInterpreter(path: ByteString): FileDescription | number;
  argv: readonly ByteString[];
  envp: readonly ByteString[];
  /** After set-user-ID: what AT_UID.. show. */
  creds: Credentials;
  /** AT_SECURE. */
  secure: boolean;
  rlimits: RlimitSource;
  /** personality(ADDR_NO_RANDOMIZE) is false here. */
  randomize: boolean;
}

export interface LoadedProgram {
  mm: MemoryManager;
  entry: number;
  stackPointer: number;
  /** For comm: last component of the path (of the script, for scripts). */
  name: ByteString;
  /** Where the file that was mapped as the program is (a script's interpreter): /proc/PID/exe. */
  exePath: Path | null;
}

/** Scripts that name scripts (Linux: exec_binprm). */
const SCRIPT_DEPTH_MAX = 5;
const CLOCK_TICKS = 100;
const RANDOM_BYTES = 16;
const STACK_JITTER_BYTES = 8192;
/** struct rseq before node_id and mm_cid: what the rseq system call keeps up to date. */
const RSEQ_FEATURE_BYTES = 20;
const RSEQ_ALIGN = 32;
/** A signal frame without FPU state, with its padding. */
const SIGNAL_FRAME_BYTES = 944;
const FP_STATE_BYTES_GUESS = 2696;

/** What is executed in the end. */
interface Target {
  file: FileDescription;
  image: ElfFile;
  argv: readonly ByteString[];
  /** It was opened here and is released here. */
  isInterpreter: boolean;
}

/** -errno: ENOEXEC, EACCES, ENOENT, E2BIG, ELIBBAD, ELOOP, EINVAL, ENOMEM, EIO. */
export function load(request: LoadRequest): LoadedProgram | number {
  const argv = request.argv.length === 0 ? [""] : request.argv;
  const stackLimit = request.rlimits.rlimit(RLIMIT_STACK).soft;
  const { envp, path: execPath } = request;
  let error = checkStrings({ execPath, argv, envp }, stackLimit);
  if (error < 0) return error;
  const target = findTarget(request, argv);
  if (typeof target === "number") return target;
  error = checkStrings({ execPath, argv: target.argv, envp }, stackLimit);
  const program = error < 0 ? error : loadTarget(request, target);
  if (target.isInterpreter) target.file.decRef();
  return program;
}

/** Follows `#!` lines. */
function findTarget(request: LoadRequest, firstArgv: readonly ByteString[]): Target | number {
  const { task, kernel } = request;
  let file = request.file;
  let argv = firstArgv;
  let path = request.path;
  let isInterpreter = false;
  for (let depth = 0; ; depth++) {
    let error = depth > SCRIPT_DEPTH_MAX ? -ELOOP : 0;
    const head = error < 0 ? error : readFile(task, file, 0, HEAD_BYTES);
    if (typeof head === "number") error = head;
    else if (!isScript(head)) {
      const image = parseElf(task, file, head, kernel.platform.maxAddress);
      if (typeof image !== "number") return { file, image, argv, isInterpreter };
      error = image;
    }
    const script = error < 0 || typeof head === "number" ? null : parseScript(head);
    if (isInterpreter) file.decRef();
    if (error < 0) return error;
    if (script === null) return -ENOEXEC;
    const argument = script.argument === null ? [] : [script.argument];
    argv = [script.interpreter, ...argument, path, ...argv.slice(1)];
    path = script.interpreter;
    const opened = request.openInterpreter(script.interpreter);
    if (typeof opened === "number") return opened;
    file = opened;
    isInterpreter = true;
  }
}

function loadTarget(request: LoadRequest, target: Target): LoadedProgram | number {
  const { kernel, task } = request;
  const mappable = target.file.mappable(task);
  if (typeof mappable === "number") return mappable;
  const name = target.image.interpreter;
  let linker: FileDescription | null = null;
  if (name !== null) {
    const opened = request.openInterpreter(name);
    if (typeof opened === "number") return opened;
    linker = opened;
  }
  const mm = MemoryManager.create(kernel, request.rlimits, request.randomize);
  const program = mm === null ? -ENOMEM : buildProgram(request, target, linker, mm);
  linker?.decRef();
  if (typeof program === "number") mm?.decRef();
  return program;
}

function buildProgram(
  request: LoadRequest,
  target: Target,
  linker: FileDescription | null,
  mm: MemoryManager,
): LoadedProgram | number {
  const { task, kernel } = request;
  const { image } = target;
  const bias = placeProgram(mm, image, linker !== null);
  if (bias < 0) return bias;
  const mappable = target.file.mappable(task);
  if (typeof mappable === "number") return mappable;
  let error = mapElf(mm, image, mappable, bias);
  if (error < 0) return error;
  describe(mm, image, bias, linker !== null);
  const programEntry = image.entry + bias;
  let entry = programEntry;
  let base = 0;
  if (linker !== null) {
    const loaded = loadLinker(request, linker, mm);
    if (typeof loaded === "number") return loaded;
    base = loaded.base;
    entry = loaded.entry;
  }
  if (entry >= mm.maxAddress) return -EINVAL;
  mm.info.entry = programEntry;
  const vdso = kernel.platform.vdso;
  if (vdso !== null) {
    error = mapVdso(mm, vdso);
    if (error < 0) return error;
  }
  const random = new Uint8Array(RANDOM_BYTES);
  kernel.rng.fill(random, 0, RANDOM_BYTES);
  const jitter = request.randomize ? kernel.rng.below(STACK_JITTER_BYTES) : 0;
  const strings = { execPath: request.path, argv: target.argv, envp: request.envp };
  const entries = auxiliary(request, mm, image, bias, base);
  const stackPointer = buildStack(mm, strings, entries, random, image.execStack, jitter);
  if (stackPointer < 0) return stackPointer;
  const comm = request.path.slice(request.path.lastIndexOf("/") + 1);
  return { mm, entry, stackPointer, name: comm, exePath: target.file.path };
}

/** What to add to the file's addresses, or -errno. */
function placeProgram(mm: MemoryManager, image: ElfFile, hasLinker: boolean): number {
  if (!image.isDynamic) return 0;
  if (!hasLinker) return findBias(mm, image);
  const bias = alignDown(mm.layout.pieBase, image.align) - alignDown(image.low, image.align);
  return bias < 0 ? -EINVAL : bias;
}

/** A free place for a file that may be anywhere, in the mmap area: the bias, or -errno. */
function findBias(mm: MemoryManager, image: ElfFile): number {
  const low = alignDown(image.low, image.align);
  const found = mm.free.find(image.high - low + image.align - PAGE_BYTES);
  if (found < 0) return -ENOMEM;
  const bias = alignUp(found, image.align) - low;
  return bias < 0 ? -EINVAL : bias;
}

/** Sets the heap, and what /proc shows of the program's parts. */
function describe(mm: MemoryManager, image: ElfFile, bias: number, hasLinker: boolean): void {
  const info = mm.info;
  info.codeStart = image.low + bias;
  for (const segment of image.segments) {
    const start = segment.vaddr + bias;
    const end = start + segment.fileBytes;
    if ((segment.flags & PF_X) !== 0) info.codeEnd = Math.max(info.codeEnd, end);
    if (start >= info.dataStart) {
      info.dataStart = start;
      info.dataEnd = end;
    }
  }
  // A dynamic linker run as a program sits among the mappings: its heap must not (Linux does the same).
  const after = image.isDynamic && !hasLinker ? mm.layout.pieBase : image.high + bias;
  mm.brkStart = after + mm.layout.brkGapBytes;
  mm.brkEnd = mm.brkStart;
}

function loadLinker(
  request: LoadRequest,
  file: FileDescription,
  mm: MemoryManager,
): { base: number; entry: number } | number {
  const head = readFile(request.task, file, 0, HEAD_BYTES);
  if (typeof head === "number") return head;
  const image = parseElf(request.task, file, head, mm.maxAddress);
  if (typeof image === "number") return image === -ENOEXEC ? -ELIBBAD : image;
  const mappable = file.mappable(request.task);
  if (typeof mappable === "number") return mappable;
  const bias = image.isDynamic ? findBias(mm, image) : 0;
  if (bias < 0) return bias;
  const error = mapElf(mm, image, mappable, bias);
  return error < 0 ? error : { base: bias, entry: image.entry + bias };
}

function auxiliary(
  request: LoadRequest,
  mm: MemoryManager,
  image: ElfFile,
  bias: number,
  base: number,
): (readonly [number, number])[] {
  const { creds } = request;
  const processor = request.kernel.platform.processor;
  const entries: (readonly [number, number])[] = [];
  if (mm.info.vdso !== 0) entries.push([auxv.AT_SYSINFO_EHDR, mm.info.vdso]);
  const fpBytes = processor?.fpStateBytes ?? FP_STATE_BYTES_GUESS;
  entries.push(
    [auxv.AT_MINSIGSTKSZ, alignUp(SIGNAL_FRAME_BYTES + fpBytes, 16)],
    [auxv.AT_HWCAP, processor?.hwcap ?? 0],
    [auxv.AT_PAGESZ, PAGE_BYTES],
    [auxv.AT_CLKTCK, CLOCK_TICKS],
    [auxv.AT_PHDR, image.phdrAddr + bias],
    [auxv.AT_PHENT, PHDR_BYTES],
    [auxv.AT_PHNUM, image.phnum],
    [auxv.AT_BASE, base],
    [auxv.AT_FLAGS, 0],
    [auxv.AT_ENTRY, image.entry + bias],
    [auxv.AT_UID, creds.uid],
    [auxv.AT_EUID, creds.euid],
    [auxv.AT_GID, creds.gid],
    [auxv.AT_EGID, creds.egid],
    [auxv.AT_SECURE, request.secure ? 1 : 0],
    [auxv.AT_HWCAP2, processor?.hwcap2 ?? 0],
    [auxv.AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_BYTES],
    [auxv.AT_RSEQ_ALIGN, RSEQ_ALIGN],
  );
  return entries;
}
