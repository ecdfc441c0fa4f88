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
    // Program headers start at 64: wild offsets, addresses and sizes in the third, then wild counts and places.
    const wild = 0xffff_ffff_ffff_f000n;
    const damages: ((bad: Buffer) => void)[] = [
      ...[1, 2, 3, 4, 5, 6].map((field) => (bad: Buffer) => {
        bad.writeBigUInt64LE(wild, 64 + 56 * 2 + 8 * field);
      }),
      (bad) => bad.writeUInt16LE(0xffff, 56),
      (bad) => bad.writeBigUInt64LE(0x7fff_ffff_ffff_ffffn, 32),
      (bad) => bad.writeBigUInt64LE(0xffff_8000_0000_0000n, 24),
    ];
    const good = elf();
    const status = async (damage: (bad: Buffer) => void, i: number): Promise<number | null> => {
      const bad = Buffer.from(good);
      damage(bad);
      return (await cell([file(`absurd${i}`, bad)], ["--timeout", "30s"], { cwd: dir })).status;
    };
    // Some fields are nobody's business (p_paddr): then it runs. What must not happen is 124 or 125.
    for (const got of await Promise.all(damages.map(status))) {
      expect([0, 126, 127, 132, 135, 139]).toContain(got);
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
    ["bad seed", ["run", "--seed", "x", "true"]],
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

  it("shows what there is when no verb is given", async () => {
    const r = await netcell([]);
    expect(r).toMatchObject({ status: 125, stdout: "" });
    expect(r.stderr).toMatch(/^Usage: netcell .*\n[\s\S]*\n {2}run /);
  });

  it.skipIf(missing("root") === null)("says when a rootfs may not be read", async () => {
    mkdirSync(join(dir, "closed"), { mode: 0o300 });
    const r = await cell(["true"], ["--rootfs", join(dir, "closed")]);
    expect(r.stderr).toMatch(/^netcell: rootfs ".*" may not be read\.\n$/);
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
