import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { setU16, setU32, setU32Le } from "../../base/bytes.ts";
import { type ByteSink, SinkBuffer } from "./byte-sink.ts";
import { type ByteSource, sourceOf } from "./byte-window.ts";
import { CaptureReader } from "./capture-reader.ts";
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from "./captured-frame.ts";
import { type PcapFormat, PcapWriter } from "./pcap-writer.ts";
import { PcapngWriter } from "./pcapng-writer.ts";

interface Frame {
  seconds: number;
  nanoseconds: number;
  data: string;
  direction: number;
  comment: string;
}

class Collected implements ByteSink {
  bytes = new Uint8Array(0);
  write(bytes: Uint8Array, offset: number, length: number): void {
    this.bytes = new Uint8Array([...this.bytes, ...bytes.subarray(offset, offset + length)]);
  }
}

const hex = (b: Uint8Array, o: number, length: number): string =>
  Array.from(b.subarray(o, o + length), (v) => v.toString(16).padStart(2, "0")).join("");
const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

function readAll(source: ByteSource): { frames: Frame[]; reader: CaptureReader } {
  const reader = new CaptureReader(source);
  const frames: Frame[] = [];
  for (let f = reader.next(); f !== null; f = reader.next()) {
    frames.push({
      seconds: f.seconds,
      nanoseconds: f.nanoseconds,
      data: hex(f.bytes, f.offset, f.length),
      direction: f.direction,
      comment: f.comments.join("|"),
    });
  }
  return { frames, reader };
}

function write(format: PcapFormat, frames: readonly Frame[]): Uint8Array {
  const sink = new Collected();
  const writer = new PcapWriter(sink, format);
  for (const f of frames) {
    const data = fromHex(f.data);
    writer.write(f.seconds * 1e9 + f.nanoseconds, data, 0, data.length, f.direction, f.comment);
  }
  writer.flush();
  return sink.bytes;
}

// Times within what a double holds exactly in nanoseconds: about 104 days.
const frame: fc.Arbitrary<Frame> = fc.record({
  seconds: fc.nat(9_000_000),
  nanoseconds: fc.nat(999_999).map((us) => us * 1000),
  data: fc.uint8Array({ minLength: 1, maxLength: 80 }).map((b) => hex(b, 0, b.length)),
  direction: fc.nat(2),
  comment: fc.string({ unit: "grapheme", maxLength: 12 }),
});

/** Gives what it has in pieces of one byte. */
function slow(bytes: Uint8Array): ByteSource {
  const whole = sourceOf(bytes);
  return { read: (into, offset, length) => whole.read(into, offset, Math.min(length, 1)) };
}

describe("a capture that we wrote", () => {
  it.each(["us", "ns", "pcapng"] as const)("is read back as it was: %s", (format) => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), (frames) => {
        const { frames: back, reader } = readAll(slow(write(format, frames)));
        const kept = frames.map((f) =>
          format === "pcapng" ? f : { ...f, direction: 0, comment: "" },
        );
        expect(back).toEqual(kept);
        expect(reader.problem).toBeNull();
      }),
      { numRuns: 60 },
    );
  });

  it("gives all frames before the byte where it was cut, and the offset of what is missing", () => {
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 5 }),
        fc.constantFrom<PcapFormat>("us", "ns", "pcapng"),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (frames, format, part) => {
          const whole = write(format, frames);
          const cut = whole.subarray(0, Math.floor(whole.length * part));
          const full = readAll(sourceOf(whole)).frames;
          const { frames: back, reader } = readAll(sourceOf(cut));
          expect(back).toEqual(full.slice(0, back.length));
          if (reader.problem === null) return;
          expect(reader.problem.offset).toBeLessThanOrEqual(cut.length);
          expect(reader.problem.message).toMatch(/^(the file (ends|is empty)|neither)/);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("never throws and never runs on, whatever bits are flipped", () => {
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 4 }),
        fc.constantFrom<PcapFormat>("us", "pcapng"),
        fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 6 }),
        (frames, format, flips) => {
          const bytes = write(format, frames);
          for (const [at, bit] of flips) bytes[at % bytes.length] ^= 1 << bit;
          const { reader } = readAll(sourceOf(bytes));
          if (reader.problem !== null) {
            expect(reader.problem.offset).toBeLessThanOrEqual(bytes.length);
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

it("reads on where another capture begins, of whatever kind", () => {
  const frames = (seconds: number): Frame[] => [
    { seconds, nanoseconds: 5000, data: "00112233", direction: 0, comment: "" },
  ];
  const formats = ["us", "ns", "pcapng"] as const;
  for (const first of formats) {
    for (const second of formats) {
      const both = [...write(first, frames(1)), ...write(second, frames(2)), ...[7, 7]];
      const { frames: found, reader } = readAll(sourceOf(Uint8Array.from(both)));
      expect(found, `${first} ${second}`).toEqual([...frames(1), ...frames(2)]);
      expect(reader.problem).toMatchObject({ offset: both.length - 2 });
    }
  }
});

it("refuses what is no capture with one sentence", () => {
  for (const [bytes, message] of [
    [[], "the file is empty"],
    [[1, 2, 3], "neither pcap nor pcapng"],
    [[...Array(64).keys()], "neither pcap nor pcapng"],
  ] as const) {
    const { frames, reader } = readAll(sourceOf(new Uint8Array(bytes)));
    expect(frames).toEqual([]);
    expect(reader.problem).toEqual({ offset: 0, message });
  }
});

describe("classic files", () => {
  const header = (put: typeof setU32, magic: number, minor = 4): number[] => {
    const b = new Uint8Array(24);
    put(b, 0, magic);
    if (put === setU32) {
      setU16(b, 4, 2);
      setU16(b, 6, minor);
    } else b.set([2, 0, minor, 0], 4);
    put(b, 16, 65_535);
    put(b, 20, LINKTYPE_RAW);
    return [...b];
  };
  const record = (put: typeof setU32, words: number[], data: number[]): number[] => {
    const b = new Uint8Array(words.length * 4);
    words.forEach((word, i) => {
      put(b, i * 4, word);
    });
    return [...b, ...data];
  };

  it.each([
    ["big-endian, microseconds", setU32, 0xa1b2c3d4, 7000],
    ["big-endian, nanoseconds", setU32, 0xa1b23c4d, 7],
    ["little-endian, nanoseconds", setU32Le, 0xa1b23c4d, 7],
  ] as const)("are read %s", (_, put, magic, nanoseconds) => {
    const bytes = [...header(put, magic), ...record(put, [9, 7, 2, 60], [1, 2])];
    const { frames, reader } = readAll(sourceOf(new Uint8Array(bytes)));
    expect(frames).toEqual([{ seconds: 9, nanoseconds, data: "0102", direction: 0, comment: "" }]);
    expect(reader.problem).toBeNull();
  });

  it("have their lengths the other way round before version 2.3", () => {
    const bytes = [...header(setU32, 0xa1b2c3d4, 2), ...record(setU32, [1, 0, 60, 2], [1, 2])];
    expect(readAll(sourceOf(new Uint8Array(bytes))).frames[0].data).toBe("0102");
  });

  it("may have Kuznetzov's longer record headers", () => {
    const bytes = [
      ...header(setU32Le, 0xa1b2cd34),
      ...record(setU32Le, [1, 0, 2, 2, 5, 6], [1, 2]),
      ...record(setU32Le, [2, 0, 1, 1, 5, 6], [3]),
    ];
    const { frames } = readAll(sourceOf(new Uint8Array(bytes)));
    expect(frames.map((f) => f.data)).toEqual(["0102", "03"]);
  });

  it("are refused at the record whose length is a lie", () => {
    const bytes = [...header(setU32, 0xa1b2c3d4), ...record(setU32, [1, 0, 1, 1], [1])];
    bytes.push(...record(setU32, [1, 0, 0x7fffffff, 1], [1]));
    const { frames, reader } = readAll(sourceOf(new Uint8Array(bytes)));
    expect(frames).toHaveLength(1);
    expect(reader.problem?.offset).toBe(41);
    expect(reader.problem?.message).toMatch(/claims 2147483647 bytes/);
  });
});

describe("pcapng files", () => {
  /** What the writer does, collected. */
  function ng(fill: (writer: PcapngWriter) => void): Uint8Array {
    const sink = new Collected();
    const buffer = new SinkBuffer(sink);
    fill(new PcapngWriter(buffer));
    buffer.flush();
    return sink.bytes;
  }

  it("keep names, statistics, secrets, custom blocks and what wrote them", () => {
    const bytes = ng((w) => {
      w.section({ application: "netcell", os: "Linux", comment: "größer" });
      w.interface({ linkType: LINKTYPE_ETHERNET, snapBytes: 0, name: "eth0" });
      w.names([
        { address: new Uint8Array([10, 0, 0, 1]), names: ["a.test", "b.test"] },
        { address: new Uint8Array(16).fill(7), names: ["six.test"] },
      ]);
      w.secrets(0x544c534b, new Uint8Array([1, 2, 3]));
      w.custom(32473, new Uint8Array([9, 9, 9, 9]));
      w.statistics(0, 5e9, 12, 3);
    });
    const { frames, reader } = readAll(sourceOf(bytes));
    expect(frames).toEqual([]);
    expect(reader.interfaces).toMatchObject([{ name: "eth0", linkType: LINKTYPE_ETHERNET }]);
    expect(reader.notes).toEqual([
      { kind: "section", comments: ["größer"], hardware: "", os: "Linux", application: "netcell" },
      { kind: "name", address: new Uint8Array([10, 0, 0, 1]), names: ["a.test", "b.test"] },
      { kind: "name", address: new Uint8Array(16).fill(7), names: ["six.test"] },
      { kind: "secrets", type: 0x544c534b, bytes: new Uint8Array([1, 2, 3]) },
      { kind: "custom", enterprise: 32473, bytes: new Uint8Array([9, 9, 9, 9]) },
      { kind: "statistics", interfaceId: 0, received: 12, dropped: 3 },
    ]);
  });

  it("begin anew with each section, in either byte order", () => {
    const big = new Uint8Array([
      ...[0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 28, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0],
      ...[255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 28],
      // An interface of raw packets in units of 2^-10 s, 1000 s late.
      ...[0, 0, 0, 1, 0, 0, 0, 44, 0, 101, 0, 0, 0, 0, 0, 0],
      ...[0, 9, 0, 1, 0x8a, 0, 0, 0, 0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 0],
      ...[0, 0, 0, 44],
      // One enhanced packet, 2.5 s after the offset.
      ...[0, 0, 0, 6, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 2, 0, 0, 0, 2],
      ...[0xca, 0xfe, 0, 0, 0, 0, 0, 36],
      // A simple packet.
      ...[0, 0, 0, 3, 0, 0, 0, 20, 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 20],
    ]);
    const little = write("pcapng", [
      { seconds: 1, nanoseconds: 5, data: "aa", direction: 1, comment: "hi" },
    ]);
    const { frames, reader } = readAll(sourceOf(new Uint8Array([...little, ...big, ...little])));
    expect(reader.problem).toBeNull();
    expect(frames.map((f) => [f.seconds, f.nanoseconds, f.data])).toEqual([
      [1, 5, "aa"],
      [1002, 500_000_000, "cafe"],
      [0, 0, "010203"],
      [1, 5, "aa"],
    ]);
  });

  it("keep today's nanoseconds, which no double holds", () => {
    const bytes = ng((w) => {
      w.section();
      w.interface({ linkType: LINKTYPE_ETHERNET, snapBytes: 0 });
      w.packet(0, 0, new Uint8Array([1]), 0, 1, 1, 0, "");
    });
    // 1,764,345,600.123456789 s since 1970.
    const time = 1_764_345_600_123_456_789n;
    const at = bytes.length - 36 + 12;
    setU32Le(bytes, at, Number(time >> 32n));
    setU32Le(bytes, at + 4, Number(time & 0xffffffffn));
    const { frames } = readAll(sourceOf(bytes));
    expect(frames[0]).toMatchObject({ seconds: 1_764_345_600, nanoseconds: 123_456_789 });
  });
});
