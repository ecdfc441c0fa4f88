// Every capture of tcpdump's test folder, from a checkout that NETCELL_TCPDUMP names (not part of this repository):
// none makes the decoder throw; of the packets that are ours to know (IP of TCP, UDP, ICMP and IGMP, and ARP) nearly
// all are printed as tcpdump prints them, and what is said of checksums is the same in all of them.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FrameDecoder } from "../../src/lab/index.ts";
import { CaptureReader, sourceOf } from "../../src/link/index.ts";
import { which } from "../support/needs.ts";

const FOLDER = process.env.NETCELL_TCPDUMP;
/** The checkout's own, where it was built: the lines change with the version. */
const BUILT = join(FOLDER ?? "", "build/tcpdump");
const PROGRAM = existsSync(BUILT) ? BUILT : which("tcpdump");
const isThere = FOLDER !== undefined && PROGRAM !== null;
const note = isThere ? "" : " (skipped: NETCELL_TCPDUMP names no checkout, or there is no tcpdump)";
const EQUAL_MIN = 0.9;
const FRAMES_MIN = 4_000;
const KNOWN = new Set(["arp", "icmp", "icmpv6", "igmp", "dns", "dhcp", "dhcpv6"]);
/** Where tcpdump ends in NetBIOS before it looks at the checksum. */
const UNCHECKED = /smb_print_trans-oobr2/;
const CHECKSUM = /(?:bad (?:udp |icmp |tcp )?(?:cksum|checksum)|incorrect|wrong (?:icmp )?cksum)/i;

const filesOf = (folder: string): string[] =>
  readdirSync(join(folder, "tests"))
    .filter((name) => /\.(pcap|pcapng)$/.test(name))
    .map((name) => join(folder, "tests", name));

function ours(file: string, verbosity: number): { text: string; protocols: string[] }[] {
  const decoder = new FrameDecoder({ verbosity });
  const dissector = new FrameDecoder({ verbosity });
  const reader = new CaptureReader(sourceOf(readFileSync(file)));
  const frames = [];
  for (let frame = reader.next(); frame !== null; frame = reader.next()) {
    const protocols = dissector.layers(frame).map(({ protocol }) => protocol);
    frames.push({ text: decoder.text(frame), protocols });
  }
  return frames;
}

/** Its lines without times, those that go on with the one they belong to. */
function theirs(file: string, verbosity: number): string[] {
  const argv = ["-n", "-tt", ...new Array<string>(verbosity).fill("-v"), "-r", file];
  const { stdout } = spawnSync(PROGRAM ?? "", argv, {
    encoding: "latin1",
    maxBuffer: 1 << 30,
  });
  const lines = stdout.split(/^-?\d+\.\d{6,9} /m).slice(1);
  return lines.map((text) => text.trimEnd());
}

/** Ends in a protocol that we print whole; of TCP and UDP, unless tcpdump knows what is in them and we do not. */
function isKnown(protocols: readonly string[], mine: string, their: string): boolean {
  // Options of multipath TCP are a protocol of their own.
  if (/\bmptcp\b/.test(their)) return false;
  const last = protocols.at(-1) ?? "";
  if (last === "udp") return /UDP, |\[\|udp\]/.test(their);
  if (last === "tcp") return their.startsWith(mine) || /length \d+$/.test(their);
  return KNOWN.has(last);
}

describe.skipIf(!isThere)(`tcpdump's captures${note}`, () => {
  it.each([0, 1, 2])(
    "are printed as tcpdump prints them, -v times %i",
    { timeout: 600_000 },
    (verbosity) => {
      let known = 0;
      let equal = 0;
      const verdicts: string[] = [];
      for (const file of filesOf(FOLDER as string)) {
        const mine = ours(file, verbosity);
        const their = theirs(file, verbosity);
        mine.forEach(({ text, protocols }, i) => {
          const its = their[i];
          if (its === undefined || !isKnown(protocols, text, its)) return;
          known++;
          if (its.startsWith(text)) equal++;
          else if (CHECKSUM.test(text) !== CHECKSUM.test(its) && !UNCHECKED.test(file)) {
            verdicts.push(`${file} ${i + 1}\n${text}\n${its}`);
          }
        });
      }
      console.log(`-v ${verbosity}: ${equal} of ${known} equal`);
      expect(verdicts).toEqual([]);
      expect(known).toBeGreaterThan(FRAMES_MIN);
      expect(equal / known).toBeGreaterThan(EQUAL_MIN);
    },
  );
});
