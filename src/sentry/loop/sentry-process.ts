// One sandbox's kernel put together: host resources, platform, stack, file systems, and the messages of the
// monitor that drive it. The order matters: everything that needs the host comes before the lock-down.

import { POLLIN } from "../../abi/poll.ts";
import { putByteString, utf8ToByteString } from "../../base/bytes.ts";
import { MS, SECOND } from "../../base/clock.ts";
import type { Limits } from "../../base/limits.ts";
import { SeededRng } from "../../base/rng.ts";
import { GoferClient } from "../../gofer/index.ts";
import type { Lease } from "../../netstack/index.ts";
import { EtcFiles } from "../boot/etc-files.ts";
import { buildMountTree, type OwnMakers } from "../boot/mount-tree.ts";
import { maskPaths, sealPaths } from "../boot/sealed-paths.ts";
import { writeSysctls } from "../boot/sysctls.ts";
import { SENTRY_FD, type SentryConfig, type ToSentry } from "../control/protocol.ts";
import { DevFileSystem, registerDevices } from "../fs/dev/dev-file-system.ts";
import { DevptsFileSystem } from "../fs/devpts/devpts-file-system.ts";
import type { NetSource } from "../fs/proc/net-source.ts";
import { ProcFileSystem } from "../fs/proc/proc-file-system.ts";
import { SysFileSystem } from "../fs/sys/sys-file-system.ts";
import type { KernelDriver } from "../kernel/driver.ts";
import { Kernel } from "../kernel/kernel.ts";
import { MemoryFile } from "../mm/memory-file.ts";
import type { Context } from "../platform/platform.ts";
import { SystrapPlatform } from "../platform/systrap/index.ts";
import { StackView } from "../socket/inet/stack-view.ts";
import { socketTableOf } from "../socket/socket-table.ts";
import { PacketCauses } from "../syscalls/packet-causes.ts";
import { Strace } from "../syscalls/strace.ts";
import { buildSyscallTable } from "../syscalls/table.ts";
import { FileCounter } from "../vfs/fd-table.ts";
import { AutoAddress, NO_SERVER } from "./auto-address.ts";
import type { ControlSocket } from "./control-socket.ts";
import { GoferSocket } from "./gofer-transport.ts";
import { HostClock } from "./host-clock.ts";
import { DescriptorFiles } from "./host-files.ts";
import { MemfdMemory } from "./host-memory.ts";
import { clearKeptObjects } from "./kept-objects.ts";
import { lockSentry } from "./lockdown.ts";
import { Loop } from "./loop.ts";
import { Network } from "./network.ts";
import { Programs } from "./programs.ts";
import { SecureRng } from "./secure-rng.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Host processes beyond the tasks that may exist: the first stub, and those on their way out. */
const STUBS_EXTRA = 64;
/** st_dev of the one devpts, out of the mount table's own range. */
const DEVPTS_DEV = 15;
/** Virtual time does not jump before the host's network had this long to answer. */
const VIRTUAL_PATIENCE_NS = 20 * MS;

/** What /proc/net and /sys/class/net read. */
function netSource(kernel: Kernel): NetSource {
  const { stack } = kernel;
  return {
    view: new StackView(stack),
    sockets: () => socketTableOf(kernel).sockets,
    ipCounters: () => ({ ...stack.counters }),
    tcpCounters: () => ({ ...stack.tcp.stats }),
    isForwarding: () => stack.forwarding.v4,
  };
}

function ownFileSystems(kernel: Kernel, devpts: DevptsFileSystem): OwnMakers {
  const net = netSource(kernel);
  return {
    proc: (table) => new ProcFileSystem(table.allocateDev(), kernel, { net }),
    sysfs: (table) => new SysFileSystem(table.allocateDev(), kernel, net),
    devtmpfs: (table) => new DevFileSystem(table.allocateDev(), kernel.clock, table),
    devpts: () => devpts,
  };
}

/** Monotonic time starts at one second, as HostClock's. */
function clockOf(config: SentryConfig): HostClock | VirtualClock {
  if (config.virtualStartNs === undefined) return new HostClock();
  const clock = new VirtualClock(config.virtualStartNs - SECOND);
  clock.advanceNs(SECOND);
  return clock;
}

/** Those that came with the configuration: link, pcap, log; -1 for none. */
function takeDescriptors(config: SentryConfig, control: ControlSocket): number[] {
  const { hasLink, pcapFormat, hasLog } = config;
  return [hasLink, pcapFormat !== null, hasLog].map((has) => (has ? control.takeFds(1)[0] : -1));
}

export class SentryProcess implements KernelDriver {
  readonly #control: ControlSocket;
  readonly #logFd: number;
  readonly #kernel: Kernel;
  readonly #network: Network;
  readonly #platform: SystrapPlatform;
  readonly #loop: Loop;
  readonly #programs: Programs;
  readonly #files = new DescriptorFiles();
  readonly #config: SentryConfig;
  readonly #etcFiles: EtcFiles;
  readonly #autoAddress: AutoAddress | null;
  /** What was written into /etc from the last lease. */
  #etcOfLease = "";
  #loopbackWaits = false;
  #monitorGone = false;

  constructor(config: SentryConfig & { limits: Limits }, control: ControlSocket) {
    this.#control = control;
    this.#config = config;
    const [linkFd, pcapFd, logFd] = takeDescriptors(config, control);
    this.#logFd = logFd;
    const { limits } = config;
    const rng = config.seed === undefined ? new SecureRng() : new SeededRng(config.seed);
    const clock = clockOf(config);
    const memory = new MemfdMemory();
    const platform = SystrapPlatform.begin({
      maxStubs: limits.tasks + STUBS_EXTRA,
      vdso: clock.vdso,
    });
    this.#platform = platform;
    const { network, pcapFormat } = config;
    this.#loop = new Loop(platform, clock, network.kind === "none" ? 0 : VIRTUAL_PATIENCE_NS);
    const strace = config.strace ? new Strace((line) => this.#log(line)) : null;
    const causes = pcapFormat === "pcapng" ? new PacketCauses(strace) : null;
    this.#network = new Network({
      ...{ config: network, linkFd, pcapFd, pcapFormat, causes },
      ...{ clock, turn: clock.turn, rng, limits, files: this.#files },
    });
    const { stack } = this.#network;
    stack.onPending = () => {
      this.#loopbackWaits = true;
    };
    this.#kernel = new Kernel({
      platform,
      memoryFile: new MemoryFile(memory, limits.memoryBytes, platform.changes),
      clock,
      rng,
      limits,
      hostFiles: this.#files,
      poller: this.#loop,
      stack,
      hostname: config.hostname,
      log: (line) => this.#log(line),
      syscalls: buildSyscallTable(),
      cpus: config.cpus,
      clearKeptObjects,
    });
    this.#kernel.trace = causes ?? strace;
    if (config.domainname !== undefined) this.#kernel.domainname = config.domainname;
    const counter = new FileCounter(limits.files);
    const devpts = new DevptsFileSystem(DEVPTS_DEV, clock);
    const client = new GoferClient(new GoferSocket(SENTRY_FD.gofer));
    const own = ownFileSystems(this.#kernel, devpts);
    const bootTask = buildMountTree(this.#kernel, counter, client, config.root, own);
    registerDevices(this.#kernel.mounts.table, devpts);
    this.#etcFiles = new EtcFiles(bootTask);
    this.#etcFiles.write({
      hostname: utf8ToByteString(config.hostname),
      address: network.address?.split("/")[0] ?? null,
      nameServers: network.dns === undefined ? [] : [network.dns],
      search: [],
    });
    writeSysctls(bootTask, config.sysctl ?? {});
    maskPaths(bootTask, config.root.maskedPaths ?? []);
    sealPaths(bootTask, config.root.readonlyPaths ?? []);
    this.#autoAddress = network.dhcp === true ? this.#makeAutoAddress() : null;
    platform.awaitFirstStub();
    const send = control.send.bind(control);
    this.#programs = new Programs(this.#kernel, counter, devpts, bootTask, send);
  }

  #makeAutoAddress(): AutoAddress | null {
    const { nic } = this.#network;
    if (nic === null) return null;
    nic.stack.clock.refresh?.();
    return new AutoAddress({
      nic,
      hostName: this.#config.hostname,
      onLease: (lease) => this.#onLease(lease),
      onFailure: () => this.#control.send({ type: "unusable", message: NO_SERVER }),
    });
  }

  /** /etc as the lease has it, unless it says what the last one said: the program may have changed it. */
  #onLease(lease: Lease): void {
    const { dns } = this.#config.network;
    const servers = dns === undefined ? lease.nameServers.map(String) : [dns];
    const domain = lease.domain === "" ? [] : [lease.domain];
    const options = {
      hostname: utf8ToByteString(this.#config.hostname),
      address: lease.addr.toString(),
      nameServers: servers,
      search: lease.search.length > 0 ? lease.search : domain,
    };
    const text = JSON.stringify(options);
    if (text === this.#etcOfLease) return;
    this.#etcOfLease = text;
    this.#etcFiles.write(options);
  }

  /** Until the monitor goes. Locked in before the first program can be started. */
  run(): void {
    lockSentry();
    this.#network.watch(this.#loop);
    this.#loop.watch(SENTRY_FD.control, POLLIN, () => this.#readControl());
    this.#autoAddress?.start();
    // Spawn requests may have come together with the configuration.
    this.#readControl();
    this.#loop.run(this);
    this.#autoAddress?.close();
  }

  /** Leaves no process behind. */
  end(): void {
    this.#platform.end();
  }

  #readControl(): void {
    if (!this.#control.drain((message) => this.#onMessage(message))) this.#monitorGone = true;
  }

  #onMessage(message: ToSentry): void {
    switch (message.type) {
      case "start":
        throw new Error("the monitor started this sandbox twice");
      case "spawn": {
        const fds = this.#control.takeFds(Programs.descriptorsOf(message));
        this.#whenReady(() => this.#programs.spawn(message, fds));
        break;
      }
      case "signal":
        this.#whenReady(() => this.#programs.signal(message.id, message.signal));
        break;
      case "resize":
        this.#whenReady(() => this.#programs.resize(message.id, message.rows, message.columns));
        break;
      case "ping":
        this.#control.send({ type: "pong", id: message.id });
        break;
      case "quiescent": {
        const { id } = message;
        this.#loop.whenIdle(() => {
          const hasTimers = this.nextDeadlineNs() < Number.POSITIVE_INFINITY;
          this.#control.send({ type: "quiet", id, hasTimers });
        });
        break;
      }
    }
  }

  #whenReady(what: () => void): void {
    if (this.#autoAddress === null) what();
    else this.#autoAddress.whenReady(what);
  }

  #log(line: string): void {
    if (this.#logFd < 0) return;
    const text = `${line}\n`;
    const bytes = new Uint8Array(text.length);
    putByteString(bytes, 0, text);
    this.#files.write(this.#logFd, bytes, 0, bytes.length);
  }

  // ---- KernelDriver ----

  onTrap(context: Context): void {
    this.#kernel.onTrap(context);
  }
  runReady(): boolean {
    const didRun = this.#kernel.runReady();
    if (this.#loopbackWaits) {
      this.#loopbackWaits = false;
      this.#network.stack.runPending();
      this.#network.update(this.#loop);
      return true;
    }
    return didRun;
  }
  nextDeadlineNs(): number {
    return Math.min(this.#kernel.nextDeadlineNs(), this.#network.stack.nextDeadlineNs());
  }
  onTimers(nowNs: number): void {
    this.#kernel.onTimers(nowNs);
    this.#network.stack.runTimers(nowNs);
    this.#network.update(this.#loop);
  }
  get isOver(): boolean {
    return this.#monitorGone;
  }
}
