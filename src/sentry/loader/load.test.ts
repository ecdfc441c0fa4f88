// Loading: real ELF layouts, hostile headers, scripts, and the first stack as the program finds it.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as auxv from "../../abi/auxv.ts";
import { E2BIG, EINVAL, ELIBBAD, ELOOP, ENOENT, ENOEXEC } from "../../abi/errno.ts";
import { putByteString, setU16Le, setU32Le, setU64Le } from "../../base/bytes.ts";
import { Credentials } from "../kernel/credentials.ts";
import type { Task } from "../kernel/task.ts";
import type { Mappable } from "../mm/mappable.ts";
import { MemoryFixture, type TestFile } from "../testing/memory-fixture.ts";
import { FileDescription } from "../vfs/file-description.ts";
import type { Io } from "../vfs/io.ts";
import { type LoadedProgram, load } from "./load.ts";
import { parseScript } from "./script.ts";

const PAGE = 4096;

class ProgramFile extends FileDescription {
  readonly #file: TestFile;
  constructor(file: TestFile) {
    super(0);
    this.#file = file;
  }
  override pread(_t: Task, io: Io, offset: number): number {
    const file = this.#file;
    const n = Math.min(io.remaining, file.size - offset);
    return n <= 0 ? 0 : io.copyOut(file.bytes, offset, n);
  }
  override mappable(): Mappable {
    return this.#file;
  }
  stat(): number {
    return 0;
  }
  release(): void {}
  describe(): string {
    return "program";
  }
}

interface Load {
  flags: number;
  offset: number;
  vaddr: number;
  fileBytes: number;
  memoryBytes: number;
}

interface ElfOptions {
  type: number;
  entry: number;
  loads: Load[];
  interpreter?: string;
  bytes: number;
}

/** An ELF file: headers, the interpreter's name at 0x300, and byte i % 251 elsewhere. */
function elf(options: ElfOptions): Uint8Array {
  const bytes = new Uint8Array(options.bytes);
  for (let i = 0x400; i < bytes.length; i++) bytes[i] = i % 251;
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  setU16Le(bytes, 16, options.type);
  setU16Le(bytes, 18, 62);
  setU64Le(bytes, 24, options.entry);
  setU64Le(bytes, 32, 64);
  setU16Le(bytes, 54, 56);
  let phnum = 0;
  const header = (type: number, l: Load): void => {
    const at = 64 + 56 * phnum++;
    setU32Le(bytes, at, type);
    setU32Le(bytes, at + 4, l.flags);
    setU64Le(bytes, at + 8, l.offset);
    setU64Le(bytes, at + 16, l.vaddr);
    setU64Le(bytes, at + 32, l.fileBytes);
    setU64Le(bytes, at + 40, l.memoryBytes);
    setU64Le(bytes, at + 48, PAGE);
  };
  const name = options.interpreter;
  if (name !== undefined) {
    putByteString(bytes, 0x300, name);
    bytes[0x300 + name.length] = 0;
    const fileBytes = name.length + 1;
    header(3, { flags: 4, offset: 0x300, vaddr: 0x300, fileBytes, memoryBytes: fileBytes });
  }
  for (const l of options.loads) header(1, l);
  setU16Le(bytes, 56, phnum);
  return bytes;
}

/** Text at 0, data at page 2 with a bss that starts within it and goes on for two pages. */
const LOADS: Load[] = [
  { flags: 5, offset: 0, vaddr: 0, fileBytes: 0x1800, memoryBytes: 0x1800 },
  { flags: 6, offset: 0x2100, vaddr: 0x3100, fileBytes: 0x200, memoryBytes: 0x2800 },
];

class Loading {
  readonly fixture = new MemoryFixture();
  readonly files = new Map<string, ProgramFile>();
  #fd = 50;

  add(path: string, bytes: Uint8Array): void {
    this.files.set(path, new ProgramFile(this.fixture.file(this.#fd++, bytes)));
  }
  run(path: string, argv: string[] = [path], envp: string[] = []): LoadedProgram | number {
    const file = this.files.get(path);
    if (file === undefined) return -ENOENT;
    return load({
      kernel: this.fixture.deps,
      task: null as unknown as Task,
      file,
      path,
      openInterpreter: (name) => {
        const found = this.files.get(name);
        found?.incRef();
        return found ?? -ENOENT;
      },
      argv,
      envp,
      creds: new Credentials({ uid: 1000, gid: 100 }),
      secure: false,
      rlimits: this.fixture.rlimits,
      randomize: true,
    });
  }
  loaded(path: string, argv?: string[], envp?: string[]): LoadedProgram {
    const program = this.run(path, argv, envp);
    if (typeof program === "number") throw new Error(`load failed: ${program}`);
    return program;
  }
}

function readStack({ mm, stackPointer }: LoadedProgram): {
  argv: string[];
  envp: string[];
  aux: Map<number, number>;
} {
  let at = stackPointer;
  const word = (): number => mm.readU64((at += 8) - 8);
  const strings = (): string[] => {
    const list: string[] = [];
    for (let p = word(); p !== 0; p = word()) list.push(String(mm.copyInString(p, 1 << 20)));
    return list;
  };
  const argc = word();
  const argv = strings();
  expect(argv.length).toBe(argc);
  const envp = strings();
  const aux = new Map<number, number>();
  for (let type = word(); type !== 0; type = word()) aux.set(type, word());
  return { argv, envp, aux };
}

describe("load", () => {
  it("maps a position-independent program with its dynamic linker", () => {
    const l = new Loading();
    l.add(
      "/bin/x",
      elf({ type: 3, entry: 0x500, loads: LOADS, interpreter: "/ld.so", bytes: 0x2300 }),
    );
    l.add("/ld.so", elf({ type: 3, entry: 0x600, loads: LOADS, bytes: 0x2300 }));
    const program = l.loaded("/bin/x", ["x", "a b", ""], ["HOME=/", "\xff="]);
    const { mm, stackPointer } = program;
    expect(stackPointer % 16).toBe(0);
    const { argv, envp, aux } = readStack(program);
    expect(argv).toEqual(["x", "a b", ""]);
    expect(envp).toEqual(["HOME=/", "\xff="]);
    const base = aux.get(auxv.AT_BASE) as number;
    const bias = (aux.get(auxv.AT_ENTRY) as number) - 0x500;
    expect(program.entry).toBe(base + 0x600);
    expect(bias % PAGE).toBe(0);
    expect(aux.get(auxv.AT_PHDR)).toBe(bias + 64);
    expect(aux.get(auxv.AT_PHNUM)).toBe(3);
    expect(aux.get(auxv.AT_UID)).toBe(1000);
    expect(aux.get(auxv.AT_EGID)).toBe(100);
    expect(mm.copyInString(aux.get(auxv.AT_EXECFN) as number, 99)).toBe("/bin/x");
    expect(mm.copyInString(aux.get(auxv.AT_PLATFORM) as number, 99)).toBe("x86_64");
    expect(program.name).toBe("x");
    // File bytes, then zeros to the end of the bss; nothing may be written to the text.
    expect(mm.readU8(bias + 0x3100)).toBe(0x2100 % 251);
    expect(mm.readU8(bias + 0x32ff)).toBe(0x22ff % 251);
    for (const at of [0x3300, 0x3fff, 0x4000, 0x58ff]) expect(mm.readU8(bias + at)).toBe(0);
    expect(mm.writeU8(bias + 0x500, 1)).toBeLessThan(0);
    expect(l.fixture.platform.fetch(mm, bias + 0x500)).toBe(0x500 % 251);
    expect(mm.brkStart).toBeGreaterThanOrEqual(bias + 0x6000);
    // The stack is the program's to write, far below its first contents too.
    expect(l.fixture.platform.store(mm, stackPointer - 1024 * 1024, 1)).toBe(0);
    mm.decRef();
    expect(l.fixture.memoryFile.allocatedBytes).toBe(0);
  });

  it("loads static programs where they say, and static PIE anywhere", () => {
    const l = new Loading();
    const fixed = LOADS.map((load) => ({ ...load, vaddr: load.vaddr + 0x400000 }));
    l.add("/static", elf({ type: 2, entry: 0x400500, loads: fixed, bytes: 0x2300 }));
    l.add("/pie", elf({ type: 3, entry: 0x500, loads: LOADS, bytes: 0x2300 }));
    const program = l.loaded("/static");
    expect(program.entry).toBe(0x400500);
    expect(program.mm.readU8(0x403100)).toBe(0x2100 % 251);
    expect(readStack(program).aux.get(auxv.AT_BASE)).toBe(0);
    expect(l.loaded("/pie").entry).not.toBe(l.loaded("/pie").entry);
  });

  it("follows scripts, passing one argument and the script's name", () => {
    const l = new Loading();
    l.add("/bin/sh", elf({ type: 3, entry: 0x500, loads: LOADS, bytes: 0x2300 }));
    const text = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));
    l.add("/s1", text("#! /bin/sh  -e x \necho"));
    l.add("/s2", text("#!/s1\n"));
    l.add("/loop", text("#!/loop\n"));
    l.add("/none", text("#!/nowhere\n"));
    const program = l.loaded("/s2", ["orig", "1", "2"]);
    expect(readStack(program).argv).toEqual(["/bin/sh", "-e x", "/s1", "/s2", "1", "2"]);
    expect(program.name).toBe("s2");
    expect(program.mm.copyInString(readStack(program).aux.get(31) as number, 99)).toBe("/s2");
    expect(l.run("/loop")).toBe(-ELOOP);
    expect(l.run("/none")).toBe(-ENOENT);
    for (const file of l.files.values()) expect(file.refs).toBe(1);
  });

  it("refuses arguments beyond Linux's limits", () => {
    const l = new Loading();
    l.add("/x", elf({ type: 3, entry: 0x500, loads: LOADS, bytes: 0x2300 }));
    expect(l.run("/x", ["x".repeat(131_072)])).toBe(-E2BIG);
    expect(typeof l.run("/x", ["x".repeat(131_071)])).toBe("object");
    expect(l.run("/x", new Array(100).fill("y".repeat(21_000)))).toBe(-E2BIG);
    expect(typeof l.run("/x", new Array(90).fill("y".repeat(21_000)))).toBe("object");
  });

  it("refuses what is not a program for this machine", () => {
    const good = (): Uint8Array => elf({ type: 3, entry: 0x500, loads: LOADS, bytes: 0x2300 });
    const cases: [(b: Uint8Array) => Uint8Array | void, number][] = [
      [() => new Uint8Array(0), ENOEXEC],
      [(b) => b.subarray(0, 63), ENOEXEC],
      [(b) => b.subarray(0, 100), ENOEXEC],
      [(b) => b.fill(1, 4, 5), ENOEXEC],
      [(b) => void setU16Le(b, 18, 183), ENOEXEC],
      [(b) => void setU16Le(b, 16, 1), ENOEXEC],
      [(b) => void setU16Le(b, 54, 32), ENOEXEC],
      [(b) => void setU16Le(b, 56, 0), ENOEXEC],
      [(b) => void setU16Le(b, 56, 65535), ENOEXEC],
      [(b) => void setU64Le(b, 32, 2 ** 63), EINVAL],
      // File larger than memory; past the end of addresses; offset and address that disagree.
      [(b) => void setU64Le(b, 64 + 40, 0x10), EINVAL],
      [(b) => void setU64Le(b, 64 + 40, 2 ** 47), EINVAL],
      [(b) => void setU64Le(b, 64 + 16, 0x10), EINVAL],
    ];
    for (const [change, errno] of cases) {
      const l = new Loading();
      const bytes = good();
      l.add("/x", change(bytes) ?? bytes);
      expect(l.run("/x")).toBe(-errno);
    }
    const l = new Loading();
    l.add("/x", elf({ type: 3, entry: 0, loads: LOADS, interpreter: "/ld.so", bytes: 0x2300 }));
    expect(l.run("/x")).toBe(-ENOENT);
    l.add("/ld.so", new Uint8Array(4096));
    expect(l.run("/x")).toBe(-ELIBBAD);
  });

  it("survives any headers, and gives everything back", () => {
    const byte = fc.record({ at: fc.integer({ min: 0, max: 400 }), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(byte, { minLength: 1, maxLength: 12 }), (changes) => {
        const l = new Loading();
        const bytes = elf({
          type: 3,
          entry: 0x500,
          loads: LOADS,
          interpreter: "/ld",
          bytes: 0x2300,
        });
        for (const { at, value } of changes) bytes[at] = value;
        l.add("/x", bytes);
        l.add("/ld", bytes);
        const program = l.run("/x");
        if (typeof program === "object") program.mm.decRef();
        else expect(program).toBeLessThan(0);
        expect(l.fixture.memoryFile.allocatedBytes).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});

describe("parseScript", () => {
  const parse = (s: string): unknown => parseScript(Uint8Array.from(s, (c) => c.charCodeAt(0)));
  it("takes Linux's view of odd first lines", () => {
    expect(parse("#!/bin/sh")).toEqual({ interpreter: "/bin/sh", argument: null });
    expect(parse("#!\t /bin/sh \t\n")).toEqual({ interpreter: "/bin/sh", argument: null });
    expect(parse("#!/a b  c \n")).toEqual({ interpreter: "/a", argument: "b  c" });
    expect(parse("#!   \n/bin/sh")).toBe(null);
    expect(parse("#!")).toBe(null);
    expect(parse(`#!/${"x".repeat(300)}`)).toBe(null);
    expect(parse(`#!/bin/x ${"y".repeat(300)}`)).toEqual({
      interpreter: "/bin/x",
      argument: "y".repeat(255 - 9),
    });
  });
});
