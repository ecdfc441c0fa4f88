import { expect, it } from "vitest";
import { AT_FDCWD } from "../../abi/fcntl.ts";
import * as nr from "../../abi/syscall-numbers.ts";
import { KernelFixture, USER_BASE } from "../testing/kernel-fixture.ts";
import { Strace } from "./strace.ts";
import { SYSCALL_SIGNATURES } from "./strace-calls.ts";

const TEXT = USER_BASE + 0x100;

function traced() {
  const f = new KernelFixture();
  const lines: string[] = [];
  f.kernel.trace = new Strace((line) => lines.push(line));
  const t = f.process();
  const put = (addr: number, text: string) => {
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    t.mm.copyOut(addr, bytes, 0, bytes.length);
  };
  return { f, lines, t, put };
}

it("shows paths, escaped, and the name of the error", () => {
  const { f, lines, t, put } = traced();
  put(TEXT, 'a"\n\0');
  f.call(t, nr.SYS_mkdirat, -5, TEXT, 0o755);
  f.call(t, nr.SYS_sethostname, TEXT, 3);
  f.call(t, nr.SYS_openat, AT_FDCWD, 0, 0x8000, 0);
  expect(lines).toEqual([
    `${t.tid} mkdirat(-5, "a\\"\\n", 0755) = -1 EBADF`,
    `${t.tid} sethostname("a\\"\\n", 3) = 0`,
    `${t.tid} openat(AT_FDCWD, NULL, 0x8000, 0) = -1 EFAULT`,
  ]);
});

it("shows what was read when the call is over, and a sleep in two lines", () => {
  const { f, lines, t } = traced();
  const fd = f.call(t, nr.SYS_eventfd2, 5, 0) as number;
  f.call(t, nr.SYS_read, fd, TEXT, 8);
  expect(f.call(t, nr.SYS_read, fd, TEXT, 8)).toBeNull();
  expect(lines.slice(0, 3)).toEqual([
    `${t.tid} eventfd2(5, 0) = 0`,
    `${t.tid} read(0, "\\005\\000\\000\\000\\000\\000\\000\\000", 8) = 8`,
    `${t.tid} read(0 <unfinished ...>`,
  ]);
});

it("knows every call by a name of the table", () => {
  const names = new Set(Object.values(nr.SYSCALL_NAMES));
  for (const name of SYSCALL_SIGNATURES.keys()) expect(names, name).toContain(name);
});
