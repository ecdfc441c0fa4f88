// The examples do what they say. They are programs of a user's: what they import is the built package.

import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { expect, it } from "vitest";

/** What each prints, line by line; what may vary with the stack's details is left open. */
const PRINTED: Record<string, readonly RegExp[]> = {
  "http-server.ts": [
    /^192\.0\.2\.1 asked for \/one$/,
    /^192\.0\.2\.1 asked for \/two$/,
    /^4000\d\d characters in \d+\.\d\d simulated seconds$/,
    /^\d{3,} frames; /,
  ],
  "ping.ts": [
    /^64 bytes from 10\.0\.0\.2: icmp_seq=1 ttl=64 time=\d+\.\d\d ms$/,
    /^64 bytes from 10\.0\.0\.2: icmp_seq=2 ttl=64 time=2[5-9]\.\d\d ms$/,
    /^64 bytes from 10\.0\.0\.2: icmp_seq=3 ttl=64 time=2[5-9]\.\d\d ms$/,
    /^no answer from 10\.0\.0\.99: icmp_seq=1$/,
  ],
  "traceroute.ts": [
    /^traceroute to 10\.4\.0\.2$/,
    /^ 1 {2}10\.0\.0\.2 {2}\d+\.\d ms$/,
    /^ 2 {2}10\.1\.0\.2 {2}\d+\.\d ms$/,
    /^ 3 {2}10\.2\.0\.2 {2}\d+\.\d ms$/,
    /^ 4 {2}10\.3\.0\.2 {2}\d+\.\d ms$/,
    /^ 5 {2}10\.4\.0\.2 {2}\d+\.\d ms$/,
  ],
  "middlebox.ts": [
    /^"hello, world": 12 bytes arrived$/,
    /^"something forbidden here": nothing arrived, ConnectionReset$/,
    /^\d+ frames seen, 1 connection reset$/,
  ],
};

it.each(readdirSync("examples").filter((file) => !file.endsWith(".test.ts")))("%s", (file) => {
  const expected = PRINTED[file];
  const run = (): string =>
    execFileSync(process.execPath, ["scripts/run.mjs", `examples/${file}`], { encoding: "utf8" });
  const lines = run().trimEnd().split("\n");
  expect(lines).toHaveLength(expected.length);
  for (const [i, line] of lines.entries()) expect(line).toMatch(expected[i]);
});
