import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HELLO_BYTES, helloFrame, readHello, readHelloFrame, writeHello } from "./index.ts";

const written = (mtu: number, takesSegments: boolean): Uint8Array => {
  const bytes = new Uint8Array(HELLO_BYTES);
  writeHello(bytes, { mtu, takesSegments });
  return bytes;
};

describe("a hello", () => {
  it("is read as it was written, as bytes and as a frame", () => {
    for (const mtu of [68, 1500, 65_535]) {
      for (const takesSegments of [false, true]) {
        expect(readHello(written(mtu, takesSegments))).toEqual({ mtu, takesSegments });
        const { bytes, start, end } = helloFrame({ mtu, takesSegments });
        expect(readHelloFrame(bytes, start, end)).toEqual({ mtu, takesSegments });
      }
    }
    const station = helloFrame({ mtu: 0, takesSegments: true });
    expect(readHelloFrame(station.bytes, station.start, station.end)).not.toBeNull();
  });

  it("of a switch says an MTU that can be", () => {
    for (const mtu of [0, 67, 65_536]) expect(readHello(written(mtu, true))).toBeNull();
  });

  it("is none with another byte where it counts, or of another length", () => {
    fc.assert(
      fc.property(fc.nat(HELLO_BYTES - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = written(1500, true);
        bytes[at] ^= change;
        const hello = readHello(bytes);
        if (hello !== null) expect(hello.mtu).toBeGreaterThanOrEqual(68);
      }),
    );
    expect(readHello(written(1500, true).subarray(1))).toBeNull();
    const { bytes, start, end } = helloFrame({ mtu: 1500, takesSegments: true });
    expect(readHelloFrame(bytes, start, end - 1)).toBeNull();
  });
});
