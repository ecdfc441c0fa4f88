import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { DIRECTION_OUT, PcapWriter } from "../link/index.ts";
import { brokenText, openCapture } from "./capture-file.ts";

const FRAMES = 60;
const FRAME_BYTES = 1000;
const RECORD_BYTES = 16 + FRAME_BYTES;
const FILE_HEADER = 24;

/** Frames that cannot be packed: a place in the packed file is nearly the same in the other. */
const PLAIN = capture();
const PACKED = gzipSync(PLAIN);

const directory = mkdtempSync(join(tmpdir(), "netcell-test-"));
afterAll(() => rmSync(directory, { recursive: true }));
let files = 0;

function capture(): Uint8Array {
  const pieces: Uint8Array[] = [];
  const write = (bytes: Uint8Array, offset: number, length: number) => {
    pieces.push(bytes.slice(offset, offset + length));
  };
  const writer = new PcapWriter({ write }, "ns");
  for (let i = 0; i < FRAMES; i++) {
    writer.write(i, randomBytes(FRAME_BYTES), 0, FRAME_BYTES, DIRECTION_OUT);
  }
  writer.flush();
  return Buffer.concat(pieces);
}

/** What comes out of a file of these bytes. */
async function read(bytes: Uint8Array) {
  const path = join(directory, `${files++}.pcap`);
  writeFileSync(path, bytes);
  const opened = await openCapture(path);
  const frames: Uint8Array[] = [];
  for (let f = opened.reader.next(); f !== null; f = opened.reader.next()) {
    frames.push(f.bytes.slice(f.offset, f.offset + f.length));
  }
  const broken = brokenText("FILE", opened, opened.reader.problem, frames.length);
  opened.close();
  return { frames, broken, isPacked: opened.isPacked };
}

const frameAt = (i: number): Uint8Array =>
  new Uint8Array(PLAIN.slice(FILE_HEADER + i * RECORD_BYTES + 16).subarray(0, FRAME_BYTES));

describe("a capture file", () => {
  it("is read as it is, or unpacked when gzip has packed it, whatever its name", async () => {
    for (const [bytes, isPacked] of [
      [PLAIN, false],
      [PACKED, true],
    ] as const) {
      const file = await read(bytes);
      expect(file.isPacked).toBe(isPacked);
      expect(file.frames).toHaveLength(FRAMES);
      expect(file.frames[FRAMES - 1]).toEqual(frameAt(FRAMES - 1));
      expect(file.broken).toBe("");
    }
  });

  it("packed in several members is one (RFC 1952 2.2)", async () => {
    const middle = FILE_HEADER + 20 * RECORD_BYTES + 5;
    const members = [PLAIN.subarray(0, middle), PLAIN.subarray(middle)].map((b) => gzipSync(b));
    const file = await read(Buffer.concat(members));
    expect(file.frames).toHaveLength(FRAMES);
    expect(file.broken).toBe("");
  });

  it("whose packing ends too early gives every frame before that", async () => {
    const end = FILE_HEADER + 30.5 * RECORD_BYTES;
    const { frames, broken } = await read(PACKED.subarray(0, end));
    expect(frames).toHaveLength(30);
    expect(frames[29]).toEqual(frameAt(29));
    expect(broken).toMatch(/^FILE: at byte \d+ \(unpacked\): .*gzip: .*; 30 frames were read\.$/);
  });

  it("whose packed bytes are wrong at the end is told to be", async () => {
    const wrong = PACKED.slice();
    wrong[wrong.length - 8] ^= 1;
    const { frames, broken } = await read(wrong);
    expect(frames).toHaveLength(FRAMES);
    expect(broken).toMatch(/^FILE: gzip: .*; 60 frames were read\.$/);
  });

  it("of less than two bytes is no packed one", async () => {
    const { frames, isPacked, broken } = await read(Uint8Array.of(0x1f));
    expect([frames.length, isPacked]).toEqual([0, false]);
    expect(broken).toContain("0 frames were read");
  });

  it("that is not there, or that is a directory, is told in one sentence", async () => {
    const missing = join(directory, "none.pcap.gz");
    await expect(openCapture(missing)).rejects.toThrow(`${missing}: there is no such file.`);
    await expect(openCapture(directory)).rejects.toThrow(`${directory}: it is a directory.`);
  });
});
