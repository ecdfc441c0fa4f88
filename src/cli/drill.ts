// `netcell drill`: runs packetdrill scripts against the stack in virtual time. One line per script, the sum
// last; exit status 1 when one failed. Reads files and starts jobs; everything else is in src/lab/drill.

import { spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { type DrillFamily, type DrillOutcome, runScript } from "../lab/index.ts";
import { PcapWriter } from "../link/index.ts";
import { NetcellError } from "../sandbox/errors.ts";
import { paceText } from "./output.ts";

export interface DrillFlags {
  json?: boolean;
  jobs?: string;
  family?: string;
  profile?: string;
  verbose?: boolean;
  pcap?: boolean | string;
  define?: string[];
}

interface Report {
  file: string;
  family: DrillFamily;
  state: DrillOutcome["state"];
  line: number;
  column: number;
  message: string;
  milliseconds: number;
  /** Virtual time the script took. */
  simulatedMs: number;
}

const FAMILIES: readonly DrillFamily[] = ["ipv4", "ipv6", "mapped"];

const usage = (message: string): NetcellError => new NetcellError("ERR_USAGE", message);

/** Scripts below the paths, in order of name. */
function scriptsAt(path: string): string[] {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch {
    throw usage(`there is no file or folder ${path}.`);
  }
  if (!isFolder) return [path];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const child = join(path, entry.name);
      if (entry.isDirectory()) return scriptsAt(child);
      return entry.name.endsWith(".pkt") ? [child] : [];
    });
}

/** null: as each script says, IPv4 where it says nothing. */
type FamilyChoice = DrillFamily | null;

/** By the corpus's naming: ...-v4.pkt and ...-v6.pkt are for one family only. */
function isForFamily(file: string, family: FamilyChoice): boolean {
  return family === null || !file.endsWith(family === "ipv6" ? "v4.pkt" : "v6.pkt");
}

function familiesOf(flag: string | undefined): FamilyChoice[] {
  if (flag === undefined) return [null];
  if (flag === "all") return [...FAMILIES];
  const wanted = flag.split(",") as DrillFamily[];
  for (const family of wanted) {
    if (!FAMILIES.includes(family))
      throw usage(`--family takes ipv4, ipv6, mapped or all, not ${family}`);
  }
  return wanted;
}

function profileOf(flag: string | undefined): "linux" | "freebsd" {
  if (flag === undefined || flag === "linux") return "linux";
  if (flag === "freebsd") return flag;
  throw usage(`--profile takes linux or freebsd, not ${flag}`);
}

function definesOf(flags: readonly string[] | undefined): Map<string, string> {
  return new Map(
    (flags ?? []).map((text) => {
      const at = text.indexOf("=");
      return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function runOne(file: string, choice: FamilyChoice, flags: DrillFlags): Report {
  const started = process.hrtime.bigint();
  let fd = -1;
  let pcap: PcapWriter | undefined;
  if (flags.pcap !== undefined && flags.pcap !== false) {
    const folder = typeof flags.pcap === "string" ? flags.pcap : ".";
    const target = openSync(join(folder, `${basename(file, ".pkt")}.${choice ?? "any"}.pcap`), "w");
    fd = target;
    const sink = {
      write: (bytes: Uint8Array, offset: number, length: number): void => {
        writeSync(target, bytes, offset, length);
      },
    };
    pcap = new PcapWriter(sink, "ns");
  }
  try {
    const outcome = runScript(readFileSync(file, "latin1"), {
      family: choice ?? (file.endsWith("v6.pkt") ? "ipv6" : undefined),
      profile: profileOf(flags.profile),
      defines: definesOf(flags.define),
      trace: flags.verbose === true ? (line) => process.stderr.write(`${line}\n`) : undefined,
      pcap,
    });
    const { family, state, line, column, message } = outcome;
    const milliseconds = Number(process.hrtime.bigint() - started) / 1e6;
    const simulatedMs = outcome.scriptNs / 1e6;
    return { file, family, state, line, column, message, milliseconds, simulatedMs };
  } finally {
    pcap?.flush();
    if (fd >= 0) closeSync(fd);
  }
}

function textOf(report: Report, showFamily: boolean): string {
  const name = showFamily ? `${report.file} (${report.family})` : report.file;
  if (report.state === "passed") return `ok ${name}`;
  if (report.state === "skipped") return `skip ${name}: ${report.message}`;
  const place = `${report.file}:${report.line}:${report.column}`;
  return `not ok ${showFamily ? `${place} (${report.family})` : place} ${report.message}`;
}

/** The same command over every n-th script, as a process of its own; its JSON lines come back. */
function runJob(
  files: readonly string[],
  family: FamilyChoice,
  flags: DrillFlags,
): Promise<Report[]> {
  const args = [process.argv[1], "drill", "--json"];
  if (family !== null) args.push("--family", family);
  if (flags.profile !== undefined) args.push("--profile", flags.profile);
  for (const define of flags.define ?? []) args.push("-D", define);
  if (typeof flags.pcap === "string") args.push("--pcap", flags.pcap);
  else if (flags.pcap === true) args.push("--pcap");
  args.push("--", ...files);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (piece: string) => {
      text += piece;
    });
    child.on("error", reject);
    child.on("close", () => {
      const lines = text.split("\n").filter((line) => line.startsWith('{"file"'));
      resolve(lines.map((line) => JSON.parse(line) as Report));
    });
  });
}

async function runInJobs(
  files: readonly string[],
  choice: FamilyChoice,
  flags: DrillFlags,
  jobs: number,
): Promise<Report[]> {
  const shares = Array.from({ length: jobs }, (_, k) => files.filter((_f, i) => i % jobs === k));
  const done = await Promise.all(
    shares.filter((share) => share.length > 0).map((share) => runJob(share, choice, flags)),
  );
  const byFile = new Map(done.flat().map((report) => [report.file, report]));
  return files.map((file) => {
    const report = byFile.get(file);
    if (report !== undefined) return report;
    const message = "its process ended before it did";
    const family = choice ?? "ipv4";
    const nowhere = { line: 0, column: 0, milliseconds: 0, simulatedMs: 0 };
    return { file, family, state: "failed", message, ...nowhere };
  });
}

export async function drill(paths: readonly string[], flags: DrillFlags): Promise<number> {
  const jobs = flags.jobs === undefined ? 1 : Number(flags.jobs);
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > 64) throw usage("--jobs takes 1 to 64");
  profileOf(flags.profile);
  const families = familiesOf(flags.family);
  const scripts = paths.flatMap(scriptsAt);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const started = performance.now();
  let simulatedMs = 0;
  const print = (report: Report): void => {
    counts[report.state]++;
    simulatedMs += report.simulatedMs;
    const text = flags.json === true ? JSON.stringify(report) : textOf(report, families.length > 1);
    process.stdout.write(`${text}\n`);
  };
  for (const family of families) {
    const files = scripts.filter((file) => isForFamily(file, family));
    if (jobs > 1) for (const report of await runInJobs(files, family, flags, jobs)) print(report);
    else for (const file of files) print(runOne(file, family, flags));
  }
  const seconds = (performance.now() - started) / 1e3;
  const simulatedSeconds = simulatedMs / 1e3;
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ ...counts, simulatedSeconds, seconds })}\n`);
  } else {
    const { passed, failed, skipped } = counts;
    const time = paceText(simulatedSeconds, seconds);
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped; ${time}\n`);
  }
  return counts.failed > 0 ? 1 : 0;
}
