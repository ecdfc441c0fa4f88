import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  EACCES,
  EBUSY,
  EINVAL,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  EPERM,
  EROFS,
  ESTALE,
} from "../../abi/errno.ts";
import { setU16Le, setU32Le, u16Le, u32Le } from "../../base/bytes.ts";
import { close, read, sizeOf } from "../../host/libc.ts";
import { GoferClient } from "../client.ts";
import { OP_SETATTR, SET_MODE, SET_SIZE, type TreeConfig } from "../protocol.ts";
import { LocalGofer } from "./local-transport.ts";

let dir: string;
let outside: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gofer-tree-"));
  outside = mkdtempSync(join(tmpdir(), "gofer-outside-"));
  writeFileSync(join(outside, "secret"), "SECRET");
  writeFileSync(join(dir, "plain"), "hello");
  mkdirSync(join(dir, "sub/deep"), { recursive: true });
  writeFileSync(join(dir, "sub/deep/leaf"), "leaf");
  symlinkSync(join(outside, "secret"), join(dir, "out"));
  symlinkSync(outside, join(dir, "outdir"));
  symlinkSync("sub", join(dir, "inner"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
  rmSync(outside, { recursive: true, force: true });
});

interface Served {
  gofer: LocalGofer;
  client: GoferClient;
  root: number;
}

function serve(tree: Partial<TreeConfig> = {}, handles = 256): Served {
  const gofer = new LocalGofer(
    { trees: [{ id: 7, hostPath: dir, writable: false, ...tree }] },
    handles,
  );
  const client = new GoferClient(gofer);
  expect(client.hello()).toBe(1);
  expect(client.attach(7)).toBe(0);
  return { gofer, client, root: client.handle };
}

/** Walks; the handle of the last directory, or -errno. */
function walkTo({ client, root }: Served, ...names: string[]): number {
  const found = client.walk(root, names, 0);
  if (found < names.length) return found < 0 ? found : -client.stopErrno;
  return u32Le(client.replyBytes, client.walkOffset + (found - 1) * GoferClient.walkStride);
}
function textOf(fd: number): string {
  const bytes = new Uint8Array(64);
  const n = read(fd, bytes, 0, 64);
  close(fd);
  return String.fromCharCode(...bytes.subarray(0, n));
}

describe("a served tree", () => {
  it("walks several components at once and stops where a name is missing or is no directory", () => {
    const s = serve();
    expect(s.client.walk(s.root, ["sub", "deep", "leaf"], 0)).toBe(3);
    expect(s.client.walk(s.root, ["sub", "none", "leaf"], 0)).toBe(1);
    expect(s.client.stopErrno).toBe(ENOENT);
    expect(s.client.walk(s.root, ["plain", "x"], 0)).toBe(1);
    expect(s.client.stopErrno).toBe(ENOTDIR);
  });

  it("donates a descriptor of a regular file, which is close-on-exec and of that file", () => {
    const s = serve();
    const fd = s.client.open(s.root, "plain", 0);
    expect(sizeOf(fd)).toBe(5);
    expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe(join(dir, "plain"));
    expect(textOf(fd)).toBe("hello");
  });

  it("lists a directory in batches, with the attributes of every entry", () => {
    for (let i = 0; i < 1500; i++) writeFileSync(join(dir, `sub/file-${i}`), "");
    const s = serve();
    const handle = walkTo(s, "sub");
    const names = new Set<string>();
    let batches = 0;
    do {
      const r = s.client.readDir(handle, "", batches === 0, (name, at) => {
        names.add(name);
        expect(u16Le(s.client.replyBytes, at + 28) & 0o170000).not.toBe(0);
      });
      expect(r).toBeGreaterThanOrEqual(0);
      batches++;
    } while (!s.client.atEnd);
    expect(names.size).toBe(1501);
    expect(batches).toBeGreaterThan(1);
  });

  it("walks to a directory and lists it in one request", () => {
    const s = serve({ exclude: ["hidden"] });
    mkdirSync(join(dir, "hidden"));
    const names: string[] = [];
    expect(s.client.readDir(s.root, "sub", true, (name) => names.push(name))).toBe(1);
    expect(names).toEqual(["deep"]);
    expect(s.client.open(s.client.handle, "deep", 0)).toBe(-EACCES);
    expect(s.client.readDir(s.client.handle, "deep", true, (name) => names.push(name))).toBe(1);
    expect(textOf(s.client.open(s.client.handle, "leaf", 0))).toBe("leaf");
    for (const name of ["plain", "outdir"])
      expect(s.client.readDir(s.root, name, true, () => {})).toBe(-ENOTDIR);
    for (const name of ["hidden", "none"])
      expect(s.client.readDir(s.root, name, true, () => {})).toBe(-ENOENT);
    expect(s.client.readDir(s.root, "..", true, () => {})).toBe(-EINVAL);
  });

  it("can be one file", () => {
    const s = serve({ hostPath: join(dir, "plain") });
    expect(textOf(s.client.open(s.root, "", 0))).toBe("hello");
    expect(s.client.open(s.root, "sub", 0)).toBe(-ENOENT);
    expect(s.client.walk(s.root, ["out"], 0)).toBe(0);
    expect(s.client.readDir(s.root, "", true, () => {})).toBe(-ENOTDIR);
  });

  it("hides excluded names in look-ups, listings, opening and reading links", () => {
    mkdirSync(join(dir, "ssl/private"), { recursive: true });
    writeFileSync(join(dir, "ssl/private/key"), "k");
    writeFileSync(join(dir, "shadow-"), "x");
    writeFileSync(join(dir, "sub/deep/.netrc"), "x");
    const s = serve({ exclude: ["shadow*", "ssl/private", "**/.netrc", "out"] });
    expect(walkTo(s, "shadow-")).toBe(-ENOENT);
    expect(walkTo(s, "ssl", "private")).toBe(-ENOENT);
    expect(walkTo(s, "sub", "deep", ".netrc")).toBe(-ENOENT);
    expect(s.client.open(s.root, "shadow-", 0)).toBe(-ENOENT);
    expect(s.client.readlink(s.root, "out")).toBe(-ENOENT);
    const names: string[] = [];
    s.client.readDir(s.root, "", true, (name) => names.push(name));
    expect(names.sort()).toEqual(["inner", "outdir", "plain", "ssl", "sub"]);
  });

  it("shows of a public tree only what every user of the host may read", () => {
    chmodSync(join(dir, "plain"), 0o600);
    chmodSync(join(dir, "sub"), 0o750);
    const s = serve({ publicOnly: true });
    expect(walkTo(s, "plain")).toBe(-ENOENT);
    expect(walkTo(s, "sub")).toBe(-ENOENT);
    expect(walkTo(s, "inner")).toBe(0);
  });
});

describe("a hostile client", () => {
  it("cannot follow a link out, nor walk through one", () => {
    const s = serve();
    expect(s.client.open(s.root, "out", 0)).toBe(-EACCES);
    expect(walkTo(s, "outdir", "secret")).toBe(-ENOTDIR);
    expect(walkTo(s, "inner", "deep")).toBe(-ENOTDIR);
  });

  it("cannot name more than one component", () => {
    const s = serve();
    for (const name of ["..", ".", "", "/", "sub/deep", "../x", "a\0b", "/etc/passwd"]) {
      expect(walkTo(s, name)).toBe(-EINVAL);
      expect(s.client.open(s.root, name, 0)).toBe(-EINVAL);
    }
    expect(walkTo(s, "x".repeat(256))).toBe(-ENAMETOOLONG);
  });

  it("gets no device, FIFO, socket or directory opened, and does not make the gofer hang", () => {
    execFileSync("mkfifo", [join(dir, "fifo")]);
    const s = serve();
    expect(s.client.open(s.root, "fifo", 0)).toBe(-EACCES);
    expect(s.client.open(s.root, "sub", 0)).toBe(-EACCES);
    const dev = serve({ hostPath: "/dev" });
    expect(dev.client.open(dev.root, "null", 0)).toBe(-EACCES);
  });

  it("is kept out of the host's pseudo file systems, even when they are mounted in the tree", () => {
    const s = serve({ hostPath: "/" });
    expect(walkTo(s, "proc")).toBe(-EACCES);
    expect(() => serve({ hostPath: "/proc" })).toThrow(/cannot serve/);
  });

  it("uses up no more than its handles; old ones turn stale, the root's never", () => {
    for (let i = 0; i < 40; i++) mkdirSync(join(dir, `d${i}`));
    const s = serve({}, 16);
    const first = walkTo(s, "d0");
    for (let i = 1; i < 40; i++) expect(walkTo(s, `d${i}`)).toBeGreaterThan(0);
    expect(s.client.readDir(first, "", true, () => {})).toBe(-ESTALE);
    expect(walkTo(s, "sub")).toBeGreaterThan(0);
    expect(s.client.walk(0xffff_ffff, ["sub"], 0)).toBe(-ESTALE);
    expect(s.client.attach(8)).toBe(-ENOENT);
  });

  it("cannot change a tree that is served for reading", () => {
    const s = serve();
    expect(s.client.create(s.root, "new", 0o644, 0, 0)).toBe(-EROFS);
    expect(s.client.unlink(s.root, "plain", 0)).toBe(-EROFS);
    expect(s.client.open(s.root, "plain", 2)).toBe(-EROFS);
    expect(existsSync(join(dir, "new"))).toBe(false);
  });

  it("keeps a directory that was moved away, but gets nothing above it", () => {
    const s = serve();
    const deep = walkTo(s, "sub", "deep");
    renameSync(join(dir, "sub/deep"), join(outside, "moved"));
    expect(s.client.walk(deep, [".."], 0)).toBe(0);
    expect(s.client.walk(deep, ["secret"], 0)).toBe(0);
  });

  it("meets a link that took a file's place between two requests", () => {
    const s = serve();
    expect(walkTo(s, "plain")).toBe(0);
    rmSync(join(dir, "plain"));
    symlinkSync(join(outside, "secret"), join(dir, "plain"));
    expect([-EACCES, -ELOOP]).toContain(s.client.open(s.root, "plain", 0));
  });

  it("gets an answer to any bytes, and nothing but files of the tree", () => {
    const gofer = new LocalGofer({ trees: [{ id: 0, hostPath: dir, writable: true }] }, 32);
    const client = new GoferClient(gofer);
    client.attach(0);
    const { handle } = client;
    const request = new Uint8Array(65_536);
    const before = readFileSync(join(outside, "secret"), "utf8");
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20 }),
        fc.boolean(),
        fc.uint8Array({ maxLength: 80 }),
        fc.integer({ min: -20, max: 4 }),
        (op, known, body, lie) => {
          request.set(body, 16);
          const length = Math.max(0, 16 + body.length + (lie > 0 ? lie : 0));
          setU32Le(request, 0, lie < 0 ? length + lie : length);
          setU16Le(request, 4, op);
          setU32Le(request, 8, 1);
          setU32Le(request, 12, known ? handle : u32Le(body, 0));
          const n = gofer.call(request, length);
          expect(n).toBeGreaterThanOrEqual(16);
          expect(u32Le(gofer.reply, 0)).toBe(n);
          if (gofer.receivedFd >= 0) {
            expect(readlinkSync(`/proc/self/fd/${gofer.receivedFd}`).startsWith(dir)).toBe(true);
            close(gofer.receivedFd);
          }
        },
      ),
      { numRuns: 3000 },
    );
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe(before);
    expect(client.walk(handle, ["sub"], 0)).toBe(1);
  });
});

describe("a writable tree", () => {
  const change = { mask: 0, mode: 0, uid: 0, gid: 0, size: 0, atimeNs: 0, mtimeNs: 0 };

  it("makes, links, renames, truncates and removes", () => {
    const s = serve({ writable: true });
    close(s.client.create(s.root, "new", 0o640, 0, 0));
    expect(lstatSync(join(dir, "new")).mode & 0o7777).toBe(0o640 & ~process.umask());
    expect(s.client.mkdir(s.root, "d", 0o755, 0, 0)).toBe(0);
    const d = walkTo(s, "d");
    expect(s.client.symlink(d, "l", "../plain", 0, 0)).toBe(0);
    expect(s.client.readlink(d, "l")).toBe("../plain");
    expect(s.client.link(s.root, "plain", d, "hard")).toBe(0);
    expect(lstatSync(join(dir, "d/hard")).nlink).toBe(2);
    expect(s.client.rename(d, "hard", s.root, "moved", 0)).toBe(0);
    expect(s.client.setAttr(s.root, "moved", { ...change, mask: SET_SIZE, size: 2 })).toBe(0);
    expect(readFileSync(join(dir, "plain"), "utf8")).toBe("he");
    expect(s.client.unlink(s.root, "moved", 0)).toBe(0);
    expect(existsSync(join(dir, "moved"))).toBe(false);
  });

  it("never makes a set-user-id program on the host", () => {
    const s = serve({ writable: true });
    close(s.client.create(s.root, "evil", 0o6755, 0, 0));
    expect(lstatSync(join(dir, "evil")).mode & 0o6000).toBe(0);
    const r = s.client.setAttr(s.root, "evil", { ...change, mask: SET_MODE, mode: 0o4755 });
    expect(r).toBe(-EPERM);
  });

  it("does not touch what a link points at", () => {
    const s = serve({ writable: true });
    const size = { ...change, mask: SET_SIZE };
    expect(s.client.setAttr(s.root, "out", size)).toBe(-EINVAL);
    const mode = { ...change, mask: SET_MODE, mode: 0o777 };
    expect(s.client.setAttr(s.root, "out", mode)).toBeLessThan(0);
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("SECRET");
    expect(s.client.unlink(s.root, "out", 0)).toBe(0);
    expect(existsSync(join(outside, "secret"))).toBe(true);
  });

  it("does not let a directory above a hidden name be renamed, nor a hidden name be made", () => {
    mkdirSync(join(dir, "ssl/private"), { recursive: true });
    const s = serve({ writable: true, exclude: ["ssl/private", "shadow"] });
    expect(s.client.rename(s.root, "ssl", s.root, "tls", 0)).toBe(-EBUSY);
    close(s.client.create(s.root, "x", 0o644, 0, 0));
    expect(s.client.rename(s.root, "x", s.root, "shadow", 0)).toBe(-EPERM);
    expect(s.client.mkdir(s.root, "shadow", 0o755, 0, 0)).toBe(-EPERM);
    linkSync(join(dir, "plain"), join(dir, "again"));
    expect(s.client.link(s.root, "again", s.root, "shadow")).toBe(-EPERM);
  });

  it("answers a short SETATTR with an error", () => {
    const { gofer, root } = serve({ writable: true });
    const request = new Uint8Array(64);
    setU32Le(request, 0, 20);
    setU16Le(request, 4, OP_SETATTR);
    setU32Le(request, 12, root);
    gofer.call(request, 20);
    expect(u32Le(gofer.reply, 12) | 0).toBeLessThan(0);
  });
});
