import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runScript } from "./drill.ts";
import { DrillError } from "./drill-error.ts";
import { parseScript } from "./parser.ts";

const parse = (text: string) => parseScript(text, new Map());

function complaint(text: string): string {
  try {
    parse(text);
    return "none";
  } catch (error) {
    if (!(error instanceof DrillError)) throw error;
    return `${error.place.line}:${error.place.column} ${error.message}`;
  }
}

describe("parseScript", () => {
  it("reads options, commands, times and events", () => {
    const script = parse(`--mtu=1520
--strict_segments
\`../common/defaults.sh\`
// a comment /* in a comment
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
  +.1...0.25 accept(3, ..., ...) = -1 EAGAIN (Try again)
 +.01~+.02 > P. 1:3(2) ack 4 <nop,nop,sack 1:2 3:4>
    * > F. 3:3(0) ack 4 <...>
 +1.5 %{ assert tcpi_snd_cwnd == 10 }%
\`/tmp/sysctl_restore_\${PPID}.sh\``);
    expect([...script.options]).toEqual([
      ["mtu", "1520"],
      ["strict_segments", ""],
    ]);
    expect(script.init?.text).toBe("../common/defaults.sh");
    expect(script.cleanup?.text).toContain("restore");
    expect(script.events.map((e) => e.kind)).toEqual(["call", "call", "packet", "packet", "code"]);
    expect(script.events[1].time).toMatchObject({
      isRelative: true,
      startS: 0.1,
      blockingEndS: 0.25,
    });
    expect(script.events[2].time).toMatchObject({ startS: 0.01, rangeEndS: 0.02 });
    expect(script.events[3].time.isAny).toBe(true);
  });

  it("puts defined words in", () => {
    const script = parseScript(
      "0 < icmp unreachable CODE",
      new Map([["CODE", "port_unreachable"]]),
    );
    expect(script.events[0]).toMatchObject({ packet: { body: { code: "port_unreachable" } } });
  });

  it("says where a script is none", () => {
    expect(complaint("0 < S 0:1(0) win 1")).toBe("1:6 0:1(0) does not add up");
    expect(complaint("0 close(3) = 0\n+1 < . 1:1(0) ack 1")).toBe(
      "2:20 an inbound packet needs 'win'",
    );
    expect(complaint("0 > S 0:0(0) <mss 1460,nop>")).toMatch(/^1:28 .*no multiple of 4$/);
    expect(complaint("0 > S 0:0(0) <wat 1>")).toBe("1:15 no TCP option 'wat'");
    expect(complaint("+1~+2 close(3) = 0")).toMatch(/^1:1 only an outbound packet/);
    expect(complaint("0 %{ assert 1")).toBe("1:5 the code has no end");
    expect(complaint("0 close(3")).toBe("1:10 expected ')', found the end");
    expect(complaint("/* open")).toBe("1:1 the comment has no end");
  });

  it("leaves out what #ifdef does not find defined, and keeps the places", () => {
    const text =
      "#ifdef A\n0 close(1) = 0\n#else\n0 close(2) = 0\n#endif\n#ifndef A\n0 close(3) = 0\n#endif\n";
    const lines = (...words: string[]) =>
      parseScript(text, new Map(), new Set(words)).events.map((event) => event.place.line);
    expect(lines("A")).toEqual([2]);
    expect(lines("B")).toEqual([4, 7]);
    const nested = "#ifdef A\n#ifdef B\n0 close(1) = 0\n#endif\n0 close(2) = 0\n#endif\n";
    expect(parseScript(nested, new Map(), new Set(["B"])).events).toEqual([]);
  });

  it("takes a failure that the script announces for a pass, and its absence for a failure", () => {
    const wrong = "0 socket(..., SOCK_STREAM, IPPROTO_UDP) = 3";
    expect(runScript(wrong).state).toBe("failed");
    expect(runScript(`// Failure: no such protocol\n${wrong}`).state).toBe("passed");
    const right = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3";
    expect(runScript(`// Failure: none\n${right}`)).toMatchObject({ state: "failed", line: 2 });
  });

  it("runs a script in the family of the addresses that it names", () => {
    const text = "--local_ip=192.168.0.2\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3";
    expect(runScript(text, { family: "ipv6" })).toMatchObject({ state: "passed", family: "ipv4" });
  });

  it("answers any bytes with an outcome at a place", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
        expect(runScript(text).message).not.toMatch(/internal error/);
      }),
      { numRuns: 300 },
    );
  });

  it("answers any text with an outcome at a place", () => {
    const words = fc.constantFrom(
      ..."0 +.1 +0...1 * < > S S. P. . 0:0(0) 1:1001(1000) ack 1 win 100 <mss 1,nop> <...> socket( ... , ) = 3 -1 EINVAL ` %{ }% [ ] { } | // icmp udp (1) \n".split(
        " ",
      ),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(words, fc.string()), { maxLength: 30 }), (parts) => {
        const { state, message, line } = runScript(parts.join(" "));
        expect(message).not.toMatch(/internal error/);
        if (state === "failed") expect(line).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });
});
