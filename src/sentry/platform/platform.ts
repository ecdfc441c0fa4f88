// The seam between the kernel and whatever runs the program's instructions. It knows nothing of Linux
// processes: an AddressSpace is a place with mappings, a Context is a set of registers that can run there.
// Implemented by platform/systrap; faked in unit tests.

export const TRAP_SYSCALL = 1;
/** A processor exception: signal, address and error code are set. */
export const TRAP_FAULT = 2;
/** Context.interrupt() took effect, or the host preempted it. */
export const TRAP_INTERRUPT = 3;
/** The address space died or lied: the task must be killed with SIGKILL. */
export const TRAP_DEAD = 4;

export interface Context {
  readonly addressSpace: AddressSpace;
  /** Owner's data (the Task); the platform never looks. */
  owner: unknown;

  /**
   * The general registers while not running, in abi/registers.ts order, low word first. A private copy:
   * taken at the trap, written back by resume().
   */
  readonly regs: Int32Array;
  /** FS base (thread pointer), while not running. */
  fsBase: number;
  gsBase: number;

  /** Why it stopped: TRAP_*. */
  readonly trap: number;
  /** For TRAP_FAULT: Linux signal number, si_code, fault address, page-fault error code (bit 1 write, bit 4 exec). */
  readonly faultSignal: number;
  readonly faultCode: number;
  readonly faultAddress: number;
  readonly faultError: number;

  readonly isRunning: boolean;
  /** Runs from regs until the next trap; reported by Platform.nextTrap. Precondition: not running. */
  resume(): void;
  /** Makes a running context trap soon (TRAP_INTERRUPT); harmless otherwise. */
  interrupt(): void;

  /** Bytes of extended state (XSAVE area) this machine has; what copyFpState moves. */
  readonly fpStateBytes: number;
  /** Copies the FPU state out (signal frames). dst must hold fpStateBytes. Returns bytes. */
  saveFpState(dst: Uint8Array, offset: number): number;
  /** Takes FPU state from a signal frame; checked and sanitised. False: not acceptable. */
  restoreFpState(src: Uint8Array, offset: number, length: number): boolean;
  /** Back to the state of a fresh process (exec). */
  resetFpState(): void;
  /** Registers, FPU state, FS and GS base from another stopped context (clone, fork). */
  copyFrom(other: Context): void;

  release(): void;
}

export interface AddressSpace {
  /**
   * Maps host descriptor fd at offset over [addr, addr+length), replacing what was there. prot: PROT_*.
   * Shared mapping always. 0 or -errno of the host.
   */
  map(addr: number, length: number, prot: number, fd: number, offset: number): number;
  unmap(addr: number, length: number): number;
  protect(addr: number, length: number, prot: number): number;
  /**
   * Returns when earlier changes are in force for contexts that run right now; at once when none does.
   * (An implementation may carry changes out late, but before any context here is resumed.) Called before
   * bytes are copied that a running context could still write. Pages are given to others by ChangeFence:
   * what counts as running here is what the program says.
   */
  sync(): void;
  /** Null: no more contexts here. */
  newContext(): Context | null;
  readonly isDead: boolean;
  /** All contexts must be released first. Gives its stub back to the pool. */
  release(): void;
}

/**
 * When a page that was mapped somewhere may be given to somebody else: every unmap, map over and release of an
 * address space gets a stamp, and is confirmed when the program certainly cannot reach what it took away,
 * whatever the program says of itself.
 */
export interface ChangeFence {
  /** Of the newest change. Stamps only grow. */
  readonly issuedStamp: number;
  /** This change and all before it are confirmed. */
  readonly confirmedStamp: number;
  /** Told when confirmedStamp has grown. */
  onConfirmed: (() => void) | null;
  /** Waits until all are confirmed, a bounded time. */
  waitConfirmed(): void;
}

export interface Platform {
  readonly changes: ChangeFence;
  /** Lowest and highest+1 address a program may map. */
  readonly minAddress: number;
  readonly maxAddress: number;
  /** Null: the host gave us no more stubs. */
  newAddressSpace(): AddressSpace | null;
  /** A context that has trapped since it was resumed, or null. Fair between contexts; never blocks. */
  nextTrap(): Context | null;
  /** Contexts that are running now. */
  readonly runningCount: number;
  /** Told once when an address space has died; its running contexts trap with TRAP_DEAD, others never run again. */
  onAddressSpaceDeath: ((space: AddressSpace) => void) | null;
  /**
   * Told when the host had no room for all that was to be mapped: nothing is mapped in this address space any
   * more, and what its contexts touch is to be mapped again. May come from within any call to the space.
   */
  onMappingsLost: ((space: AddressSpace) => void) | null;
  /** ELF image of the vDSO (mapped read-only + exec by the loader), and the host descriptor that holds
   *  its data page followed by its image, each page aligned. */
  readonly vdso: VdsoImage | null;
  /** Absent: programs are told nothing of the processor. */
  readonly processor?: ProcessorInfo;
}

/** What programs are told of the processor in the auxiliary vector. */
export interface ProcessorInfo {
  /** CPUID.1:EDX (AT_HWCAP). */
  readonly hwcap: number;
  /** AT_HWCAP2: bit 1 FSGSBASE usable. */
  readonly hwcap2: number;
  /** As Context.fpStateBytes: how large signal frames are (AT_MINSIGSTKSZ). */
  readonly fpStateBytes: number;
}

export interface VdsoImage {
  /** Memory to map, in order: data pages (read-only), then image pages (read+exec), contiguous. */
  readonly fd: number;
  readonly dataOffset: number;
  readonly dataBytes: number;
  readonly imageOffset: number;
  readonly imageBytes: number;
  /** Offset in the image of the rt_sigreturn trampoline, for programs that give no SA_RESTORER; -1: none. */
  readonly sigreturnOffset: number;
}
