// `netcell fuzz` as a user has it: campaigns with a corpus on several workers, and a server in a sandbox whose
// planted bug is found, made small, and shown again by the command that was printed.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CPrograms } from "./support/build-c.ts";
import { netcell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

const folder = mkdtempSync(join(tmpdir(), "netcell-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("campaigns", () => {
  it.each(["stack", "tcp", "wire"])(
    "%s: clean, status 0, and a corpus that is used again",
    async (target) => {
      const corpus = join(folder, `corpus-${target}`);
      const args = ["fuzz", target, "--runs", "12", "--seed", "1", "--corpus", corpus, "--json"];
      const first = await netcell([...args, "--workers", "2"]);
      expect(first.stderr).toBe("");
      expect(first.status).toBe(0);
      const result = JSON.parse(first.stdout) as Record<string, unknown>;
      expect(result).toMatchObject({ target, seed: 1, failure: null });
      expect(readdirSync(corpus).length).toBeGreaterThan(0);
      const again = JSON.parse((await netcell(args)).stdout) as { corpus: number };
      expect(again.corpus).toBeGreaterThan(0);
    },
  );

  it("says what it takes", async () => {
    const r = await netcell(["fuzz", "moon"]);
    expect(r.status).toBe(125);
    expect(r.stderr).toContain("wire, stack or tcp");
  });
});

describeWith(["gcc"], "a server in a sandbox", () => {
  const programs = new CPrograms();
  afterAll(() => programs.remove());

  it("is found to die, and dies again by the command that is printed", async () => {
    programs.build("fragile-server", "-static");
    const cwd = programs.directory;
    const corpus = join(folder, "lines");
    mkdirSync(corpus, { recursive: true });
    writeFileSync(join(corpus, "session"), "NAME a\nSET 12\nSET 9\nQUIT\n");
    const flags = ["--port", "8080", "--corpus", corpus, "--out", folder, "--seed", "5"];
    const r = await netcell(
      ["fuzz", "--time", "40s", "--json", ...flags, "--", "./fragile-server-static"],
      {
        cwd,
        limitMs: 120_000,
      },
    );
    expect(r.stderr).toBe("");
    expect(r.status).toBe(1);
    const { failure } = JSON.parse(r.stdout) as { failure: { law: string; files: string[] } };
    expect(failure.law).toBe("signal");
    const [file] = failure.files;
    expect((JSON.parse(readFileSync(file, "utf8")) as { steps: [] }).steps.length).toBeLessThan(5);
    const again = await netcell(["fuzz", "--repeat", file], { cwd });
    expect(again.stdout).toContain("killed by signal 11");
    expect(again.status).toBe(1);
  }, 180_000);

  it("is found by what a sanitizer says", async () => {
    programs.build("fragile-server", "-static");
    const cwd = programs.directory;
    const corpus = join(folder, "sizes");
    mkdirSync(corpus, { recursive: true });
    writeFileSync(join(corpus, "session"), "SET 12\nSET 9\nQUIT\n");
    const flags = ["--port", "8080", "--corpus", corpus, "--out", folder];
    const r = await netcell(
      [
        ...["fuzz", "--time", "60s", "--json", "--seed", "5", ...flags],
        ...["--", "./fragile-server-static", "sanitized"],
      ],
      { cwd, limitMs: 120_000 },
    );
    expect(r.stderr).toBe("");
    const { failure } = JSON.parse(r.stdout) as { failure: { law: string; message: string } };
    expect(failure).toMatchObject({ law: "sanitizer" });
    expect(failure.message).toContain("stack-buffer-overflow");
    expect(r.status).toBe(1);
  }, 180_000);

  it("lives on with raw frames on its link besides", async () => {
    programs.build("fragile-server", "-static");
    const flags = ["--port", "8080", "--level", "packet", "--runs", "15", "--seed", "1", "--json"];
    const cwd = programs.directory;
    const argv = ["fuzz", ...flags, "--out", folder, "--", "./fragile-server-static"];
    const r = await netcell(argv, { cwd, limitMs: 120_000 });
    expect(JSON.parse(r.stdout)).toMatchObject({ cases: 15, failure: null });
    expect(r.status).toBe(0);
  }, 180_000);
});
