// How the rest of src/host reaches the kernel: two tiny machine-code functions (x86-64) that make a system
// call and return its raw result, >= 0 or -errno, with no detour over libc's errno. `io` adds a byte offset
// to an array's address on the C side, so that hot paths need no subarray. Also the loader of libc for what
// is better called there. Not for arm64 yet: its bytes would go beside these.

import { koffi } from "./koffi.ts";

/** The C library already loaded into this process (glibc or musl). */
export const libc = koffi.load(null);

/** Declares a libc function by its C prototype. Calls returning -1 leave errno for errnoOf. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is what the C prototype says
export function declare<T extends (...args: any[]) => unknown>(prototype: string): T {
  return libc.func(prototype) as unknown as T;
}

/** Turns libc's -1 into -errno; must directly follow the call. */
export function errnoOf(result: number): number {
  return result === -1 ? -koffi.errno() : result;
}

/** A view of memory at an address this process has mapped; writes go straight there. */
export function viewAt(address: number, length: number): ArrayBuffer {
  return koffi.view(BigInt(address), length);
}

const pinned: Uint8Array[] = [];
/** Zeroed bytes that stay where they are for the life of the process, so that their address may be kept. */
export function pinnedBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  pinned.push(bytes);
  return bytes;
}

/**
 * Where an array's first byte is (costs an allocation). The address does not keep the array alive: only
 * for pinnedBytes, and for arrays that the code using the address still refers to afterwards.
 */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

/** Makes a callable of machine code at an address. prototype: a C prototype with a name used only once. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is what the C prototype says
export function functionAt<T extends (...args: any[]) => unknown>(
  address: number,
  prototype: string,
): T {
  return koffi.decode(BigInt(address), koffi.proto(prototype)) as unknown as T;
}

/** An integer variable that libc exports, or null when it has none of that name. */
export function globalInteger(name: string, type: string): number | null {
  try {
    return Number(koffi.decode(libc.symbol(name, type), type));
  } catch {
    return null;
  }
}

// sys:  mov %rdi,%rax; mov %rsi,%rdi; mov %rdx,%rsi; mov %rcx,%rdx; mov %r8,%r10; mov %r9,%r8;
//       mov 8(%rsp),%r9; syscall; ret
const SYS_CODE = "4889f84889f74889d64889ca4d89c24d89c84c8b4c24080f05c3";
// io:   mov %rdi,%rax; mov %rsi,%rdi; lea (%rdx,%rcx),%rsi; mov %r8,%rdx; mov %r9,%r10; xor %r8d,%r8d;
//       xor %r9d,%r9d; syscall; ret
const IO_CODE = "4889f84889f7488d340a4c89c24d89ca4531c04531c90f05c3";

const CODE_BYTES = 4096;
const IO_OFFSET = 64;

function mapCode(): number {
  if (process.arch !== "x64")
    throw new Error(`netcell runs on x86-64 only, not on ${process.arch}`);
  const PROT_READ = 1;
  const PROT_WRITE = 2;
  const PROT_EXEC = 4;
  const MAP_PRIVATE_ANONYMOUS = 0x22;
  const map = declare<
    (a: number, l: number, p: number, f: number, fd: number, o: number) => number
  >("intptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)");
  const protect = declare<(a: number, l: number, p: number) => number>(
    "int mprotect(uintptr_t, size_t, int)",
  );
  const at = map(0, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (at < 0) throw new Error("the host gave no memory for the system call entry");
  const bytes = new Uint8Array(viewAt(at, CODE_BYTES));
  const put = (hex: string, offset: number): void => {
    for (let i = 0; i < hex.length; i += 2)
      bytes[offset + i / 2] = Number.parseInt(hex.slice(i, i + 2), 16);
  };
  put(SYS_CODE, 0);
  put(IO_CODE, IO_OFFSET);
  if (protect(at, CODE_BYTES, PROT_READ | PROT_EXEC) !== 0)
    throw new Error("the host refuses to make memory executable (execmem)");
  return at;
}

const code = mapCode();

/** Any system call with integer arguments (addresses as numbers). Result or -errno; about 50 ns + the call. */
export const sys = functionAt<
  (nr: number, a: number, b: number, c: number, d: number, e: number, f: number) => number
>(
  code,
  "int64_t netcell_sys(int64_t nr, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f)",
);

/**
 * syscall(nr, first, &bytes[offset], third, fourth, 0, 0): read, write, pread, pwrite, getrandom-like calls.
 * The caller has proven that offset + length lies in the array. Result or -errno.
 */
export const io = functionAt<
  (
    nr: number,
    first: number,
    bytes: Uint8Array | Int32Array | null,
    offset: number,
    third: number,
    fourth: number,
  ) => number
>(
  code + IO_OFFSET,
  "int64_t netcell_io(int nr, int64_t first, void *bytes, int64_t offset, int64_t third, int64_t fourth)",
);
