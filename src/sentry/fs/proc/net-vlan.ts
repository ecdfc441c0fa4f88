// /proc/net/vlan (net/8021q/vlanproc.c): which VLAN interfaces there are, in config, and a file for each.

import { ENOENT } from "../../../abi/errno.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { InterfaceView } from "../../socket/inet/network-view.ts";
import type { Inode } from "../../vfs/inode.ts";
import { type Listing, PseudoDir } from "../pseudo/pseudo-dir.ts";
import { TextFile } from "../pseudo/pseudo-file.ts";
import type { PseudoFileSystem } from "../pseudo/pseudo-inode.ts";
import type { NetSource } from "./net-source.ts";

const DT_REG = 8;
const FILE_INO = 2 ** 33;
/** priv_flags of a VLAN interface: IFF_802_1Q_VLAN, IFF_XMIT_DST_RELEASE and what else vlan_setup sets. */
const PRIVATE_FLAGS = "1021";

export class VlanDir extends PseudoDir {
  readonly #net: NetSource;

  constructor(fs: PseudoFileSystem, net: NetSource) {
    super(fs);
    this.#net = net;
  }

  #vlans(): InterfaceView[] {
    return this.#net.view.interfaces().filter((nic) => nic.vlan !== null);
  }

  lookup(_t: Task, name: ByteString): Inode | number {
    if (name === "config") return new TextFile(this.pseudo, () => this.#config(), null, 0o600);
    const nic = this.#vlans().find((vlan) => vlan.name === name);
    if (nic === undefined) return -ENOENT;
    return new TextFile(this.pseudo, () => this.#describe(nic.index), null, 0o600);
  }
  list(_t: Task, listing: Listing): void {
    listing.add("config", FILE_INO, DT_REG);
    for (const nic of this.#vlans()) listing.add(nic.name, FILE_INO + nic.index, DT_REG);
  }

  #nameOf(index: number): string {
    return this.#net.view.interfaceByIndex(index)?.name ?? "?";
  }

  /** vlan_seq_show. */
  #config(): ByteString {
    let s = "VLAN Dev name\t | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n";
    for (const { name, vlan } of this.#vlans()) {
      if (vlan === null) continue;
      s += `${name.padEnd(15)}| ${vlan.id}  | ${this.#nameOf(vlan.parentIndex)}\n`;
    }
    return s;
  }

  /** vlandev_seq_show. */
  #describe(index: number): ByteString {
    const nic = this.#net.view.interfaceByIndex(index);
    if (nic === undefined || nic.vlan === null) return "";
    const { counters: c, vlan } = nic;
    const line = (what: string, n: number): string =>
      `${what.padStart(30)} ${String(n).padStart(12)}\n`;
    return (
      `${nic.name}  VID: ${vlan.id}\t REORDER_HDR: 1  dev->priv_flags: ${PRIVATE_FLAGS}\n` +
      line("total frames received", c.rxPackets) +
      line("total bytes received", c.rxBytes) +
      line("Broadcast/Multicast Rcvd", c.multicast) +
      "\n" +
      line("total frames transmitted", c.txPackets) +
      line("total bytes transmitted", c.txBytes) +
      `Device: ${this.#nameOf(vlan.parentIndex)}\n` +
      "INGRESS priority mappings: 0:0  1:0  2:0  3:0  4:0  5:0  6:0 7:0\n" +
      " EGRESS priority mappings: \n"
    );
  }
}
