import { beforeEach, describe, expect, it } from "vitest";
import { SYS_sendto } from "../../abi/syscall-numbers.ts";
import { setU16, setU32 } from "../../base/bytes.ts";
import { DIRECTION_IN, DIRECTION_OUT } from "../../link/index.ts";
import type { SyscallTrace } from "../kernel/kernel.ts";
import type { Task } from "../kernel/task.ts";
import { SyscallArgs } from "./args.ts";
import { PacketCauses } from "./packet-causes.ts";

const [FIN, SYN, RST, ACK] = [1, 2, 4, 16];
const CURL = { comm: "curl", tid: 7 } as Task;
const LOCAL_PORT = 40_000;
const L4 = 14 + 20;

/** A frame of TCP over IPv4, with so many bytes of data. */
function segment(flags: number, seq: number, dataBytes = 0, port = LOCAL_PORT): Uint8Array {
  const b = new Uint8Array(L4 + 20 + dataBytes);
  setU16(b, 12, 0x0800);
  b[14] = 0x45;
  setU16(b, 16, b.length - 14);
  b[14 + 9] = 6;
  setU16(b, L4, port);
  setU16(b, L4 + 2, 80);
  setU32(b, L4 + 4, seq);
  b[L4 + 12] = 5 << 4;
  b[L4 + 13] = flags;
  return b;
}

/** One that comes: the ports are the other way round. */
function answer(): Uint8Array {
  const b = segment(ACK, 900);
  setU16(b, L4, 80);
  setU16(b, L4 + 2, LOCAL_PORT);
  return b;
}

let causes: PacketCauses;
beforeEach(() => {
  causes = new PacketCauses(null);
});

const out = (frame: Uint8Array) => causes.causeOf(frame, 0, frame.length, DIRECTION_OUT);
const into = (frame: Uint8Array) => causes.causeOf(frame, 0, frame.length, DIRECTION_IN);

function sendto(fd: number): SyscallArgs {
  const args = new SyscallArgs();
  // The first argument: rdi.
  args.regs.fill(fd);
  return args;
}

/** What leaves while the call runs. */
function during(frame: Uint8Array): string {
  causes.enter(CURL, SYS_sendto, sendto(5));
  const cause = out(frame);
  causes.exit(CURL, SYS_sendto, 0);
  return cause;
}

describe("a packet's cause", () => {
  it("is the call that runs, in which task and on which descriptor", () => {
    expect(during(segment(ACK, 1, 100))).toBe("curl[7] sendto(5)");
  });

  it("is, for what leaves later, the call that gave the bytes, and what let them go", () => {
    during(segment(ACK, 1, 100));
    causes.delivering(true);
    expect(out(segment(ACK, 101, 100))).toBe("curl[7] sendto(5), on ack");
    causes.delivering(false);
    expect(out(segment(ACK, 201, 100))).toBe("curl[7] sendto(5), on timer");
  });

  it("is a retransmission for bytes that have left before, across the wrap of the numbers", () => {
    during(segment(ACK, 0xffff_fff0, 100));
    expect(out(segment(ACK, 0xffff_fff0, 100))).toBe("retransmission timer");
    causes.delivering(true);
    expect(out(segment(ACK, 0xffff_fff0, 50))).toBe("retransmission, on ack");
    expect(out(segment(ACK, 84, 10))).toBe("curl[7] sendto(5), on ack");
    expect(during(segment(ACK, 0, 10))).toBe("curl[7] sendto(5), retransmission");
  });

  it("counts a FIN as one: it alone again is a retransmission", () => {
    during(segment(FIN | ACK, 1));
    expect(out(segment(FIN | ACK, 1))).toBe("retransmission timer");
  });

  it("is the connection's own where no call gave anything", () => {
    expect(out(segment(SYN | ACK, 1))).toBe("handshake");
    expect(out(segment(ACK, 2))).toBe("delayed ack timer");
    expect(out(segment(ACK, 1))).toBe("probe timer");
    expect(out(segment(RST, 2))).toBe("reset");
    causes.delivering(true);
    expect(out(segment(ACK, 2))).toBe("ack");
    expect(out(segment(RST, 2))).toBe("reset, on segment");
  });

  it("is for what comes whose connection it is, when a call had to do with it", () => {
    expect(into(answer())).toBe("");
    during(segment(SYN, 1));
    expect(into(answer())).toBe("for curl[7]");
  });

  it("is no more the call that sleeps", () => {
    causes.enter(CURL, SYS_sendto, sendto(5));
    causes.blocked(CURL);
    expect(out(segment(SYN, 1))).toBe("handshake");
  });

  it("is the stack's for what is neither TCP nor UDP, nor whole", () => {
    const arp = segment(ACK, 1);
    setU16(arp, 12, 0x0806);
    expect(out(arp)).toBe("stack");
    expect(into(arp)).toBe("");
    const short = segment(ACK, 1).subarray(0, L4 + 12);
    expect(out(short)).toBe("stack");
  });

  it("of more flows than are remembered is forgotten, the oldest first", () => {
    during(segment(ACK, 1, 10, 1));
    for (let port = 2; port <= 4097; port++) out(segment(ACK, 1, 10, port));
    causes.delivering(true);
    expect(out(segment(ACK, 11, 10, 1))).toBe("on ack");
  });

  it("leaves another trace what it wants to know", () => {
    const calls: string[] = [];
    const next: SyscallTrace = {
      enter: (_, nr) => calls.push(`enter ${nr}`),
      blocked: () => calls.push("blocked"),
      exit: (_, nr, result) => calls.push(`exit ${nr} ${result}`),
    };
    causes = new PacketCauses(next);
    causes.enter(CURL, SYS_sendto, sendto(5));
    causes.blocked(CURL);
    causes.exit(CURL, SYS_sendto, 3);
    expect(calls).toEqual([`enter ${SYS_sendto}`, "blocked", `exit ${SYS_sendto} 3`]);
  });
});
