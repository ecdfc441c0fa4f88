import { beforeEach, describe, expect, it } from "vitest";
import { EAGAIN, EINVAL } from "../../../abi/errno.ts";
import { O_CREAT, O_WRONLY } from "../../../abi/fcntl.ts";
import {
  IN_ALL_EVENTS,
  IN_ATTRIB,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_IGNORED,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_NONBLOCK,
  IN_OPEN,
} from "../../../abi/inotify.ts";
import {
  SYS_close,
  SYS_inotify_add_watch,
  SYS_inotify_init1,
  SYS_inotify_rm_watch,
  SYS_link,
  SYS_mkdir,
  SYS_open,
  SYS_read,
  SYS_rename,
  SYS_rmdir,
  SYS_unlink,
  SYS_write,
} from "../../../abi/syscall-numbers.ts";
import { u32Le } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import { BUFFER, FileFixture } from "../../testing/file-fixture.ts";

describe("inotify", () => {
  let f: FileFixture;
  let t: Task;
  let fd = -1;
  beforeEach(() => {
    f = new FileFixture();
    t = f.user();
    f.sys(t, SYS_mkdir, "/d", 0o755);
    fd = f.sys(t, SYS_inotify_init1, IN_NONBLOCK) ?? -1;
  });
  const watch = (path: string, mask: number): number =>
    f.sys(t, SYS_inotify_add_watch, fd, path, mask) ?? -1;
  /** Everything queued, as [mask, name]. */
  const events = (): [number, string][] => {
    const n = f.sys(t, SYS_read, fd, BUFFER, 4096) ?? -1;
    if (n === -EAGAIN) return [];
    const raw = Uint8Array.from(f.peek(t, n), (c) => c.charCodeAt(0));
    const list: [number, string][] = [];
    for (let at = 0; at < n; at += 16 + u32Le(raw, at + 12)) {
      const name = String.fromCharCode(...raw.subarray(at + 16, at + 16 + u32Le(raw, at + 12)));
      list.push([u32Le(raw, at + 4), name.replace(/\0+$/, "")]);
    }
    return list;
  };

  it("tells a directory's watcher what happens in it", () => {
    expect(watch("/d", IN_ALL_EVENTS)).toBe(1);
    const file = f.sys(t, SYS_open, "/d/f", O_CREAT | O_WRONLY, 0o600) ?? -1;
    f.sys(t, SYS_write, file, f.poke(t, "x"), 1);
    f.sys(t, SYS_write, file, f.poke(t, "x"), 1);
    f.sys(t, SYS_close, file);
    f.sys(t, SYS_rename, "/d/f", "/d/g");
    f.sys(t, SYS_unlink, "/d/g");
    f.sys(t, SYS_mkdir, "/d/sub", 0o755);
    expect(events()).toEqual([
      [IN_CREATE, "f"],
      [IN_OPEN, "f"],
      [IN_MODIFY, "f"],
      [IN_CLOSE_WRITE, "f"],
      [IN_MOVED_FROM, "f"],
      [IN_MOVED_TO, "g"],
      [IN_DELETE, "g"],
      [IN_CREATE | IN_ISDIR, "sub"],
    ]);
  });

  it("ends a watch when its file is deleted, and not before the last link goes", () => {
    f.sys(t, SYS_close, f.sys(t, SYS_open, "/d/f", O_CREAT | O_WRONLY, 0o600) ?? -1);
    f.sys(t, SYS_link, "/d/f", "/d/g");
    watch("/d/f", IN_DELETE_SELF | IN_ATTRIB);
    f.sys(t, SYS_unlink, "/d/f");
    expect(events()).toEqual([[IN_ATTRIB, ""]]);
    f.sys(t, SYS_unlink, "/d/g");
    expect(events()).toEqual([
      [IN_DELETE_SELF, ""],
      [IN_IGNORED, ""],
    ]);
  });

  it("drops watches on request", () => {
    const wd = watch("/d", IN_DELETE_SELF);
    expect(f.sys(t, SYS_inotify_rm_watch, fd, wd)).toBe(0);
    expect(f.sys(t, SYS_inotify_rm_watch, fd, wd)).toBe(-EINVAL);
    f.sys(t, SYS_rmdir, "/d");
    expect(events()).toEqual([[IN_IGNORED, ""]]);
  });
});
