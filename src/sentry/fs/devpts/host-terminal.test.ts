import { describe, expect, it } from "vitest";
import { POLLIN, POLLOUT } from "../../../abi/poll.ts";
import { ManualClock } from "../../../base/clock.ts";
import type { HostFiles, HostPoller } from "../../host.ts";
import { HostTerminal } from "./host-terminal.ts";
import { Pty } from "./pty.ts";

const KEYBOARD = 10;
const SCREEN = 11;

/** A terminal of the host: keys go in with type(), the screen takes `screenRoom` bytes. */
class FakeTerminal implements HostPoller {
  shown = "";
  screenRoom = 1_000_000;
  closed: number[] = [];
  #keys = "";
  readonly #watched = new Map<number, (ready: number) => void>();

  readonly files = {
    read: (_fd: number, dst: Uint8Array, offset: number, length: number): number => {
      const n = Math.min(length, this.#keys.length);
      for (let i = 0; i < n; i++) dst[offset + i] = this.#keys.charCodeAt(i);
      this.#keys = this.#keys.slice(n);
      return n;
    },
    write: (_fd: number, src: Uint8Array, offset: number, length: number): number => {
      const n = Math.min(length, this.screenRoom);
      this.shown += String.fromCharCode(...src.subarray(offset, offset + n));
      this.screenRoom -= n;
      return n;
    },
    poll: (_fd: number, mask: number): number => (this.screenRoom > 0 ? mask & POLLOUT : 0),
    close: (fd: number): void => {
      this.closed.push(fd);
    },
  } as unknown as HostFiles;

  watch(fd: number, _mask: number, handler: (ready: number) => void): void {
    expect(this.#watched.has(fd)).toBe(false);
    this.#watched.set(fd, handler);
  }
  modify(): void {}
  unwatch(fd: number): void {
    expect(this.#watched.delete(fd)).toBe(true);
  }
  isWatched(fd: number): boolean {
    return this.#watched.has(fd);
  }
  /** Types for as long as somebody watches the keyboard. */
  type(keys: string): void {
    this.#keys += keys;
    while (this.#keys !== "" && this.isWatched(KEYBOARD)) this.#watched.get(KEYBOARD)?.(POLLIN);
  }
  drain(room: number): void {
    this.screenRoom = room;
    this.#watched.get(SCREEN)?.(POLLOUT);
  }
}

function connect() {
  const host = new FakeTerminal();
  const pty = new Pty(0, 0, 5, new ManualClock(), () => {});
  const terminal = new HostTerminal(pty, KEYBOARD, SCREEN, host.files, host);
  pty.openSlave();
  return { host, pty, terminal };
}
const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe("the monitor's terminal", () => {
  it("types each byte once although its echo comes back at once", () => {
    const { host, pty } = connect();
    host.type("abc\x7fd\r");
    const line = new Uint8Array(20);
    expect(pty.line.take(line, 0, 20)).toBe(4);
    expect(String.fromCharCode(...line.subarray(0, 4))).toBe("abd\n");
    expect(host.shown).toBe("abc\b \bd\r\n");
  });

  it("watches the screen only while it is behind", () => {
    const { host, pty } = connect();
    host.screenRoom = 3;
    pty.line.write(bytes("hello"), 0, 5);
    expect(host.shown).toBe("hel");
    expect(host.isWatched(SCREEN)).toBe(true);
    host.drain(100);
    expect(host.shown).toBe("hello");
    expect(host.isWatched(SCREEN)).toBe(false);
  });

  it("leaves keys with the host while nobody reads them, and goes on afterwards", () => {
    const { host, pty } = connect();
    const settings = pty.line.settings.bytes.slice();
    settings[12] &= ~(2 | 8);
    pty.line.setTermios(settings, 36);
    host.type("x".repeat(10_000));
    expect(host.isWatched(KEYBOARD)).toBe(false);
    const into = new Uint8Array(4096);
    let total = 0;
    for (let n = 1; n > 0; total += n) {
      n = pty.line.take(into, 0, 4096);
      pty.masterWaiters.notify(POLLOUT);
      host.type("");
    }
    expect(total).toBe(10_000);
  });

  it("shows what was printed last before it closes", () => {
    const { host, pty, terminal } = connect();
    host.screenRoom = 2;
    pty.line.write(bytes("bye"), 0, 3);
    terminal.close();
    expect(host.closed).toEqual([]);
    host.drain(100);
    expect(host.shown).toBe("bye");
    expect(host.closed).toEqual([KEYBOARD, SCREEN]);
    expect(pty.isHungUp).toBe(true);
  });
});
