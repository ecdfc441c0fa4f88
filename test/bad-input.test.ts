// What a user can get wrong, and files that lie: one clear sentence, the right status, nothing left behind.

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cell, netcell } from "./support/cell.ts";
import { missing } from "./support/needs.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "netcell-bad-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** One sentence that begins with our name. */
const SENTENCE = /^netcell: [^\n]+\n$/;

function file(name: string, content: string | Uint8Array, mode = 0o755): string {
  writeFileSync(join(dir, name), content);
  chmodSync(join(dir, name), mode);
  return `./${name}`;
}

describe("programs that are none", () => {
  const elf = () => readFileSync("/bin/true");

  it.each<[string, () => string, number]>([
    ["text without #!", () => file("text", "hello\n"), 126],
    ["an empty file", () => file("empty", ""), 126],
    ["a truncated ELF", () => file("cut", elf().subarray(0, 40)), 126],
    ["an ELF cut in its program headers", () => file("cut2", elf().subarray(0, 100)), 126],
    ["a file without permission", () => file("noexec", elf(), 0o644), 126],
    ["a directory", () => ".", 126],
    ["an interpreter that is missing", () => file("noint", "#!/no/such/interpreter\n"), 127],
    ["a missing file", () => "./nothing", 127],
  ])("%s", async (_, make, status) => {
    const r = await cell([make()], [], { cwd: dir });
    expect(r.stderr).toMatch(SENTENCE);
    expect(r.status).toBe(status);
  });

  it("survives absurd ELF headers", async () => {
    const good = elf();
    for (let round = 0; round < 12; round++) {
      const bad = Buffer.from(good);
      // Program headers start at 64: wild offsets, sizes, addresses and counts, one at a time.
      if (round < 6)
        bad.writeBigUInt64LE(0xffff_ffff_ffff_f000n, 64 + 56 * 2 + 8 * (1 + (round % 6)));
      else if (round < 8) bad.writeUInt16LE(0xffff, 56);
      else if (round < 10) bad.writeBigUInt64LE(0x7fff_ffff_ffff_ffffn, 32);
      else bad.writeBigUInt64LE(0xffff_8000_0000_0000n, 24);
      const r = await cell([file(`absurd${round}`, bad)], ["--timeout", "10s"], { cwd: dir });
      // Some fields are nobody's business (p_paddr): then it runs. What must not happen is 124 or 125.
      expect([0, 126, 127, 132, 135, 139]).toContain(r.status);
    }
  });
});

describe("options that make no sense", () => {
  it.each<[string, string[]]>([
    ["unknown flag", ["run", "--frobnicate", "true"]],
    ["no program", ["run"]],
    ["unknown verb", ["dance"]],
    ["rootfs that does not exist", ["run", "--rootfs", "/no/such/dir", "true"]],
    ["rootfs that is a file", ["run", "--rootfs", "/etc/passwd", "true"]],
    ["malformed rule", ["run", "--allow", "tcp:exa mple:99999", "true"]],
    ["rule with a bad port", ["run", "--allow", "example.com:0", "true"]],
    ["malformed address", ["run", "--ip", "10.0.2.999/24", "true"]],
    ["unknown network", ["run", "--net", "carrier-pigeon", "true"]],
    ["bad size", ["run", "--memory", "lots", "true"]],
    ["bad duration", ["run", "--timeout", "soon", "true"]],
    ["bad bind", ["run", "--bind", "/usr", "true"]],
    ["bind of nothing", ["run", "--bind", "/no/such:/x", "true"]],
    ["bad user", ["run", "--user", "root", "true"]],
    ["bad publish", ["run", "--publish", "eighty", "true"]],
    ["pcap into nowhere", ["run", "--pcap", "/no/such/dir/x.pcap", "true"]],
  ])("%s", async (_, args) => {
    const r = await netcell(args);
    expect(r.stdout).toBe("");
    expect(r.stderr).toMatch(SENTENCE);
    expect(r.status).toBe(125);
  });

  it.skipIf(missing("root") === null)("says so when TAP is not allowed", async () => {
    const r = await netcell(["run", "--net", "tap=netcelltest", "--ip", "10.9.9.2/24", "true"]);
    expect(r.stderr).toMatch(SENTENCE);
    expect(r.status).toBe(125);
  });

  it("runs nothing in an empty rootfs", async () => {
    mkdirSync(join(dir, "emptyroot"));
    const r = await cell(["true"], ["--rootfs", join(dir, "emptyroot")]);
    expect(r.stderr).toMatch(SENTENCE);
    expect(r.status).toBe(127);
  });
});

describe("what we lack", () => {
  it("is ENOSYS to the program and a line in --log", async () => {
    const log = join(dir, "log");
    const r = await cell(
      ["perl", "-e", 'print syscall(425, 1, 0), " ", $!+0, "\\n"; syscall(425, 1, 0)'],
      ["--log", log],
    );
    expect(r.stdout).toBe("-1 38\n");
    const lines = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes("io_uring_setup"));
    expect(lines.length).toBe(1);
  });
});
