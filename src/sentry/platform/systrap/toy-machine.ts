// For tests and benchmarks: a platform with a memory file and tiny programs of a few instructions, run
// without any kernel. The bytes were assembled from the text beside them.

import {
  REG_EFL,
  REG_RAX,
  REG_RBX,
  REG_RDI,
  REG_RIP,
  REG_RSI,
  REG_RSP,
} from "../../../abi/registers.ts";
import * as host from "../../../host/index.ts";
import type { AddressSpace, Context } from "../platform.ts";
import { type SystrapOptions, SystrapPlatform } from "./systrap-platform.ts";

export const PROGRAMS = {
  /** mov $39,%eax; 1: syscall; mov $39,%eax; jmp 1b */
  syscalls: "b8270000000f05b827000000ebf7",
  /** vmovdqu (%rdi),%ymm0; vmovdqu 32(%rdi),%ymm15; mov $1,%eax; syscall; vmovdqu %ymm0,64(%rdi);
   *  vmovdqu %ymm15,96(%rdi); mov $2,%eax; syscall */
  avx: "c5fe6f07c57e6f7f20b8010000000f05c5fe7f4740c57e7f7f60b8020000000f05",
  /** movl $7,(%rdi); mov (%rdi),%ebx; mov $3,%eax; syscall */
  touch: "c707070000008b1fb8030000000f05",
  /** 1: jmp 1b */
  spin: "ebfe",
  /** 1: cmpl $0,(%rdi); je 1b; mov $4,%eax; syscall */
  waitNonZero: "833f0074fbb8040000000f05",
  /** movl %esi,(%rdi); 1: jmp 1b */
  store: "8937ebfe",
  /** wrfsbase %rdi; wrgsbase %rsi; mov $5,%eax; syscall; rdfsbase %rdi; rdgsbase %rsi; mov $6,%eax; syscall */
  bases: "f3480faed7f3480faedeb8050000000f05f3480faec7f3480faeceb8060000000f05",
  /** mov $1,%eax; int $0x80; mov $1,%eax; syscall */
  int80: "b801000000cd80b8010000000f05",
  /** jmp *%rbx */
  jump: "ffe3",
  /** 1: lock incl (%rdi); mov $7,%eax; syscall; jmp 1b */
  count: "f0ff07b8070000000f05ebf4",
  /** mov $12,%eax; syscall; movl $2,(%rsi); 1: lock incl (%rdi); jmp 1b */
  forge: "b80c0000000f05c70602000000f0ff07ebfb",
  ud2: "0f0b",
  /** xor %edx,%edx; xor %ecx,%ecx; mov $1,%eax; div %ecx */
  divide: "31d231c9b801000000f7f1",
  int3: "cc",
  /** movabs $0x8000000000000000,%rax; mov (%rax),%rax */
  nonCanonical: "48b80000000000000080488b00",
  /** call *%rbx; mov $8,%eax; syscall */
  call: "ffd3b8080000000f05",
  /** ldmxcsr (%rdi); fldcw 8(%rdi); mov $9,%eax; syscall; stmxcsr 4(%rdi); fnstcw 12(%rdi); mov $10,%eax; syscall */
  mxcsr: "0fae17d96f08b8090000000f050fae5f04d97f0cb80a0000000f05",
  /** mov %rdi,%rsp; mov $11,%eax; syscall */
  moveStack: "4889fcb80b0000000f05",
} as const;

export const PAGE = 4096;
export const CODE_AT = 0x40_0000;
export const DATA_AT = 0x50_0000;
export const STACK_TOP = 0x60_0000;
const FILE_BYTES = 2 ** 24;

export function setReg(c: Context, reg: number, value: number): void {
  c.regs[2 * reg] = (value % 0x1_0000_0000) | 0;
  c.regs[2 * reg + 1] = Math.floor(value / 0x1_0000_0000);
}
export function getReg(c: Context, reg: number): number {
  return (c.regs[2 * reg] >>> 0) + (c.regs[2 * reg + 1] >>> 0) * 0x1_0000_0000;
}

export class ToyMachine {
  readonly platform: SystrapPlatform;
  readonly fd: number;
  readonly memory: Uint8Array;
  readonly words: Int32Array;
  #nextPage = 0;

  constructor(options: Partial<SystrapOptions> = {}) {
    this.platform = SystrapPlatform.create({ maxStubs: 64, ...options });
    this.fd = host.memfdCreate("netcell-test");
    host.ftruncate(this.fd, FILE_BYTES);
    const at = host.mmap(0, FILE_BYTES, 3, host.MAP_SHARED, this.fd, 0);
    const buffer = host.viewAt(at, FILE_BYTES);
    this.memory = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
  }

  /** Offset of a fresh page of the memory file. */
  page(): number {
    return this.#nextPage++ * PAGE;
  }

  /** Maps a program at CODE_AT; returns the offset of its page. */
  loadCode(space: AddressSpace, hex: string): number {
    const offset = this.page();
    for (let i = 0; i < hex.length; i += 2)
      this.memory[offset + i / 2] = Number.parseInt(hex.slice(i, i + 2), 16);
    space.map(CODE_AT, PAGE, host.PROT_READ | host.PROT_EXEC, this.fd, offset);
    return offset;
  }
  /** Maps one writable page; returns its offset. */
  mapData(space: AddressSpace, at: number = DATA_AT): number {
    const offset = this.page();
    space.map(at, PAGE, host.PROT_READ | host.PROT_WRITE, this.fd, offset);
    return offset;
  }

  space(): AddressSpace {
    const space = this.platform.newAddressSpace();
    if (space === null) throw new Error("no address space");
    return space;
  }
  /** A context at the start of the program, with the data's address in RDI. */
  context(space: AddressSpace, rdi: number = DATA_AT, rsi = 0, rbx = 0): Context {
    const c = space.newContext();
    if (c === null) throw new Error("no context");
    setReg(c, REG_RIP, CODE_AT);
    setReg(c, REG_RSP, STACK_TOP);
    setReg(c, REG_EFL, 0x202);
    setReg(c, REG_RDI, rdi);
    setReg(c, REG_RSI, rsi);
    setReg(c, REG_RBX, rbx);
    return c;
  }

  /** The next trap of any context; null after timeoutMs. */
  trap(timeoutMs = 2000): Context | null {
    const end = performance.now() + timeoutMs;
    for (let i = 0; ; i++) {
      const c = this.platform.nextTrap();
      if (c !== null) return c;
      if (i % 1000 === 999) {
        this.platform.reapStubs();
        if (performance.now() > end) return null;
      }
    }
  }
  /** Resumes a context and returns it when it has trapped. */
  run(c: Context): Context {
    c.resume();
    const t = this.trap();
    if (t !== c) throw new Error(t === null ? "no trap in time" : "another context trapped");
    return c;
  }
  /** rax of the call a context stopped at. */
  nr(c: Context): number {
    return c.regs[2 * REG_RAX];
  }

  dispose(): void {
    this.platform.dispose();
    host.close(this.fd);
  }
}
