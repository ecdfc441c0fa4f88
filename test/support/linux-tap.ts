// The host's kernel and a stack of ours in the same place, given the same: what linux-tap.py and a Subject of the lab
// answer, in words that leave out what may differ (identification, random numbers, who asks for whose address).

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { u16, u32 } from "../../src/base/bytes.ts";
import type { Place } from "../../src/lab/arbitraries/place.ts";
import { NetworkNamespace } from "./netns.ts";

const PROGRAM = fileURLToPath(new URL("linux-tap.py", import.meta.url));

export interface Told {
  result: string;
  frames: Uint8Array[];
}

const macText = (mac: readonly number[]): string =>
  mac.map((b) => b.toString(16).padStart(2, "0")).join(":");

export class LinuxStation {
  readonly #ns = new NetworkNamespace();
  readonly #child: ChildProcess;
  readonly #waiting: ((told: Told) => void)[] = [];
  #stderr = "";
  #isOver = false;

  constructor(place: Place) {
    const [program, ...args] = this.#ns.wrap("python3", PROGRAM);
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error("no pipes");
    stderr.on("data", (piece: Buffer) => {
      this.#stderr += piece.toString();
    });
    createInterface({ input: stdout }).on("line", (line) => {
      const { result, frames } = JSON.parse(line) as { result: string; frames: string[] };
      const bytes = frames.map((hex) => new Uint8Array(Buffer.from(hex, "hex")));
      this.#waiting.shift()?.({ result, frames: bytes });
    });
    this.#child.once("close", () => {
      this.#isOver = true;
      for (const settle of this.#waiting) settle(this.#lastWords);
    });
    const station = (s: Place["subject"]) => ({
      mac: macText(s.mac),
      ip4: String(s.ip4),
      ip6: String(s.ip6),
    });
    const first = { ...station(place.subject), neighbors: place.strangers.map(station) };
    this.#child.stdin?.write(`${JSON.stringify(first)}\n`);
  }

  get #lastWords(): Told {
    return { result: `ended: ${this.#stderr}`, frames: [] };
  }

  tell(command: string): Promise<Told> {
    if (this.#isOver) return Promise.resolve(this.#lastWords);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin?.write(`${command}\n`);
    });
  }
  inject(frame: Uint8Array): Promise<Told> {
    return this.tell(`frame ${Buffer.from(frame).toString("hex")}`);
  }

  close(): void {
    this.#child.kill("SIGKILL");
    this.#ns.remove();
  }
}

const ETH = 14;
const hex = (n: number): string => n.toString(16);

/** An answer in words; null: a station's own affair (ARP, Neighbour Discovery, groups). */
export function inWords(f: Uint8Array): string | null {
  const type = u16(f, 12);
  if (type === 0x0800) {
    const at = ETH + ((f[ETH] & 15) << 2);
    const end = ETH + u16(f, ETH + 2);
    const protocol = f[ETH + 9];
    if (protocol === 2) return null;
    const to = [...f.subarray(ETH + 16, ETH + 20)].join(".");
    return `to ${to} tos ${hex(f[ETH + 1])} ${transport(f, at, end, protocol)}`;
  }
  if (type !== 0x86dd) return null;
  const end = ETH + 40 + u16(f, ETH + 4);
  let next = f[ETH + 6];
  let at = ETH + 40;
  if (next === 0) {
    next = f[at];
    at += (f[at + 1] + 1) << 3;
  }
  if (next === 58 && f[at] >= 130 && f[at] !== 128 && f[at] !== 129) return null;
  const to = [...f.subarray(ETH + 24, ETH + 40)].map((b) => b.toString(16)).join(":");
  return `to ${to} class ${hex((u16(f, ETH) >>> 4) & 255)} ${transport(f, at, end, next)}`;
}

function transport(f: Uint8Array, at: number, end: number, protocol: number): string {
  switch (protocol) {
    case 1:
    case 58: {
      const isEcho = protocol === 1 ? f[at] === 0 : f[at] === 129;
      const rest = isEcho || f[at + 1] !== 255 ? hex(u32(f, at + 4)) : "";
      return `icmp ${f[at]}/${f[at + 1]} rest ${rest} of ${end - at}`;
    }
    case 6:
      return `tcp ${u16(f, at)}>${u16(f, at + 2)} flags ${hex(f[at + 13])} seq ${hex(u32(f, at + 4))} ack ${hex(u32(f, at + 8))}`;
    default:
      return `protocol ${protocol} of ${end - at}`;
  }
}
