import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { setU32 } from "../../base/bytes.ts";
import { IpOptions } from "./ipv4-options.ts";
import {
  OPTIONS_OK,
  type OptionHost,
  OptionMarks,
  receiveOptions,
} from "./ipv4-options-compile.ts";

const OWN = 0x0a000001;
const host: OptionHost = { isOthers: (word) => word !== OWN, timeOfDay: () => 0x01020304 };
const byUser = (bytes: number[], isPrivileged = false): IpOptions | null =>
  IpOptions.ofUser(Uint8Array.from(bytes), 0, bytes.length, isPrivileged, host);
const A = [10, 0, 0, 9];
const B = [10, 0, 0, 8];
const C = [10, 0, 0, 7];

/** A header with these options that came from 10.0.0.2, and where its payload begins. */
function header(options: number[]): [Uint8Array, number] {
  const b = new Uint8Array(20 + options.length);
  b[0] = 0x45 + options.length / 4;
  setU32(b, 12, 0x0a000002);
  b.set(options, 20);
  return [b, b.length];
}
const echoOf = (options: number[]): IpOptions => {
  const [b, l4] = header(options);
  return IpOptions.echo(b, 0, l4, host) as IpOptions;
};

describe("options of a user", () => {
  // @rfc 9293 MUST-51
  it("a source route sends to its first hop, and to the end by its last slot", () => {
    const options = byUser([131, 11, 4, ...A, ...B]) as IpOptions;
    expect(options.firstHop).toBe(0x0a000009);
    const b = new Uint8Array(40);
    options.write(b, 0, OWN, 0x0a000007, host);
    expect([...b.subarray(20, 32)]).toEqual([131, 11, 4, ...B, ...C, 0]);
    expect([...options.undone()]).toEqual([131, 11, 4, ...A, ...B, 0]);
  });

  it("slots of a record and of times are filled when they go, and given back empty", () => {
    const given = [7, 7, 4, 0, 0, 0, 0, 68, 12, 5, 1, ...new Array(8).fill(0), 0];
    const options = byUser(given) as IpOptions;
    const b = new Uint8Array(60);
    options.write(b, 0, OWN, 0, host);
    expect([...b.subarray(20, 40)]).toEqual([
      ...[7, 7, 8, 10, 0, 0, 1],
      ...[68, 12, 13, 1, 10, 0, 0, 1, 1, 2, 3, 4, 0],
    ]);
    expect([...options.undone()]).toEqual(given);
  });

  it.each([
    ["security", [130, 11, ...new Array(9).fill(0)]],
    ["what nobody knows", [94, 4, 0, 0]],
    ["a timestamp of another kind", [68, 8, 5, 2, 0, 0, 0, 0]],
  ])("%s: by the privileged only", (_name, bytes) => {
    expect(byUser(bytes)).toBeNull();
    expect(byUser(bytes, true)).not.toBeNull();
  });

  it("any bytes: what is taken reads back as given, but for the padding behind the end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, isPrivileged) => {
        const options = IpOptions.ofUser(bytes, 0, bytes.length, isPrivileged, host);
        if (options === null) return;
        const b = new Uint8Array(60);
        options.write(b, 0, OWN, OWN, host);
        expect(options.length).toBe((bytes.length + 3) & ~3);
        const undone = options.undone();
        if (options.sourceRoute < 0) return;
        const at = options.sourceRoute;
        expect([...undone.subarray(at, at + 7)]).toEqual([...bytes.subarray(at, at + 7)]);
      }),
    );
  });
});

describe("options of a packet", () => {
  it.each([
    [[7, 2, 4, 0], 21],
    [[7, 7, 3, 0, 0, 0, 0, 0], 22],
    [[7, 6, 4, 0, 0, 0, 0, 0], 22],
    [[131, 7, 4, ...A, 1, 137, 7, 4, ...B, 0], 28],
    [[1, 1, 1, 7], 23],
    [[7, 9, 4, 0], 20],
    [[148, 3, 0, 0], 21],
    [[68, 8, 9, 0xf0, 0, 0, 0, 0], 23],
    [[134, 7, 0, 0, 0, 1, 0, 0], 21],
  ])("%j: byte %i is wrong", (options, where) => {
    const [b, l4] = header(options);
    expect(receiveOptions(b, 0, l4, new OptionMarks(), OWN, host)).toBe(where);
  });

  it("full timestamps count who found no room", () => {
    const [b, l4] = header([68, 8, 9, 0x10, 1, 2, 3, 4]);
    expect(receiveOptions(b, 0, l4, new OptionMarks(), OWN, host)).toBe(OPTIONS_OK);
    expect(b[23]).toBe(0x20);
  });

  it("any bytes do no harm, and nothing outside is touched", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 40 }), (bytes) => {
        const length = bytes.length & ~3;
        const b = new Uint8Array(80).fill(0xaa);
        b.set(bytes.subarray(0, length), 20);
        receiveOptions(b, 0, 20 + length, new OptionMarks(), OWN, host);
        const echo = IpOptions.echo(b, 0, 20 + length, host);
        expect(echo === null || echo.length <= 40).toBe(true);
        expect(b.subarray(20 + length).every((x) => x === 0xaa)).toBe(true);
        expect(b.subarray(0, 20).every((x) => x === 0xaa)).toBe(true);
      }),
    );
  });
});

describe("an echo", () => {
  // @rfc 9293 MUST-53
  it("goes the route back, to who sent it at the end", () => {
    const echo = echoOf([131, 11, 12, ...A, ...B, 0]);
    expect(echo.firstHop).toBe(0x0a000008);
    const b = new Uint8Array(40);
    echo.write(b, 0, OWN, 0x0a000002, host);
    expect([...b.subarray(20, 32)]).toEqual([131, 11, 4, ...A, 10, 0, 0, 2, 0]);
  });

  it("leaves out a route that begins with its own sender, and one of nobody", () => {
    expect(echoOf([131, 7, 8, 10, 0, 0, 2, 0]).length).toBe(0);
    expect(echoOf([131, 7, 4, ...A, 0]).length).toBe(0);
  });

  it("goes on with the record, and leaves what has no answer", () => {
    const echo = echoOf([148, 4, 0, 0, 7, 11, 8, ...A, 0, 0, 0, 0, 0]);
    expect([...echo.bytes.subarray(0, echo.length)]).toEqual([7, 11, 12, ...A, 0, 0, 0, 0, 0]);
    expect(echo.needsAddress).toBe(true);
  });
});
