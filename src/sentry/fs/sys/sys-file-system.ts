// /sys: the little of sysfs(5) that programs look at: processors, interfaces, transparent huge pages. What
// the sandbox does not have (buses, block devices, modules) is an empty directory, as on such a machine.

import { ENOENT } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Task } from "../../kernel/task.ts";
import type { InterfaceView } from "../../socket/inet/network-view.ts";
import type { Inode } from "../../vfs/inode.ts";
import { type NetSource, netSourceOf } from "../proc/net-source.ts";
import { type Listing, PseudoDir, StaticDir } from "../pseudo/pseudo-dir.ts";
import { TextFile } from "../pseudo/pseudo-file.ts";
import { PseudoFileSystem, StaticSymlink } from "../pseudo/pseudo-inode.ts";

const SYSFS_MAGIC = 0x62656572;
const DT_DIR = 4;
const DT_LNK = 10;
const INTERFACE_INO = 2 ** 32;

export class SysFileSystem extends PseudoFileSystem {
  readonly typeName = "sysfs";
  readonly magic = SYSFS_MAGIC;
  override readonly cachesDentries = false;
  readonly root: StaticDir;

  constructor(dev: number, kernel: Kernel, net: NetSource = netSourceOf(kernel)) {
    super(dev, kernel.clock);
    const root = new StaticDir(this);
    this.root = root;
    const dir = (...entries: [string, Inode][]): StaticDir => {
      const made = new StaticDir(this);
      for (const [name, inode] of entries) made.add(name, inode);
      return made;
    };
    const text = (value: string | (() => string)): TextFile =>
      new TextFile(this, () => `${typeof value === "string" ? value : value()}\n`);
    const cpus = kernel.cpus > 1 ? `0-${kernel.cpus - 1}` : "0";
    const interfaces = new InterfacesDir(this, net, false);
    const cpu = dir(
      ["online", text(cpus)],
      ["possible", text(cpus)],
      ["present", text(cpus)],
      ["offline", text("")],
      ["isolated", text("")],
      ["kernel_max", text("8191")],
      ["vulnerabilities", dir()],
    );
    for (let i = 0; i < kernel.cpus; i++) cpu.add(`cpu${i}`, cpuDir(this, i, kernel.cpus));
    const node0 = dir(
      ["cpulist", text(cpus)],
      ["cpumap", text(cpuMask(kernel.cpus))],
      ["distance", text("10")],
      ["meminfo", text(() => nodeMeminfo(kernel))],
    );
    root.add("block", dir());
    root.add("bus", dir());
    root.add(
      "class",
      dir(["net", new InterfacesDir(this, net, true)], ["tty", dir()], ["block", dir()]),
    );
    root.add("dev", dir(["block", dir()], ["char", dir()]));
    root.add(
      "devices",
      dir(
        [
          "system",
          dir(
            ["cpu", cpu],
            [
              "node",
              dir(
                ["online", text("0")],
                ["possible", text("0")],
                ["has_cpu", text("0")],
                ["node0", node0],
              ),
            ],
          ),
        ],
        ["virtual", dir(["net", interfaces])],
      ),
    );
    root.add("firmware", dir());
    root.add("fs", dir(["cgroup", dir()]));
    root.add(
      "kernel",
      dir(
        [
          "mm",
          dir(
            ["hugepages", dir()],
            [
              "transparent_hugepage",
              dir(
                ["enabled", text("always [madvise] never")],
                ["defrag", text("always defer defer+madvise [madvise] never")],
                ["shmem_enabled", text("always within_size advise [never] deny force")],
                ["hpage_pmd_size", text("2097152")],
                ["use_zero_page", text("1")],
              ),
            ],
          ),
        ],
        ["security", dir()],
        ["debug", dir()],
      ),
    );
    root.add("module", dir());
    root.add("power", dir());
  }
}

const cpuMask = (cpus: number): string =>
  (2 ** Math.min(cpus, 32) - 1).toString(16).padStart(8, "0");

function cpuDir(fs: PseudoFileSystem, index: number, cpus: number): StaticDir {
  const text = (value: string): TextFile => new TextFile(fs, () => `${value}\n`);
  const all = cpus > 1 ? `0-${cpus - 1}` : "0";
  const topology = new StaticDir(fs)
    .add("core_id", text(String(index)))
    .add("physical_package_id", text("0"))
    .add("core_siblings", text(cpuMask(cpus)))
    .add("core_siblings_list", text(all))
    .add("package_cpus_list", text(all))
    .add("thread_siblings", text((2 ** (index & 31)).toString(16).padStart(8, "0")))
    .add("thread_siblings_list", text(String(index)));
  const cache = new StaticDir(fs);
  const levels: [string, string, string, string][] = [
    ["index0", "1", "Data", "32K"],
    ["index1", "1", "Instruction", "32K"],
    ["index2", "2", "Unified", "1024K"],
  ];
  for (const [name, level, type, size] of levels) {
    cache.add(
      name,
      new StaticDir(fs)
        .add("level", text(level))
        .add("type", text(type))
        .add("size", text(size))
        .add("coherency_line_size", text("64"))
        .add("ways_of_associativity", text("8"))
        .add("shared_cpu_list", text(String(index)))
        .add("shared_cpu_map", text((2 ** (index & 31)).toString(16).padStart(8, "0"))),
    );
  }
  const dir = new StaticDir(fs).add("topology", topology).add("cache", cache);
  return index === 0 ? dir : dir.add("online", text("1"));
}

function nodeMeminfo(kernel: Kernel): string {
  const total = Math.floor(kernel.limits.memoryBytes / 1024);
  const used = Math.floor(kernel.memoryFile.allocatedBytes / 1024);
  const line = (name: string, kib: number): string =>
    `Node 0 ${`${name}:`.padEnd(16)}${String(kib).padStart(8)} kB`;
  return [line("MemTotal", total), line("MemFree", total - used), line("MemUsed", used)].join("\n");
}

/** /sys/class/net (links) and /sys/devices/virtual/net (the directories): interfaces as they are now. */
class InterfacesDir extends PseudoDir {
  readonly #net: NetSource;
  readonly #asLinks: boolean;

  constructor(fs: PseudoFileSystem, net: NetSource, asLinks: boolean) {
    super(fs);
    this.#net = net;
    this.#asLinks = asLinks;
  }
  lookup(_t: Task, name: ByteString): Inode | number {
    const nic = this.#net.view.interfaceByName(name);
    if (nic === undefined) return -ENOENT;
    if (this.#asLinks) return new StaticSymlink(this.pseudo, `../../devices/virtual/net/${name}`);
    return interfaceDir(this.pseudo, nic);
  }
  list(_t: Task, listing: Listing): void {
    for (const nic of this.#net.view.interfaces()) {
      listing.add(nic.name, INTERFACE_INO + nic.index, this.#asLinks ? DT_LNK : DT_DIR);
    }
  }
}

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_BROADCAST_MULTICAST = 0x1002;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

function interfaceDir(fs: PseudoFileSystem, nic: InterfaceView): Inode {
  const dir = new StaticDir(fs);
  const text = (name: string, value: string | number): void => {
    dir.add(name, new TextFile(fs, () => `${value}\n`));
  };
  const flags = (nic.isUp ? IFF_UP : 0) | (nic.isLoopback ? IFF_LOOPBACK : IFF_BROADCAST_MULTICAST);
  const mac = [...nic.mac].map((b) => b.toString(16).padStart(2, "0")).join(":");
  text("address", mac);
  text("broadcast", nic.isLoopback ? "00:00:00:00:00:00" : "ff:ff:ff:ff:ff:ff");
  text("addr_len", 6);
  text("ifindex", nic.index);
  text("iflink", nic.vlan === null ? nic.index : nic.vlan.parentIndex);
  text("mtu", nic.mtu);
  text("type", nic.isLoopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER);
  text("flags", `0x${flags.toString(16)}`);
  text("operstate", nic.isLoopback ? "unknown" : nic.isUp ? "up" : "down");
  text("carrier", nic.isUp ? 1 : 0);
  text("tx_queue_len", 1000);
  const kind = nic.vlan === null ? "" : "DEVTYPE=vlan\n";
  text("uevent", `${kind}INTERFACE=${nic.name}\nIFINDEX=${nic.index}`);
  const c = nic.counters;
  const statistics = new StaticDir(fs);
  const counters: [string, number][] = [
    ["rx_bytes", c.rxBytes],
    ["rx_packets", c.rxPackets],
    ["rx_dropped", c.rxDropped],
    ["rx_errors", 0],
    ["tx_bytes", c.txBytes],
    ["tx_packets", c.txPackets],
    ["tx_dropped", c.txDropped],
    ["tx_errors", 0],
    ["multicast", c.multicast],
    ["collisions", 0],
  ];
  for (const [name, n] of counters) statistics.add(name, new TextFile(fs, () => `${n}\n`));
  dir.add("statistics", statistics);
  return dir;
}
