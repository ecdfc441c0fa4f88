// Writes the captures of fixtures/pcap that are made byte by byte, and the index of all: what it says of recorded
// ones is kept but for what comes of them. Prints what changed: look at it before it is committed.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { examine, type IndexedCapture } from "../../src/lab/testing/capture-index.ts";
import { MADE_CAPTURES } from "../../src/lab/testing/made-captures.ts";
import { Tape } from "../../src/lab/testing/tape.ts";

const DIRECTORY = "fixtures/pcap";
const INDEX = join(DIRECTORY, "index.json");

const old: IndexedCapture[] = existsSync(INDEX) ? JSON.parse(readFileSync(INDEX, "utf8")) : [];
const made = MADE_CAPTURES.map(({ file, about, make }): IndexedCapture => {
  const tape = new Tape();
  make(tape);
  const bytes = tape.toBytes();
  writeFileSync(join(DIRECTORY, file), bytes);
  return { file, about, origin: "written", ...examine(bytes, "written") };
});
const recorded = old
  .filter(({ origin, file }) => origin === "recorded" && existsSync(join(DIRECTORY, file)))
  .map((entry) => ({
    ...entry,
    ...examine(readFileSync(join(DIRECTORY, entry.file)), "recorded"),
  }));
const all = [...made, ...recorded];

for (const entry of all) {
  const before = old.find(({ file }) => file === entry.file);
  const was = JSON.stringify(before);
  const is = JSON.stringify(entry);
  if (was !== is) console.log(`${entry.file}\n  was ${was}\n  is  ${is}`);
}
for (const file of readdirSync(DIRECTORY)) {
  const isKnown = file === "index.json" || all.some((entry) => entry.file === file);
  if (!isKnown) console.log(`${file} is not in the index`);
}
writeFileSync(INDEX, `[\n${all.map((entry) => `  ${JSON.stringify(entry)}`).join(",\n")}\n]\n`);
console.log(`${all.length} captures, ${made.length} of them written byte by byte`);
