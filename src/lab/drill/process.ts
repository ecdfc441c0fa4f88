// The process that a script plays: its descriptors, the addresses that `...` stands for, and the flows its
// packets belong to.

import { type Family, IPV6, type IpAddr, type Stack } from "../../netstack/index.ts";
import type { Expr } from "./ast.ts";
import { DrillError } from "./drill-error.ts";
import { Flow } from "./flow.ts";
import type { Profile } from "./profile.ts";
import { type DrillFile, DrillSocket } from "./socket.ts";
import { numberOf } from "./values.ts";

/** A call under way: yields the time at which it wants to be looked at even if nothing happens. */
export type Call = Generator<number, number | string>;

export interface ProcessConfig {
  stack: Stack;
  nowNs: () => number;
  /** Family of sockets made with `...`. */
  socketFamily: Family;
  local: IpAddr;
  remote: IpAddr;
  bindPort: number;
  connectPort: number;
  profile: Profile;
  wmem: readonly number[];
  rmem: readonly number[];
}

export class DrillProcess {
  readonly config: ProcessConfig;
  readonly files = new Map<number, DrillFile>();
  readonly flows: Flow[] = [];
  /** Where packets without ports belong. */
  underTest: Flow | null = null;
  #scratch = new Uint8Array(65_536);

  constructor(config: ProcessConfig) {
    this.config = config;
  }

  scratch(length: number): Uint8Array {
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length);
    else this.#scratch.fill(0, 0, length);
    return this.#scratch;
  }

  file(e: Expr): DrillFile | null {
    return this.files.get(numberOf(e)) ?? null;
  }

  /** The socket of a descriptor; a script that names something else is wrong itself. */
  socket(e: Expr): DrillSocket {
    const file = this.file(e);
    if (file instanceof DrillSocket) return file;
    throw new DrillError("syntax", e.place, `descriptor ${numberOf(e)} is no socket`);
  }

  newFlow(socket: DrillSocket | null): Flow {
    const { local, remote } = this.config;
    const flow = new Flow(local, remote);
    flow.socket = socket;
    this.flows.push(flow);
    this.underTest = flow;
    return flow;
  }

  flowOf(socket: DrillSocket): Flow | null {
    return this.flows.find((flow) => flow.socket === socket) ?? null;
  }

  /** Packets of a flow carry these; a connecting socket's ports are taken from its endpoint. */
  findFlow(localPort: number, remotePort: number): Flow | null {
    for (let i = this.flows.length - 1; i >= 0; i--) {
      const flow = this.flows[i];
      flow.takePorts();
      if (flow.localPort === localPort && flow.remotePort === remotePort) return flow;
    }
    return null;
  }

  /** After accept: the child's flow gets its socket. */
  adopt(child: DrillSocket): void {
    const { localPort, remotePort } = child.endpoint;
    const flow = this.findFlow(localPort, remotePort);
    if (flow !== null) flow.socket = child;
  }

  /** Reports of what has just been sent or acknowledged; nowNs is script time. */
  settle(nowNs: number): void {
    for (const file of this.files.values()) {
      if (file instanceof DrillSocket && file.timestamping !== 0) file.settleTimestamps(nowNs);
    }
  }

  get isDualStack(): boolean {
    return this.config.socketFamily === IPV6 && this.config.local.isV4;
  }
}
