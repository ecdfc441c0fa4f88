// Options of TCP whose values are structs, as a program sees them: lengths, places of fields, errors.

import { describe, expect, it } from "vitest";
import { EAGAIN, EINPROGRESS, EINVAL, ENOENT, EPERM } from "../../../abi/errno.ts";
import {
  AF_INET,
  SO_LINGER,
  SO_MEMINFO,
  SO_RCVBUF,
  SO_SNDBUF,
  SOL_SOCKET,
  SOMAXCONN,
} from "../../../abi/socket.ts";
import {
  SYS_accept4,
  SYS_bind,
  SYS_close,
  SYS_connect,
  SYS_getsockopt,
  SYS_listen,
  SYS_read,
  SYS_setsockopt,
  SYS_socket,
  SYS_write,
} from "../../../abi/syscall-numbers.ts";
import {
  TCP_CC_INFO,
  TCP_CONGESTION,
  TCP_DEFER_ACCEPT,
  TCP_DELACK_MAX_US,
  TCP_FASTOPEN,
  TCP_INFO,
  TCP_LINGER2,
  TCP_MAXSEG,
  TCP_MD5SIG,
  TCP_MD5SIG_BYTES,
  TCP_MD5SIG_EXT,
  TCP_MD5SIG_FLAG_IFINDEX,
  TCP_MD5SIG_FLAG_PREFIX,
  TCP_RTO_MAX_MS,
  TCP_RTO_MIN_US,
  TCP_SYNCNT,
  TCP_TIMESTAMP,
  TCP_TX_DELAY,
} from "../../../abi/tcp.ts";
import { setU16Le, setU32Le, u32Le } from "../../../base/bytes.ts";
import { SECOND } from "../../../base/clock.ts";
import type { Task } from "../../kernel/task.ts";
import {
  ADDR,
  BUFFER,
  LENGTH,
  LOCALHOST,
  OTHER,
  peek,
  poke,
  pokeInet,
  pokeText,
  SocketFixture,
} from "../../testing/socket-fixture.ts";

const SOL_TCP = 6;
const STREAM_NONBLOCK = 0x801;
const PORT = 8080;

class Sockets {
  readonly k = new SocketFixture();
  readonly t: Task = this.k.process();

  open(): number {
    return this.k.call(this.t, SYS_socket, AF_INET, STREAM_NONBLOCK, 0) as number;
  }
  listen(): number {
    const fd = this.open();
    expect(this.k.call(this.t, SYS_bind, fd, ADDR, pokeInet(this.t, LOCALHOST, PORT))).toBe(0);
    expect(this.k.call(this.t, SYS_listen, fd, 8)).toBe(0);
    return fd;
  }
  connect(fd: number): number | null {
    return this.k.call(this.t, SYS_connect, fd, ADDR, pokeInet(this.t, LOCALHOST, PORT));
  }
  /** [client, server]. */
  pair(): [number, number] {
    const listener = this.listen();
    const client = this.open();
    expect(this.connect(client)).toBe(-EINPROGRESS);
    return [client, this.k.call(this.t, SYS_accept4, listener, 0, 0, 0x800) as number];
  }
  set(fd: number, level: number, name: number, value: Uint8Array): number | null {
    poke(this.t, BUFFER, value);
    return this.k.call(this.t, SYS_setsockopt, fd, level, name, BUFFER, value.length);
  }
  setInt(fd: number, level: number, name: number, value: number): number | null {
    const bytes = new Uint8Array(4);
    setU32Le(bytes, 0, value);
    return this.set(fd, level, name, bytes);
  }
  /** What the kernel wrote, or -errno. */
  get(fd: number, level: number, name: number, room: number): Uint8Array | number {
    const { t } = this;
    const b = new Uint8Array(4);
    setU32Le(b, 0, room);
    poke(t, LENGTH, b);
    poke(t, OTHER, new Uint8Array(room).fill(0xee));
    const result = this.k.call(t, SYS_getsockopt, fd, level, name, OTHER, LENGTH) as number;
    return result < 0 ? result : peek(t, OTHER, u32Le(peek(t, LENGTH, 4), 0));
  }
  words(fd: number, level: number, name: number, room: number): number[] {
    const bytes = this.get(fd, level, name, room) as Uint8Array;
    return Array.from({ length: bytes.length / 4 }, (_, i) => u32Le(bytes, 4 * i));
  }
  write(fd: number, bytes: number): number | null {
    return this.k.call(this.t, SYS_write, fd, BUFFER, bytes);
  }
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe("TCP_INFO", () => {
  it("is as long as Linux 6.18's, and of a listener tells who waits and how many may", () => {
    const s = new Sockets();
    const listener = s.listen();
    expect(s.connect(s.open())).toBe(-EINPROGRESS);
    const info = s.get(listener, SOL_TCP, TCP_INFO, 400) as Uint8Array;
    expect(info).toHaveLength(280);
    expect([info[0], u32Le(info, 24), u32Le(info, 28)]).toEqual([10, 1, 8]);
    expect(s.get(listener, SOL_TCP, TCP_INFO, 100)).toHaveLength(100);
  });
});

describe("TCP_CC_INFO", () => {
  it("is empty for CUBIC and Reno", () => {
    const s = new Sockets();
    const [client] = s.pair();
    expect(s.get(client, SOL_TCP, TCP_CC_INFO, 64)).toHaveLength(0);
    expect(s.set(client, SOL_TCP, TCP_CONGESTION, ascii("reno"))).toBe(0);
    expect(s.get(client, SOL_TCP, TCP_CC_INFO, 64)).toHaveLength(0);
    expect(s.set(client, SOL_TCP, TCP_CONGESTION, ascii("none"))).toBe(-ENOENT);
  });

  it("is struct tcp_bbr_info for BBR, with the gains of its start in 256ths, cut to the room there is", () => {
    const s = new Sockets();
    const [client] = s.pair();
    expect(s.set(client, SOL_TCP, TCP_CONGESTION, ascii("bbr"))).toBe(0);
    const words = s.words(client, SOL_TCP, TCP_CC_INFO, 64);
    expect(words).toHaveLength(5);
    expect(words.slice(3)).toEqual([739, 739]);
    expect(s.get(client, SOL_TCP, TCP_CC_INFO, 12)).toHaveLength(12);
  });
});

describe("SO_MEMINFO", () => {
  it("counts what waits for the reader against the buffers that SO_RCVBUF and SO_SNDBUF tell of", () => {
    const s = new Sockets();
    const [client, server] = s.pair();
    const size = (fd: number, name: number): number => s.words(fd, SOL_SOCKET, name, 4)[0];
    expect(s.write(client, 5_000)).toBe(5_000);
    const [received, receiveBuffer, inFlight, sendBuffer, forward, queued, , backlog, drops] =
      s.words(server, SOL_SOCKET, SO_MEMINFO, 64);
    expect(received).toBe(5_000);
    expect(receiveBuffer).toBe(size(server, SO_RCVBUF));
    expect(sendBuffer).toBe(size(server, SO_SNDBUF));
    expect([inFlight, forward, queued, backlog, drops]).toEqual([0, 0, 0, 0, 0]);
    expect(s.k.call(s.t, SYS_read, server, BUFFER, 5_000)).toBe(5_000);
    expect(s.words(server, SOL_SOCKET, SO_MEMINFO, 36)[0]).toBe(0);
    expect(s.get(server, SOL_SOCKET, SO_MEMINFO, 10)).toHaveLength(10);
  });

  it("counts what the peer has no room for as queued, with its overhead", () => {
    const s = new Sockets();
    const [client] = s.pair();
    let written = 0;
    for (let n = 1; n > 0; written += n) n = Math.max(0, s.write(client, 16_384) as number);
    expect(s.write(client, 16_384)).toBe(-EAGAIN);
    const queued = s.words(client, SOL_SOCKET, SO_MEMINFO, 36)[5];
    expect(queued).toBeGreaterThan(0);
    expect(queued).toBeLessThanOrEqual(2 * written);
  });
});

interface Key {
  addr?: number;
  family?: number;
  flags?: number;
  prefixBits?: number;
  ifindex?: number;
  key: string;
}

/** struct tcp_md5sig. */
function md5sig(k: Key): Uint8Array {
  const b = new Uint8Array(TCP_MD5SIG_BYTES);
  setU16Le(b, 0, k.family ?? AF_INET);
  const addr = k.addr ?? LOCALHOST;
  b.set([addr >>> 24, (addr >> 16) & 255, (addr >> 8) & 255, addr & 255], 4);
  b[128] = k.flags ?? 0;
  b[129] = k.prefixBits ?? 0;
  setU16Le(b, 130, k.key.length);
  setU32Le(b, 132, k.ifindex ?? 0);
  b.set(ascii(k.key).subarray(0, 80), 136);
  return b;
}

describe("TCP_MD5SIG_EXT", () => {
  const LOOPBACK_NET = 0x7f00_0000;
  const prefix = (bits: number, key: string): Uint8Array =>
    md5sig({ addr: LOOPBACK_NET, flags: TCP_MD5SIG_FLAG_PREFIX, prefixBits: bits, key });

  it("has the number of Linux's header", () => {
    expect(TCP_MD5SIG_EXT).toBe(32);
  });

  it.each(["right", "wrong"])("a key for a network, and a client with the %s one", (theirs) => {
    const s = new Sockets();
    const listener = s.listen();
    expect(s.set(listener, SOL_TCP, TCP_MD5SIG_EXT, prefix(8, "right"))).toBe(0);
    const client = s.open();
    expect(s.set(client, SOL_TCP, TCP_MD5SIG, md5sig({ key: theirs }))).toBe(0);
    expect(s.connect(client)).toBe(-EINPROGRESS);
    s.k.clock.advanceNs(SECOND / 2);
    s.k.settle();
    const accepted = s.k.call(s.t, SYS_accept4, listener, 0, 0, 0x800) as number;
    if (theirs === "wrong") {
      expect(accepted).toBe(-EAGAIN);
      return;
    }
    pokeText(s.t, BUFFER, "signed");
    expect(s.write(client, 6)).toBe(6);
    expect(s.k.call(s.t, SYS_read, accepted, OTHER, 100)).toBe(6);
  });

  it("without the flag the prefix is not looked at; a prefix or interface that cannot be is refused", () => {
    const s = new Sockets();
    const fd = s.open();
    const set = (k: Partial<Key>, name = TCP_MD5SIG_EXT): number | null =>
      s.set(fd, SOL_TCP, name, md5sig({ key: "k", ...k }));
    expect(set({ prefixBits: 99 })).toBe(0);
    expect(set({ flags: TCP_MD5SIG_FLAG_PREFIX, prefixBits: 33 })).toBe(-EINVAL);
    expect(set({ flags: TCP_MD5SIG_FLAG_IFINDEX, ifindex: 1 })).toBe(-EINVAL);
    // TCP_MD5SIG knows no flags.
    expect(set({ flags: TCP_MD5SIG_FLAG_PREFIX, prefixBits: 33 }, TCP_MD5SIG)).toBe(0);
    expect(set({ family: 10 })).toBe(-EINVAL);
    expect(set({ key: "k".repeat(81) })).toBe(-EINVAL);
    expect(s.set(fd, SOL_TCP, TCP_MD5SIG_EXT, new Uint8Array(TCP_MD5SIG_BYTES - 1))).toBe(-EINVAL);
    // No key: taken away, which works once.
    expect(set({ key: "" })).toBe(0);
    expect(set({ key: "" })).toBe(-ENOENT);
  });
});

describe("TCP_RTO_MAX_MS, TCP_RTO_MIN_US, TCP_DELACK_MAX_US", () => {
  it.each([
    [TCP_RTO_MAX_MS, 44, 120_000, 1_000, 999, 120_001],
    [TCP_RTO_MIN_US, 45, 200_000, 2_000, 1_000, 200_001],
    [TCP_DELACK_MAX_US, 46, 200_000, 2_000, 1_000, 200_001],
  ])("%i is %i: bounded, and a child's as the listener's", (name, number, most, least, ...bad) => {
    expect(name).toBe(number);
    const s = new Sockets();
    const listener = s.listen();
    expect(s.words(listener, SOL_TCP, name, 4)).toEqual([most]);
    for (const value of [...bad, -1, 0x7fff_ffff]) {
      expect(s.setInt(listener, SOL_TCP, name, value)).toBe(-EINVAL);
    }
    expect(s.setInt(listener, SOL_TCP, name, least)).toBe(0);
    const client = s.open();
    s.connect(client);
    const child = s.k.call(s.t, SYS_accept4, listener, 0, 0, 0x800) as number;
    expect(s.words(child, SOL_TCP, name, 4)).toEqual([least]);
    expect(s.words(client, SOL_TCP, name, 4)).toEqual([most]);
  });
});

describe("TCP_TX_DELAY", () => {
  it("is below 2^28 us, and corrects the round trip of a connection", () => {
    const s = new Sockets();
    const [client] = s.pair();
    const rttUs = (): number => u32Le(s.get(client, SOL_TCP, TCP_INFO, 248) as Uint8Array, 68);
    const before = rttUs();
    for (const bad of [-1, 2 ** 28]) {
      expect(s.setInt(client, SOL_TCP, TCP_TX_DELAY, bad)).toBe(-EINVAL);
    }
    expect(s.setInt(client, SOL_TCP, TCP_TX_DELAY, 2 ** 28 - 1)).toBe(0);
    expect(s.setInt(client, SOL_TCP, TCP_TX_DELAY, 30_000)).toBe(0);
    expect(s.words(client, SOL_TCP, TCP_TX_DELAY, 4)).toEqual([30_000]);
    expect(rttUs()).toBe(before + 30_000);
  });
});

describe("options that do not read as they were set", () => {
  it.each([
    [TCP_DEFER_ACCEPT, 5, 7],
    [TCP_DEFER_ACCEPT, 128, 247],
    [TCP_DEFER_ACCEPT, 0x7fff_ffff, 29_887],
    [TCP_DEFER_ACCEPT, -1, 0],
    [TCP_FASTOPEN, 5_000, SOMAXCONN],
  ])("%i: %i is %i", (name, set, read) => {
    const s = new Sockets();
    const fd = s.open();
    expect(s.setInt(fd, SOL_TCP, name, set)).toBe(0);
    expect(s.words(fd, SOL_TCP, name, 4)).toEqual([read]);
  });
});

describe("TCP_TIMESTAMP", () => {
  it("is the clock of the connection's timestamps, in milliseconds", () => {
    const s = new Sockets();
    const [client] = s.pair();
    const [before] = s.words(client, SOL_TCP, TCP_TIMESTAMP, 4);
    s.k.clock.advanceNs(SECOND);
    const [after] = s.words(client, SOL_TCP, TCP_TIMESTAMP, 4);
    expect((after - before) | 0).toBe(1_000);
    expect(s.setInt(client, SOL_TCP, TCP_TIMESTAMP, 1)).toBe(-EPERM);
  });
});

describe("TCP_MAXSEG", () => {
  it("after the connection is what it was, and the user's wish before it", () => {
    const s = new Sockets();
    const [client, server] = s.pair();
    const mss = s.words(client, SOL_TCP, TCP_MAXSEG, 4);
    expect(mss[0]).toBeGreaterThan(1_000);
    expect(s.set(server, SOL_SOCKET, SO_LINGER, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))).toBe(0);
    expect(s.k.call(s.t, SYS_close, server)).toBe(0);
    s.k.settle();
    expect(s.words(client, SOL_TCP, TCP_INFO, 4)[0] & 0xff).toBe(7);
    expect(s.words(client, SOL_TCP, TCP_MAXSEG, 4)).toEqual(mss);
    expect(s.setInt(client, SOL_TCP, TCP_MAXSEG, 900)).toBe(0);
    expect(s.words(client, SOL_TCP, TCP_MAXSEG, 4)).toEqual([900]);
  });
});

describe("TCP_LINGER2", () => {
  it("is net.ipv4.tcp_fin_timeout until a program sets its own", () => {
    const s = new Sockets();
    const fd = s.open();
    s.k.stack.tcp.settings.finTimeoutNs = 20 * SECOND;
    expect(s.words(fd, SOL_TCP, TCP_LINGER2, 4)).toEqual([20]);
    expect(s.setInt(fd, SOL_TCP, TCP_LINGER2, 121)).toBe(0);
    expect(s.words(fd, SOL_TCP, TCP_LINGER2, 4)).toEqual([120]);
    expect(s.setInt(fd, SOL_TCP, TCP_LINGER2, -7)).toBe(0);
    expect(s.words(fd, SOL_TCP, TCP_LINGER2, 4)).toEqual([0xffff_ffff]);
  });
});

describe("TCP_SYNCNT", () => {
  it("is the sysctl's number until a program sets its own", () => {
    const s = new Sockets();
    const fd = s.open();
    const value = (): number[] => s.words(fd, SOL_TCP, TCP_SYNCNT, 4);
    expect(value()).toEqual([6]);
    expect(s.set(fd, SOL_TCP, TCP_SYNCNT, Uint8Array.of(3, 0, 0, 0))).toBe(0);
    expect(value()).toEqual([3]);
  });
});
