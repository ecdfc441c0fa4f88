// What tcpdump makes of a capture: the independent reader of every pcap that we write.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { which } from "./needs.ts";

/** The lines of `tcpdump -vvnr`, and whether it complained. */
export function readCapture(path: string): { lines: string[]; complaints: string[] } {
  const tcpdump = which("tcpdump");
  if (tcpdump === null) throw new Error("no tcpdump");
  const text = execFileSync(tcpdump, ["-vv", "-n", "-t", "-r", path], {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 1 << 30,
  });
  const lines = text.split("\n").filter((line) => line !== "");
  const complaints = lines.filter((line) =>
    /truncated|incorrect|bad (cksum|checksum|udp|tcp|ip)|\[\|/i.test(line),
  );
  return { lines, complaints };
}

/** The captures of a suite: every sandbox of a test records its link, and tcpdump reads each recording. */
export class Recordings {
  #directory: string | null = null;
  readonly #readable = which("tcpdump") !== null;
  #pending: string[] = [];
  #made = 0;

  /** Made when first needed: a suite of which nothing runs has no end either, at which to remove it. */
  get directory(): string {
    this.#directory ??= mkdtempSync(join(tmpdir(), "netcell-pcap-"));
    return this.#directory;
  }

  /** For one sandbox. Every second one is written as pcapng; none where nobody could read it. */
  flags(): string[] {
    if (!this.#readable) return [];
    const suffix = this.#made++ % 2 === 0 ? "pcap" : "pcapng";
    const file = join(this.directory, `${this.#made}.${suffix}`);
    this.#pending.push(file);
    return ["--pcap", file];
  }

  /** After a test: all that it recorded is whole and has right checksums. Then the files are removed. */
  check(): void {
    for (const file of this.#pending.splice(0)) {
      const { complaints } = readCapture(file);
      rmSync(file);
      expect(complaints).toEqual([]);
    }
  }
  remove(): void {
    if (this.#directory !== null) rmSync(this.#directory, { recursive: true, force: true });
  }
}
