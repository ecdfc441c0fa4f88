// Every capture of fixtures/pcap: it decodes, its checksums are as the index says, those written byte by byte are
// what their maker writes, and fed to a stack it does what the index says and harms nobody else. The conversations
// of those that real programs made are played from both sides.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { examine, type IndexedCapture } from "./testing/capture-index.ts";
import { MADE_CAPTURES } from "./testing/made-captures.ts";
import { Tape } from "./testing/tape.ts";

const DIRECTORY = new URL("../../fixtures/pcap/", import.meta.url);
const read = (file: string): Uint8Array => readFileSync(new URL(file, DIRECTORY));
const index = JSON.parse(read("index.json").toString()) as IndexedCapture[];
const EACH_BYTES_MAX = 20_000;
const ALL_BYTES_MAX = 1_000_000;

describe("the captures", () => {
  it("are all in the index, small, and at least sixty", () => {
    const files = readdirSync(DIRECTORY).filter((file) => file !== "index.json");
    expect(index.map(({ file }) => file).sort()).toEqual(files.sort());
    expect(files.length).toBeGreaterThanOrEqual(60);
    const sizes = files.map((file) => read(file).length);
    expect(Math.max(...sizes)).toBeLessThan(EACH_BYTES_MAX);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(ALL_BYTES_MAX);
    for (const { about } of index) expect(about).toMatch(/^\S.{20,}\.$/);
  });

  it("that are written byte by byte are what their maker writes", () => {
    const written = index.filter(({ origin }) => origin === "written").map(({ file }) => file);
    expect(written).toEqual(MADE_CAPTURES.map(({ file }) => file));
    for (const { file, make } of MADE_CAPTURES) {
      const tape = new Tape();
      make(tape);
      expect(Buffer.compare(tape.toBytes(), read(file)), file).toBe(0);
    }
  });

  it.each(index.map((entry) => [entry.file, entry] as const))("%s", (file, entry) => {
    const { about: _about, file: _file, origin, ...expected } = entry;
    expect(examine(read(file), origin)).toEqual(expected);
    expect(entry.replay?.failed).toBe(undefined);
  });
});
