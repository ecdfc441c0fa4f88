// `netcell fuzz` as a user has it: campaigns with a corpus on several workers, and a server in a sandbox whose
// planted bug is found, made small, and shown again by the command that was printed.

import type { ChildProcess } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { CPrograms } from "./support/build-c.ts";
import { netcell, type Outcome } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

const folder = mkdtempSync(join(tmpdir(), "netcell-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A campaign without an end that is interrupted as soon as it has kept something. */
function interrupted(args: string[], corpusName: string, cwd = folder): Promise<Outcome> {
  const corpus = join(folder, corpusName);
  mkdirSync(corpus, { recursive: true });
  const flags = ["--time", "10m", "--corpus", corpus];
  const onStarted = (child: ChildProcess): void => {
    const watcher = watch(corpus, () => {
      watcher.close();
      child.kill("SIGINT");
    });
  };
  return netcell(["fuzz", ...flags, ...args], { onStarted, cwd });
}

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

  it.each([
    ["--port", ["stack", "--port", "80"]],
    ["--env", ["wire", "--env", "A=1"]],
    ["--seed", ["--repeat", "case.json", "--seed", "1"]],
  ])("refuses %s where it says nothing", async (flag, args) => {
    const r = await netcell(["fuzz", ...args]);
    expect(r.status).toBe(125);
    expect(r.stderr).toContain(`netcell: ${flag} is of a`);
  });

  it("say how far they came when they are interrupted", async () => {
    const r = await interrupted(["wire", "--seed", "11"], "corpus-interrupted");
    expect(r.stdout).toMatch(/^wire: .* cases, .*, seed 11, interrupted\n$/);
    expect(r.status).toBe(0);
  });
});

describeWith(["python3"], "a server of datagrams in a sandbox", () => {
  const program = fileURLToPath(new URL("programs/fragile-datagrams.py", import.meta.url));
  const cwd = dirname(program);
  const argv = ["python3", "-I", "-S", program];
  const corpus = join(folder, "records");
  mkdirSync(corpus, { recursive: true });
  // Number 1, two records: type 1 with one byte, type 3 with two.
  writeFileSync(join(corpus, "query"), Uint8Array.of(0, 1, 0, 2, 1, 0, 1, 7, 3, 0, 2, 8, 9));
  const flags = ["--corpus", corpus, "--out", folder, "--json", "--seed", "3"];

  it("is found to die of one datagram, and dies again by the command that is printed", async () => {
    const r = await netcell(
      ["fuzz", "--port", "5353/udp", "--time", "60s", "--workers", "2", ...flags, "--", ...argv],
      { cwd, limitMs: 150_000 },
    );
    expect(r.stderr).toBe("");
    expect(r.status).toBe(1);
    const { failure } = JSON.parse(r.stdout) as { failure: { law: string; files: string[] } };
    expect(failure.law).toBe("signal");
    const [file, capture] = failure.files;
    const { steps } = JSON.parse(readFileSync(file, "utf8")) as {
      steps: { do: string; bytes: { hex: string } }[];
    };
    expect(steps).toMatchObject([{ do: "datagram" }]);
    const length = steps[0].bytes.hex.length / 2;
    // A header and the head of a record of type 3: less does not reach the bug.
    expect(length).toBeGreaterThanOrEqual(7);
    expect(length).toBeLessThan(20);
    const frames = await netcell(["replay", "--decode", capture]);
    expect(frames.stdout).toMatch(/10\.0\.2\.2\.\d+ > 10\.0\.2\.15\.5353/);
    const again = await netcell(["fuzz", "--repeat", file], { cwd });
    expect(again.stdout).toContain("killed by signal 11");
    expect(again.status).toBe(1);
    // What made it say something new is kept as it was sent, in a file of its own.
    expect(readdirSync(corpus).length).toBeGreaterThan(2);
  }, 240_000);

  it("is run, and run again, as `netcell run` would with the same flags", async () => {
    const deadly = join(folder, "deadly records");
    mkdirSync(deadly);
    writeFileSync(join(deadly, "query"), Uint8Array.of(0, 1, 0, 1, 3, 255, 255));
    const sandbox = [
      ...[
        "--bind",
        `${cwd}:/served`,
        "--workdir",
        "/served",
        "--env",
        "PORT=5360",
        "--env",
        "SIX=1",
      ],
      ...["--memory", "200m", "--tmpfs", "/srv"],
    ];
    const r = await netcell(
      [
        ...["fuzz", "--port", "5360/udp", "--time", "60s", ...sandbox],
        ...["--corpus", deadly, "--out", join(folder, "died"), "--json", "--seed", "1"],
        ...["--", "python3", "-I", "-S", "fragile-datagrams.py"],
      ],
      { cwd: folder, limitMs: 150_000 },
    );
    expect(r.stderr).toBe("");
    const { failure } = JSON.parse(r.stdout) as { failure: { law: string; repeat: string } };
    expect(failure.law).toBe("signal");
    const again = await netcell(failure.repeat.split(" ").slice(1), { cwd: folder });
    expect(again.stdout).toContain("killed by signal 11");
    expect(again.status).toBe(1);
  }, 240_000);

  it("is missed where nobody listens", async () => {
    const r = await netcell(["fuzz", "--port", "5354/udp", ...flags, "--", ...argv], { cwd });
    expect(r.stderr).toContain("nothing listens on port 5354/udp");
    expect(r.status).toBe(125);
  }, 60_000);
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

  it("is found by what a sanitizer says, and over IPv6 where it listens there alone", async () => {
    programs.build("fragile-server", "-static");
    const cwd = programs.directory;
    const corpus = join(folder, "sizes");
    mkdirSync(corpus, { recursive: true });
    writeFileSync(join(corpus, "session"), "SET 12\nSET 9\nQUIT\n");
    const flags = ["--port", "8080", "--corpus", corpus, "--out", folder];
    const r = await netcell(
      [
        ...["fuzz", "--time", "120s", "--json", "--seed", "5", "--env", "SIX=1", ...flags],
        ...["--", "./fragile-server-static", "sanitized"],
      ],
      { cwd, limitMs: 200_000 },
    );
    expect(r.stderr).toBe("");
    const { failure } = JSON.parse(r.stdout) as {
      failure: { law: string; message: string; files: string[] };
    };
    expect(failure).toMatchObject({ law: "sanitizer" });
    expect(readFileSync(failure.files[0], "utf8")).toContain('{"do":"connect","family":6}');
    expect(failure.message).toContain("stack-buffer-overflow");
    expect(r.status).toBe(1);
  }, 240_000);

  it("says how far it came when it is interrupted", async () => {
    programs.build("fragile-server", "-static");
    const args = ["--port", "8080", "--seed", "7", "--", "./fragile-server-static"];
    const r = await interrupted(args, "interrupted-lines", programs.directory);
    expect(r.stdout).toMatch(/^program: .* cases, .*, seed 7, interrupted\n$/);
    expect(r.status).toBe(0);
  }, 60_000);

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
