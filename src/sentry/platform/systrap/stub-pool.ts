// Where stubs come from: a zygote, cloned out of this process before the Sentry locks itself down, clones
// further ones on command. A few are kept ready ahead of need. A stub that has served an address space is
// not used again: what ran in it may have left a thread that only looks parked. It is told to exit, and its
// part of the shared area is wiped once the host has confirmed that it is gone.

import { POLLIN } from "../../../abi/poll.ts";
import { SYS_exit_group, SYS_mmap } from "../../../abi/syscall-numbers.ts";
import { assert } from "../../../base/assert.ts";
import * as host from "../../../host/index.ts";
import { spawnZygote } from "./blob.ts";
import type { Changes } from "./changes.ts";
import * as L from "./layout.ts";
import type { SharedArea } from "./shared-area.ts";
import { STUB_AREA_BYTES, Stub } from "./stub.ts";
import { CLONE_RUNNER_FLAGS, CLONE_STUB_FLAGS } from "./stub-filters.ts";

const READY_TARGET = 3;
const MAP_SHARED_FIXED = host.MAP_SHARED | host.MAP_FIXED;
const PROBE_DONE = 100;
const BIRTH_TIMEOUT_MS = 5000;
const END_STEP_MS = 20;

/** What the zygote found out about the host's signal frames. */
export interface FrameProbe {
  frameOffset: number;
  fpOffset: number;
  xstateBytes: number;
  extendedBytes: number;
}

export class StubPool {
  readonly #area: SharedArea;
  readonly #zygote: Stub;
  readonly #maxStubs: number;
  /** In clone order, not yet confirmed. */
  #cloning: Stub[] = [];
  #ready: Stub[] = [];
  #byPid = new Map<number, Stub>();
  readonly #exits = new host.Epoll();
  /** Called with a stub that ended without being told to. */
  onDeath: (stub: Stub) => void = () => {};
  /** Known when awaitZygote() has returned. */
  probe!: FrameProbe;

  readonly #changes: Changes;
  readonly #bornAt: number;

  /** Clones the zygote, and does not wait for it. */
  constructor(area: SharedArea, globalOffset: number, maxStubs: number, changes: Changes) {
    this.#area = area;
    this.#changes = changes;
    this.#maxStubs = maxStubs;
    this.#zygote = new Stub(area, area.allocate(STUB_AREA_BYTES));
    this.#bearZygote(globalOffset);
    this.#bornAt = performance.now();
  }

  /** Readable when a stub has ended: then call reap(). */
  get exitFd(): number {
    return this.#exits.fd;
  }
  get count(): number {
    return this.#byPid.size;
  }

  /** All host processes of ours. */
  get pids(): number[] {
    return [this.#zygote.pid, ...this.#byPid.keys()];
  }

  #bearZygote(globalOffset: number): void {
    const z = this.#zygote;
    const argBytes = host.pinnedBytes(56);
    const args = new BigUint64Array(argBytes.buffer);
    const rseq = host.rseqArea();
    args[0] = BigInt(rseq.address);
    args[1] = BigInt(rseq.length);
    args[2] = BigInt(this.#area.fd);
    args[3] = BigInt(globalOffset);
    args[4] = BigInt(z.offset);
    args[5] = BigInt(z.runOffset);
    args[6] = BigInt(z.firstChunkOffset);
    const pid = spawnZygote(host.addressOf(argBytes));
    if (pid < 0) throw new Error(`the host gives no process for programs (errno ${-pid})`);
    z.pid = pid;
    z.pidfd = host.pidfdOpen(pid);
  }

  /** Waits until the zygote is up. Throws with the reason when it does not come up. */
  awaitZygote(): void {
    const z = this.#zygote;
    const { pid } = z;
    const probe = z.runOffset >> 2;
    const words = this.#area.words;
    const idle = new Int32Array(new SharedArrayBuffer(4));
    while (Atomics.load(words, probe) !== PROBE_DONE) {
      const late = performance.now() - this.#bornAt;
      if (z.hasExited() || late > BIRTH_TIMEOUT_MS) {
        host.kill(pid, host.SIGKILL);
        const status = host.waitpid(pid, 0) === pid ? host.lastWaitStatus() : -1;
        throw new Error(
          `the first stub did not come up (step ${words[probe]}, errno ${words[probe + 1]}, status ${status})`,
        );
      }
      if (late > 2) Atomics.wait(idle, 0, 0, 1);
    }
    const fpOffset = words[probe + 4];
    this.probe = {
      frameOffset: words[probe + 2],
      fpOffset,
      xstateBytes: words[probe + 6],
      extendedBytes: words[probe + 7],
    };
  }

  /** Bytes the host saved as FPU state in the probe's frame. */
  probeFpState(): Uint8Array {
    const at = this.#zygote.firstChunkOffset + this.probe.fpOffset;
    return this.#area.bytes.slice(at, at + this.probe.extendedBytes);
  }

  /**
   * What can wait until the Sentry has nothing better to do: telling stubs to end, cloning ahead. The host
   * often runs who is woken at once and on our CPU (measured: 140 us for the zygote, 80 us for a stub).
   */
  attend(): void {
    for (let stub = this.#leaving.pop(); stub !== undefined; stub = this.#leaving.pop())
      this.#dismiss(stub);
    if (this.#ready.length < READY_TARGET) this.refill();
  }

  /** Starts cloning ahead; does not wait. */
  refill(): void {
    const z = this.#zygote;
    if (!z.isSettled) return;
    this.#confirm();
    const missing = READY_TARGET - this.#ready.length;
    for (let i = 0; i < missing; i++) {
      if (this.#byPid.size + this.#cloning.length >= this.#maxStubs) break;
      const offset = this.#area.allocate(STUB_AREA_BYTES);
      if (offset < 0) break;
      this.#cloning.push(this.#prepare(new Stub(this.#area, offset), i));
    }
    if (z.opCount === 0) return;
    z.post();
    z.wakeMapper();
  }

  /** Writes the new stub's own first batch, then the zygote's order to clone it. */
  #prepare(stub: Stub, index: number): Stub {
    const fd = this.#area.fd;
    const mapOwn = (at: number, length: number, offset: number): void =>
      stub.push(L.OP_SYSCALL, SYS_mmap, at, length, 3, MAP_SHARED_FIXED, fd, offset);
    mapOwn(L.RUN_BASE, L.RUN_BYTES, stub.runOffset);
    mapOwn(L.SLOTS_BASE, L.CHUNK_BYTES, stub.firstChunkOffset);
    pushSpawnRunner(stub);
    stub.post();
    const pidAt = L.RUN_BASE + this.#pidOffset(index);
    this.#area.words[(this.#zygote.runOffset + this.#pidOffset(index)) >> 2] = 0;
    this.#zygote.push(L.OP_CLONE_STUB, 0, CLONE_STUB_FLAGS, pidAt, stub.offset, 0, 0, 0);
    return stub;
  }
  #pidOffset(index: number): number {
    return 256 + 4 * index;
  }

  /** Takes over what the settled zygote has cloned. */
  #confirm(): void {
    const cloned = this.#cloning;
    if (cloned.length === 0) return;
    this.#cloning = [];
    cloned.forEach((stub, i) => {
      const pid = this.#area.words[(this.#zygote.runOffset + this.#pidOffset(i)) >> 2];
      if (pid <= 0) {
        this.#area.free(stub.offset, STUB_AREA_BYTES);
        return;
      }
      stub.pid = pid;
      stub.pidfd = host.pidfdOpen(pid);
      this.#byPid.set(pid, stub);
      if (stub.pidfd >= 0) this.#exits.add(stub.pidfd, POLLIN, pid);
      this.#ready.push(stub);
    });
  }

  /** A fresh stub, waiting for the zygote if none is ready; null when the host gives no more. */
  take(): Stub | null {
    for (let attempt = 0; attempt < 4; attempt++) {
      const stub = this.#ready.shift();
      if (stub !== undefined) return stub;
      this.attend();
      if (this.#ready.length > 0) continue;
      if (this.#cloning.length === 0) this.reap();
      else if (!this.#zygote.settle(false)) return null;
    }
    return null;
  }

  /** Ends a stub, at the next attend(). Its parts of the shared area are freed when the host has reaped it. */
  discard(stub: Stub): void {
    if (!this.#byPid.has(stub.pid)) return;
    // What it has mapped is out of reach when it is gone, not before.
    this.#changes.begin(stub);
    this.#leaving.push(stub);
  }
  readonly #leaving: Stub[] = [];
  #dismiss(stub: Stub): void {
    if (!this.#byPid.has(stub.pid)) return;
    if (!stub.settle(false)) return;
    stub.opCount = 0;
    stub.push(L.OP_SYSCALL, SYS_exit_group, 0, 0, 0, 0, 0, 0);
    stub.post();
    stub.wakeMapper();
    this.#discarded.add(stub);
  }
  readonly #discarded = new Set<Stub>();
  /** Further slot chunks of a stub, to be freed with it. */
  readonly #chunks = new Map<Stub, number[]>();

  /** One more chunk of slots for a stub: file offset or -1. */
  allocateChunk(stub: Stub): number {
    const offset = this.#area.allocate(L.CHUNK_BYTES);
    if (offset < 0) return -1;
    const list = this.#chunks.get(stub);
    if (list !== undefined) list.push(offset);
    else this.#chunks.set(stub, [offset]);
    return offset;
  }

  /** Collects stubs that have ended. */
  reap(): void {
    for (let n = this.#exits.wait(0); n > 0; n = this.#exits.wait(0))
      for (let i = 0; i < n; i++) this.#bury(this.#exits.tokenAt(i));
  }
  #bury(pid: number): void {
    const stub = this.#byPid.get(pid);
    assert(stub !== undefined, "an exit is reported for a known stub");
    this.#exits.remove(stub.pidfd);
    host.waitpid(pid, 0);
    host.close(stub.pidfd);
    stub.pidfd = -1;
    this.#byPid.delete(pid);
    this.#ready = this.#ready.filter((s) => s !== stub);
    if (!this.#discarded.delete(stub)) this.onDeath(stub);
    for (const chunk of this.#chunks.get(stub) ?? []) this.#area.free(chunk, L.CHUNK_BYTES);
    this.#chunks.delete(stub);
    this.#area.free(stub.offset, STUB_AREA_BYTES);
    this.#changes.end(stub);
  }
  /** Waits up to waitMs for a stub to end, then as reap(). */
  reapNext(waitMs: number): void {
    const n = this.#exits.wait(waitMs);
    for (let i = 0; i < n; i++) this.#bury(this.#exits.tokenAt(i));
  }

  /** Ends and reaps all stubs and the zygote, within limitMs; by command, as a Sentry may not send signals. */
  end(limitMs: number): void {
    const z = this.#zygote;
    const end = performance.now() + limitMs;
    if (z.settle(false)) {
      this.#confirm();
      z.opCount = 0;
      z.push(L.OP_SYSCALL, SYS_exit_group, 0, 0, 0, 0, 0, 0);
      z.post();
      z.wakeMapper();
    }
    this.onDeath = () => {};
    for (const stub of this.#byPid.values()) if (!this.#discarded.has(stub)) this.#dismiss(stub);
    while (this.#byPid.size > 0 && performance.now() < end) this.reapNext(END_STEP_MS);
    while (performance.now() < end && !z.hasExited()) host.pollOne(z.pidfd, POLLIN, END_STEP_MS);
    host.waitpid(z.pid, host.WNOHANG);
  }

  /** Kills all stubs and the zygote. Only where signals are allowed: tests, and a Sentry not locked down. */
  dispose(): void {
    if (this.#zygote.settle(false)) this.#confirm();
    for (const pid of this.pids) {
      host.kill(pid, host.SIGKILL);
      host.waitpid(pid, 0);
    }
    for (const stub of this.#byPid.values()) host.close(stub.pidfd);
    this.#byPid.clear();
    host.close(this.#zygote.pidfd);
    host.close(this.#exits.fd);
  }
}

/** Adds the operation that makes the next runner thread. */
export function pushSpawnRunner(stub: Stub): number {
  const runner = stub.runnerCount++;
  const block = L.RUN_BASE + runner * L.RUNNER_BYTES + L.RUNNER_BLOCK;
  stub.push(L.OP_SPAWN_RUNNER, 0, CLONE_RUNNER_FLAGS, block + L.R_TID, block, 0, 0, 0);
  return runner;
}
