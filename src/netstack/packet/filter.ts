// Socket filters: classic BPF (bpf(4), Linux's net/core/filter.c before its translation to eBPF). A program is
// checked once, so that running it cannot loop, leave the packet, or read scratch memory that it did not
// write; then it says how many bytes of each packet the socket gets. Not eBPF: there are no maps or calls.
//
// Instructions lie in one Int32Array, four words each: code, jt, jf, k.

import { NetErr, type NetError } from "../net-error.ts";
import type { PacketBuffer } from "../stack/packet-buffer.ts";

/** BPF_MAXINSNS. */
export const FILTER_INSTRUCTIONS_MAX = 4096;
const MEMORY_WORDS = 16;
const WORDS = 4;

// Instruction classes and parts (linux/bpf_common.h).
const LD = 0;
const LDX = 1;
const ST = 2;
const STX = 3;
const ALU = 4;
const JMP = 5;
const RET = 6;
const MISC = 7;
const K = 0;
const X = 8;
const A = 0x10;
const W = 0;
const H = 8;
const B = 0x10;
const IMM = 0;
const ABS = 0x20;
const IND = 0x40;
const MEM = 0x60;
const LEN = 0x80;
const MSH = 0xa0;
const ADD = 0;
const SUB = 0x10;
const MUL = 0x20;
const DIV = 0x30;
const OR = 0x40;
const AND = 0x50;
const LSH = 0x60;
const RSH = 0x70;
const NEG = 0x80;
const MOD = 0x90;
const XOR = 0xa0;
const JA = 0;
const JEQ = 0x10;
const JGT = 0x20;
const JGE = 0x30;
const JSET = 0x40;
const TAX = 0;
const TXA = 0x80;

// Absolute loads from here on ask about the packet instead of reading it (linux/filter.h, SKF_*).
const AD_OFF = -0x1000;
const AD_PROTOCOL = 0;
const AD_PKTTYPE = 4;
const AD_IFINDEX = 8;
const AD_NLATTR = 12;
const AD_NLATTR_NEST = 16;
const AD_MARK = 20;
const AD_QUEUE = 24;
const AD_HATYPE = 28;
const AD_RXHASH = 32;
const AD_CPU = 36;
const AD_ALU_XOR_X = 40;
const AD_VLAN_TAG = 44;
const AD_VLAN_PRESENT = 48;
const AD_PAY_OFFSET = 52;
const AD_RANDOM = 56;
const AD_VLAN_TPID = 60;
const AD_END = 64;
const NET_OFF = -0x10_0000;
const LL_OFF = -0x20_0000;

/** What a filter may ask about a packet besides its bytes. */
export interface FilterPacket {
  bytes: Uint8Array;
  /** What the program sees as byte 0, and the end. */
  start: number;
  end: number;
  /** Where the link's and the network's headers begin. */
  link: number;
  network: number;
  /** EtherType. */
  protocol: number;
  /** PACKET_HOST and so on. */
  type: number;
  nicId: number;
  hardwareType: number;
  /** The tag that was taken off (EtherType in the upper half); 0: none. */
  vlan: number;
}

const CODES = new Set<number>();
for (const op of [ADD, SUB, MUL, DIV, MOD, OR, AND, XOR, LSH, RSH]) {
  CODES.add(ALU | op | K).add(ALU | op | X);
}
CODES.add(ALU | NEG);
for (const size of [W, H, B]) CODES.add(LD | size | ABS).add(LD | size | IND);
CODES.add(LD | W | LEN)
  .add(LD | IMM)
  .add(LD | MEM);
CODES.add(LDX | W | LEN)
  .add(LDX | B | MSH)
  .add(LDX | IMM)
  .add(LDX | MEM);
CODES.add(ST)
  .add(STX)
  .add(MISC | TAX)
  .add(MISC | TXA)
  .add(RET | K)
  .add(RET | A)
  .add(JMP | JA);
for (const op of [JEQ, JGT, JGE, JSET]) CODES.add(JMP | op | K).add(JMP | op | X);

export class SocketFilter {
  readonly #code: Int32Array;
  readonly #memory = new Int32Array(MEMORY_WORDS);

  private constructor(code: Int32Array) {
    this.#code = code;
  }

  /** code: four words an instruction, copied. InvalidArgument: not a program (bpf_check_classic). */
  static make(code: Int32Array): SocketFilter | NetError {
    const count = code.length / WORDS;
    if (count < 1 || count > FILTER_INSTRUCTIONS_MAX || !Number.isInteger(count)) {
      return NetErr.InvalidArgument;
    }
    for (let pc = 0; pc < count; pc++) if (!isSound(code, pc, count)) return NetErr.InvalidArgument;
    const last = code[(count - 1) * WORDS];
    if (last !== (RET | K) && last !== (RET | A)) return NetErr.InvalidArgument;
    if (!isMemorySound(code, count)) return NetErr.InvalidArgument;
    return new SocketFilter(code.slice());
  }

  get instructions(): Int32Array {
    return this.#code;
  }

  /** Bytes of the packet that the socket gets; 0: none, it is dropped. */
  run(p: FilterPacket): number {
    const code = this.#code;
    const memory = this.#memory;
    let a = 0;
    let x = 0;
    for (let pc = 0; ; pc++) {
      const at = pc * WORDS;
      const op = code[at];
      const k = code[at + 3];
      switch (op & 7) {
        case LD:
          switch (op) {
            case LD | IMM:
              a = k;
              continue;
            case LD | MEM:
              a = memory[k];
              continue;
            case LD | W | LEN:
              a = p.end - p.start;
              continue;
          }
          if ((op & 0xe0) === ABS && k < 0 && k >= AD_OFF && k < AD_OFF + AD_END) {
            if (k === AD_OFF + AD_ALU_XOR_X) a ^= x;
            else a = ancillary(p, k - AD_OFF, a);
          } else if (!load(p, op & 0x18, (op & 0xe0) === IND ? (x + k) | 0 : k)) return 0;
          else a = loaded;
          continue;
        case LDX:
          if (op === (LDX | IMM)) x = k;
          else if (op === (LDX | MEM)) x = memory[k];
          else if (op === (LDX | W | LEN)) x = p.end - p.start;
          else if (load(p, B, k)) x = (loaded & 15) << 2;
          else return 0;
          continue;
        case ST:
          memory[k] = a;
          continue;
        case STX:
          memory[k] = x;
          continue;
        case ALU: {
          const value = (op & X) !== 0 ? x : k;
          if (((op & 0xf0) === DIV || (op & 0xf0) === MOD) && value === 0) return 0;
          a = compute(op & 0xf0, a, value);
          continue;
        }
        case JMP: {
          if (op === (JMP | JA)) pc += k;
          else pc += isTrue(op & 0xf0, a, (op & X) !== 0 ? x : k) ? code[at + 1] : code[at + 2];
          continue;
        }
        case RET:
          return (op === (RET | A) ? a : k) >>> 0;
        default:
          if (op === (MISC | TAX)) x = a;
          else a = x;
      }
    }
  }
}

const view: FilterPacket = {
  bytes: new Uint8Array(0),
  start: 0,
  end: 0,
  link: 0,
  network: 0,
  protocol: 0,
  type: 0,
  nicId: 0,
  hardwareType: 0,
  vlan: 0,
};

/** Of a packet on its way to an endpoint of IP, from `start` on: how much of it the endpoint gets. */
export function runFilter(f: SocketFilter, pkt: PacketBuffer, start: number, end: number): number {
  view.bytes = pkt.bytes;
  view.start = start;
  view.end = end;
  view.link = view.network = Math.min(pkt.l3, start);
  view.protocol = pkt.src.isV4 ? 0x0800 : 0x86dd;
  view.nicId = pkt.nicId;
  const keep = f.run(view);
  view.bytes = NOTHING;
  return keep;
}
const NOTHING = new Uint8Array(0);

function compute(op: number, a: number, v: number): number {
  switch (op) {
    case ADD:
      return (a + v) | 0;
    case SUB:
      return (a - v) | 0;
    case MUL:
      return Math.imul(a, v);
    case DIV:
      return ((a >>> 0) / (v >>> 0)) | 0;
    case MOD:
      return ((a >>> 0) % (v >>> 0)) | 0;
    case OR:
      return a | v;
    case AND:
      return a & v;
    case XOR:
      return a ^ v;
    case LSH:
      return a << (v & 31);
    case RSH:
      return (a >>> (v & 31)) | 0;
    default:
      return -a | 0;
  }
}

function isTrue(op: number, a: number, v: number): boolean {
  switch (op) {
    case JEQ:
      return a === v;
    case JGT:
      return a >>> 0 > v >>> 0;
    case JGE:
      return a >>> 0 >= v >>> 0;
    default:
      return (a & v) !== 0;
  }
}

let loaded = 0;
/** Reads the packet at k into `loaded`; false: outside of it. */
function load(p: FilterPacket, size: number, k: number): boolean {
  let at = p.start + k;
  if (k < 0) {
    // bpf_internal_load_pointer_neg_helper: relative to the network's or the link's header.
    if (k >= NET_OFF) at = p.network + (k - NET_OFF);
    else if (k >= LL_OFF) at = p.link + (k - LL_OFF);
    else return false;
  }
  const bytes = size === W ? 4 : size === H ? 2 : 1;
  if (at < p.link || at + bytes > p.end) return false;
  const b = p.bytes;
  if (size === W) loaded = (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
  else if (size === H) loaded = (b[at] << 8) | b[at + 1];
  else loaded = b[at];
  return true;
}

function ancillary(p: FilterPacket, what: number, a: number): number {
  switch (what) {
    case AD_PROTOCOL:
      return p.protocol;
    case AD_PKTTYPE:
      return p.type;
    case AD_IFINDEX:
      return p.nicId;
    case AD_HATYPE:
      return p.hardwareType;
    case AD_NLATTR:
    case AD_NLATTR_NEST:
    case AD_MARK:
    case AD_QUEUE:
    case AD_RXHASH:
    case AD_CPU:
      // No marks, queues and hashes come with our packets.
      return 0;
    case AD_VLAN_TAG:
      return p.vlan & 0xffff;
    case AD_VLAN_PRESENT:
      return p.vlan === 0 ? 0 : 1;
    case AD_VLAN_TPID:
      return p.vlan >>> 16;
    case AD_PAY_OFFSET:
      return p.network - p.start;
    default:
      return a;
  }
}

function isSound(code: Int32Array, pc: number, count: number): boolean {
  const [op, jt, jf, k] = code.subarray(pc * WORDS, pc * WORDS + WORDS);
  if (!CODES.has(op)) return false;
  switch (op) {
    case ALU | DIV | K:
    case ALU | MOD | K:
      return k !== 0;
    case ALU | LSH | K:
    case ALU | RSH | K:
      return k >>> 0 < 32;
    case LD | MEM:
    case LDX | MEM:
    case ST:
    case STX:
      return k >>> 0 < MEMORY_WORDS;
    case JMP | JA:
      return k >>> 0 < count - pc - 1;
    case LD | W | ABS:
    case LD | H | ABS:
    case LD | B | ABS:
      // Random numbers would make a run depend on more than its packets; unknown ones do not exist.
      if (k >= AD_OFF && k < AD_OFF + AD_END) return k % 4 === 0 && k !== AD_OFF + AD_RANDOM;
      return k >= 0 || k < AD_OFF;
  }
  if ((op & 7) === JMP) return pc + 1 + jt < count && pc + 1 + jf < count;
  return true;
}

/** No path reads scratch memory that it has not written (check_load_and_stores). */
function isMemorySound(code: Int32Array, count: number): boolean {
  const masks = new Uint16Array(count).fill(0xffff);
  let valid = 0;
  for (let pc = 0; pc < count; pc++) {
    valid &= masks[pc];
    const at = pc * WORDS;
    const k = code[at + 3];
    switch (code[at]) {
      case ST:
      case STX:
        valid |= 1 << k;
        break;
      case LD | MEM:
      case LDX | MEM:
        if ((valid & (1 << k)) === 0) return false;
        break;
      case JMP | JA:
        masks[pc + 1 + k] &= valid;
        valid = 0xffff;
        break;
      default:
        if ((code[at] & 7) !== JMP) break;
        masks[pc + 1 + code[at + 1]] &= valid;
        masks[pc + 1 + code[at + 2]] &= valid;
        valid = 0xffff;
    }
  }
  return true;
}
