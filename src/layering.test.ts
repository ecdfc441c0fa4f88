// The layering that docs/ARCHITECTURE.md draws, read off the imports: which room may import which, who
// may declare C functions, and where wall-clock time and ambient randomness are refused.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const SRC = dirname(fileURLToPath(import.meta.url));

/** Rooms, longest prefix first; what each may import besides itself. */
const ROOMS: readonly (readonly [string, readonly string[]])[] = [
  ["sentry/platform/systrap", ["base", "abi", "host", "sentry"]],
  [
    "sentry/loop",
    [
      "base",
      "abi",
      "host",
      "netstack",
      "link",
      "link/host",
      "gofer",
      "sentry",
      "sentry/platform/systrap",
    ],
  ],
  ["gofer/server", ["base", "abi", "host", "gofer"]],
  ["link/host", ["base", "abi", "netstack", "link", "host"]],
  ["base", []],
  ["abi", ["base"]],
  ["host", ["base", "abi"]],
  ["netstack", ["base"]],
  ["link", ["base", "netstack"]],
  ["gateway", ["base", "abi", "host", "netstack", "link", "link/host"]],
  ["gofer", ["base", "abi"]],
  ["sentry", ["base", "abi", "netstack", "link", "gofer"]],
  ["lab", ["base", "netstack", "link"]],
  ["stream", ["base", "netstack"]],
  ["vitest", ["base", "netstack", "link", "lab"]],
  [
    "sandbox",
    [
      "base",
      "abi",
      "host",
      "netstack",
      "link",
      "link/host",
      "gateway",
      "gofer",
      "gofer/server",
      "sentry",
      "sentry/loop",
    ],
  ],
  ["cli", ["base", "link", "lab", "sandbox"]],
];

/** Rooms that run in virtual time as well: no clock and no randomness but what they are given. */
const CORE = ["base", "abi", "netstack", "link", "gofer", "sentry", "lab"];

function roomOf(path: string): string {
  const room = ROOMS.find(([prefix]) => path.startsWith(`${prefix}/`));
  if (room === undefined) throw new Error(`${path} is in no room of the layering table`);
  return room[0];
}

function sources(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

const files = sources(SRC).map((path) => ({
  path: relative(SRC, path),
  text: readFileSync(path, "utf8"),
}));

function importsOf(file: { path: string; text: string }): string[] {
  const specifiers = [...file.text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((m) => m[1]);
  return specifiers.map((s) =>
    s.startsWith(".") ? relative(SRC, resolve(SRC, dirname(file.path), s)) : s,
  );
}

describe("layering", () => {
  it("lets a room import only what the architecture allows", () => {
    const wrong: string[] = [];
    for (const file of files) {
      const room = roomOf(file.path);
      const allowed = ROOMS.find(([name]) => name === room)?.[1] ?? [];
      for (const target of importsOf(file)) {
        if (!target.endsWith(".ts")) continue;
        const targetRoom = roomOf(target);
        if (targetRoom !== room && !allowed.includes(targetRoom)) {
          wrong.push(`${file.path}: ${room} may not import ${target}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it("opens netstack through its door only", () => {
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter((target) => target.startsWith("netstack/") && target !== "netstack/index.ts")
        .filter(() => !file.path.startsWith("netstack/") && !file.path.includes("testing"))
        .map((target) => `${file.path} imports ${target}: use netstack/index.ts`),
    );
    expect(wrong).toEqual([]);
  });

  it("ships nothing that needs what only tests need, and is not shipped", () => {
    const isForTests = (path: string): boolean => /(^|\/)testing/.test(path);
    const wrong = files
      .filter((file) => !isForTests(file.path))
      .flatMap((file) =>
        importsOf(file)
          .filter(isForTests)
          .map((target) => `${file.path} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it("declares C functions in src/host only", () => {
    const wrong = files
      .filter((file) => /"koffi"/.test(file.text) && !file.path.startsWith("host/"))
      .map((file) => file.path);
    expect(wrong).toEqual([]);
  });

  it("keeps wall-clock time and ambient randomness out of the core", () => {
    const banned =
      /\b(Date\.now|new Date\b|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|queueMicrotask|crypto\.)/;
    const wrong = files
      .filter((file) => CORE.includes(roomOf(file.path)))
      .flatMap((file) =>
        file.text
          .split("\n")
          .map((line, i) => ({ line: line.replace(/\/\/.*$/, ""), at: `${file.path}:${i + 1}` }))
          .filter(({ line }) => banned.test(line))
          .map(({ at, line }) => `${at}: ${line.trim()}: take Clock or Rng by constructor`),
      );
    expect(wrong).toEqual([]);
  });

  it("never awaits inside the Sentry or the stack", () => {
    const wrong = files
      .filter((file) =>
        ["netstack", "sentry", "sentry/platform/systrap"].includes(roomOf(file.path)),
      )
      .flatMap((file) =>
        file.text
          .split("\n")
          .map((line, i) => ({ line: line.replace(/\/\/.*$/, ""), at: `${file.path}:${i + 1}` }))
          .filter(({ line }) => /\b(await|async)\s/.test(line) && !/^\s*\*/.test(line))
          .map(({ at }) => at),
      );
    expect(wrong).toEqual([]);
  });
});
