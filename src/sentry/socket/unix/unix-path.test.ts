// Unix sockets bound in the file system.

import { describe, expect, it } from "vitest";
import { EACCES, EADDRINUSE, ECONNREFUSED, ENOENT } from "../../../abi/errno.ts";
import {
  SYS_accept,
  SYS_bind,
  SYS_close,
  SYS_connect,
  SYS_getsockname,
  SYS_listen,
  SYS_mknod,
  SYS_socket,
  SYS_unlink,
} from "../../../abi/syscall-numbers.ts";
import { BUFFER, FileFixture } from "../../testing/file-fixture.ts";
import { ADDR, LENGTH, peekText, peekU32, poke, pokeUnix } from "../../testing/socket-fixture.ts";

const STREAM = 1;

describe("unix sockets with a path", () => {
  it("bind makes an inode; connect finds the listener through it, until it is gone", () => {
    const f = new FileFixture();
    const t = f.user();
    const listener = f.call(t, SYS_socket, 1, STREAM, 0) as number;
    const n = pokeUnix(t, "/box.sock");
    expect(f.call(t, SYS_bind, listener, ADDR, n)).toBe(0);
    const again = f.call(t, SYS_socket, 1, STREAM, 0) as number;
    expect(f.call(t, SYS_bind, again, ADDR, n)).toBe(-EADDRINUSE);
    const client = f.call(t, SYS_socket, 1, STREAM, 0) as number;
    expect(f.call(t, SYS_connect, client, ADDR, n)).toBe(-ECONNREFUSED);
    expect(f.call(t, SYS_listen, listener, 5)).toBe(0);
    expect(f.call(t, SYS_connect, client, ADDR, n)).toBe(0);
    expect(f.call(t, SYS_accept, listener, 0, 0)).toBeGreaterThan(0);
    poke(t, LENGTH, Uint8Array.of(110, 0, 0, 0));
    expect(f.call(t, SYS_getsockname, listener, BUFFER, LENGTH)).toBe(0);
    expect(peekU32(t, LENGTH)).toBe(2 + "/box.sock".length + 1);
    expect(peekText(t, BUFFER + 2, 10)).toBe("/box.sock\0");
    f.call(t, SYS_close, listener);
    expect(f.call(t, SYS_connect, again, ADDR, n)).toBe(-ECONNREFUSED);
    expect(f.sys(t, SYS_unlink, "/box.sock")).toBe(0);
    expect(f.call(t, SYS_connect, again, ADDR, n)).toBe(-ENOENT);
  });

  it("needs write permission, and a socket at the end of the path", () => {
    const f = new FileFixture();
    const root = f.user();
    const listener = f.call(root, SYS_socket, 1, STREAM, 0) as number;
    const n = pokeUnix(root, "/s");
    root.fs.umask = 0o077;
    f.call(root, SYS_bind, listener, ADDR, n);
    f.call(root, SYS_listen, listener, 5);
    const user = f.user(1000);
    const s = f.call(user, SYS_socket, 1, STREAM, 0) as number;
    pokeUnix(user, "/s");
    expect(f.call(user, SYS_connect, s, ADDR, n)).toBe(-EACCES);
    expect(f.sys(root, SYS_mknod, "/f", 0o100666, 0)).toBe(0);
    pokeUnix(root, "/f");
    const c = f.call(root, SYS_socket, 1, STREAM, 0) as number;
    expect(f.call(root, SYS_connect, c, ADDR, n)).toBe(-ECONNREFUSED);
  });
});
