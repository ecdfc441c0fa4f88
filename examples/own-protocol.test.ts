// A property test of a protocol of one's own with netcell/vitest: messages with a length in front, over TCP on a line
// that loses and reorders. TCP may cut the stream anywhere; the reader must not care. On failure the shrunk case
// leaves a capture in netcell-artefacts/ and prints its seed.
//
//     npx vitest run examples/own-protocol.test.ts

import fc from "fast-check";
import { drop, openConnection, tcp } from "netcell/lab";
import { IpAddr, type TcpEndpoint } from "netcell/netstack";
import { checkProperty, test } from "netcell/vitest";
import { expect } from "vitest";

const SERVER = IpAddr.v4(10, 0, 0, 2);
const LENGTH_BYTES = 2;

function encode(messages: readonly Uint8Array[]): Uint8Array {
  const parts = messages.map((m) => [m.length >> 8, m.length & 255, ...m]);
  return Uint8Array.from(parts.flat());
}

/** The protocol under test: give it bytes as they come. */
class MessageReader {
  readonly messages: Uint8Array[] = [];
  #bytes: number[] = [];

  add(chunk: Uint8Array): void {
    this.#bytes.push(...chunk);
    while (this.#bytes.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + (this.#bytes[0] << 8) + this.#bytes[1];
      if (this.#bytes.length < end) return;
      this.messages.push(Uint8Array.from(this.#bytes.splice(0, end).slice(LENGTH_BYTES)));
    }
  }
}

/** All that is there, a little at a time. */
function readInto(reader: MessageReader, endpoint: TcpEndpoint, most: number): void {
  const chunk = new Uint8Array(most);
  for (;;) {
    const n = endpoint.read(chunk, 0, most, false);
    if (n <= 0) return;
    reader.add(chunk.subarray(0, n));
  }
}

test("messages arrive whole, whatever the line and the reader do", async () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 });
  const line = fc.record({ loss: fc.constantFrom(0, 0.05), reorder: fc.constantFrom(0, 0.3) });
  const cases = fc.record({ messages, line, most: fc.integer({ min: 1, max: 50 }) });
  await checkProperty(
    cases,
    (world, { messages, line, most }) => {
      const [a, b] = [world.stack(), world.stack()];
      world.join(a, b, { conditions: { delayNs: 1e6, ...line } });
      const { from, to } = openConnection(world, a, b, SERVER);
      const data = encode(messages);
      from.write(data, 0, data.length, 0);
      const reader = new MessageReader();
      world.runUntil(() => {
        readInto(reader, to, most);
        return reader.messages.length === messages.length;
      });
      expect(reader.messages).toEqual(messages);
    },
    { numRuns: 30 },
  );
});

test("the answer survives the loss of the third segment", ({ sim, stack }) => {
  const server = sim.stack();
  const cable = sim.join(stack, server);
  const { from, to } = openConnection(sim, stack, server, SERVER);
  const fault = cable.a.addFault(drop.nth(3, tcp.data));
  const data = new Uint8Array(6000).fill(7);
  from.write(data, 0, data.length, 0);
  sim.run(2e9);
  expect(fault.hits).toBe(1);
  expect(to).toHaveReceived(data);
  expect(sim).toContainSegment({ flags: "SYN", dst: "10.0.0.2" }, 1);
  expect(sim).not.toContainSegment({ flags: "RST" });
});
