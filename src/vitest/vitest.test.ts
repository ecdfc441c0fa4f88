import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect } from "vitest";
import { openConnection, Recording, StreamSource, World } from "../lab/index.ts";
import { CaptureReader, sourceOf } from "../link/index.ts";
import { IpAddr } from "../netstack/index.ts";
import { folderName } from "./artefacts.ts";
import { checkProperty, it, test } from "./index.ts";
import { seedOf } from "./seed.ts";

const B = IpAddr.v4(10, 0, 0, 2);
const SERVER_PORT = 5001;

test("sim is a world that records itself", ({ sim, stack }) => {
  const other = sim.stack();
  sim.join(stack, other);
  const { from, to } = openConnection(sim, stack, other, B);
  expect(from).toBeEstablished();
  from.write(new TextEncoder().encode("hello"), 0, 5, 0);
  sim.run(1e9);
  expect(to).toHaveReceived("hello");
  expect(to).toHaveReceived(new TextEncoder().encode("hello"));
  expect(to).not.toHaveReceived("hell");
  expect(sim).toContainSegment({ flags: "SYN", dport: SERVER_PORT, dst: "10.0.0.2" }, 1);
  expect(sim).toContainSegment({ flags: "S.", sport: SERVER_PORT }, 1);
  expect(sim.recording).toContainSegment({ flags: "PSH-ACK", payloadBytes: 5 });
  expect(sim).not.toContainSegment({ flags: "RST" });
  expect(sim).not.toContainDatagram();
  expect(sim).not.toContainIcmp();
  expect(sim.recording?.toBytes()).toContainSegment({ payloadBytes: 5 }, 1);
  expect(sim.speed).toBeGreaterThan(0);
});

describe("the matchers", () => {
  it("say what was there instead", ({ sim }) => {
    const [a, b] = [sim.stack(), sim.stack()];
    sim.join(a, b);
    const { from, to } = openConnection(sim, a, b, B);
    expect(() => expect(sim).toContainSegment({ flags: "RST" })).toThrow(
      /no segment \{"flags":"RST"\} among \d+ frames[\s\S]*Flags \[S\]/,
    );
    expect(() => expect(sim).toContainSegment({ flags: "SYN" }, 2)).toThrow(/1 among \d+ frames/);
    expect(() => expect(sim).not.toContainSegment({ flags: "SYN" })).toThrow(/wanted none/);
    expect(() => expect(to).toHaveReceived("x")).toThrow(/0 bytes were received where 1/);
    from.shutdown(false, true);
    sim.run(1e9);
    expect(() => expect(from).toBeEstablished()).toThrow(/FIN-WAIT-2/);
    expect(() => expect(new World()).toContainSegment()).toThrow(/without a recording/);
    expect(() => expect(sim).toContainSegment({ flags: "SIN" })).toThrow(/no TCP flags/);
  });

  it("find datagrams and ICMP", ({ sim }) => {
    const [a, b] = [sim.stack(), sim.stack()];
    sim.join(a, b);
    const socket = a.endpoints.udp(4);
    if (typeof socket === "number") throw new Error("no endpoint");
    socket.send(new Uint8Array(7), 0, 7, B, 9);
    sim.run(1e9);
    expect(sim).toContainDatagram({ dport: 9, payloadBytes: 7 }, 1);
    expect(sim).toContainIcmp({ type: 3, code: 3, src: "10.0.0.2" }, 1);
    expect(sim).not.toContainIcmp({ type: 8 });
  });
});

describe("checkProperty", () => {
  it("runs every value in a world of its own", async () => {
    let runs = 0;
    await checkProperty(
      fc.nat(5000),
      (world, bytes) => {
        runs++;
        expect(world.stacks).toHaveLength(0);
        const [a, b] = [world.stack(), world.stack()];
        world.join(a, b, { conditions: { loss: 0.1 } });
        const { from, to } = openConnection(world, a, b, B);
        new StreamSource(from, bytes);
        return world.runUntil(() => to.readableBytes === bytes);
      },
      { numRuns: 10 },
    );
    expect(runs).toBe(10);
  });
});

describe("seeds and folders", () => {
  it("are of the test's name", () => {
    expect(seedOf("a > b")).toBe(seedOf("a > b"));
    expect(seedOf("a > b")).not.toBe(seedOf("a > c"));
    expect(folderName('suite > does "it": /well/ ...')).toBe("suite-does-it-well");
    expect(folderName("???")).toBe("test");
  });
});

describe("a test that fails", () => {
  const top = mkdtempSync(join(tmpdir(), "netcell-vitest-"));
  afterAll(() => rmSync(top, { recursive: true }));

  const child = (artefacts: string, seed?: string): Promise<string> => {
    const argv = [
      "node_modules/vitest/vitest.mjs",
      "run",
      "--config",
      "src/vitest/testing/planted.config.ts",
    ];
    const env = { ...process.env, NETCELL_ARTEFACTS: artefacts, NO_COLOR: "1", VITEST: undefined };
    const withSeed = seed === undefined ? env : { ...env, NETCELL_SEED: seed };
    return new Promise((resolve) => {
      execFile(process.execPath, argv, { env: withSeed }, (error, stdout, stderr) => {
        expect(error?.code).toBe(1);
        resolve(stdout + stderr);
      });
    });
  };
  const frames = (path: string): number => {
    const reader = new CaptureReader(sourceOf(readFileSync(path)));
    let n = 0;
    while (reader.next() !== null) n++;
    expect(reader.problem).toBe(null);
    return n;
  };

  it("leaves its capture, prints its seed, and says how to repeat it", async () => {
    const seed = seedOf("planted > fails with/an odd: name");
    const [artefacts, repeated] = [join(top, "first"), join(top, "repeated")];
    const [text, again] = await Promise.all([child(artefacts), child(repeated, String(seed))]);
    expect(readdirSync(artefacts).sort()).toEqual([
      "planted-breaks-a-property",
      "planted-fails-with-an-odd-name",
    ]);
    const kept = join(artefacts, "planted-fails-with-an-odd-name", "sim.pcapng");
    expect(frames(kept)).toBeGreaterThanOrEqual(5);
    expect(text).toContain(`NETCELL_SEED=${seed} repeats its world`);
    expect(text).toContain(`${frames(kept)} frames: ${kept}`);
    expect(text).toMatch(/simulated seconds per real one/);

    const counterexample = join(artefacts, "planted-breaks-a-property", "counterexample.pcapng");
    expect(text).toContain("Counterexample: [100]");
    expect(text).toContain(counterexample);
    expect(readFileSync(counterexample)).toContainSegment({ payloadBytes: 100 }, 1);

    expect(again).toContain(`NETCELL_SEED=${seed}`);
    const keptAgain = join(repeated, "planted-fails-with-an-odd-name", "sim.pcapng");
    expect(readFileSync(keptAgain).equals(readFileSync(kept))).toBe(true);
  }, 120_000);
});

it("a recording that is full says so", () => {
  const recording = new Recording(100);
  const world = new World({ recording });
  const [a, b] = [world.stack(), world.stack()];
  world.join(a, b);
  openConnection(world, a, b, B);
  expect(recording.missed).toBeGreaterThan(0);
  expect(recording.frames).toBeGreaterThan(0);
});
