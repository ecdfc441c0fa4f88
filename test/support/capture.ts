// What tcpdump makes of a capture: the independent reader of every pcap that we write.

import { execFileSync } from "node:child_process";
import { which } from "./needs.ts";

/** The lines of `tcpdump -vvnr`, and whether it complained. */
export function readCapture(path: string): { lines: string[]; complaints: string[] } {
  const tcpdump = which("tcpdump");
  if (tcpdump === null) throw new Error("no tcpdump");
  const text = execFileSync(tcpdump, ["-vv", "-n", "-t", "-r", path], {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 1 << 30,
  });
  const lines = text.split("\n").filter((line) => line !== "");
  const complaints = lines.filter((line) =>
    /truncated|incorrect|bad (cksum|checksum|udp|tcp|ip)|\[\|/i.test(line),
  );
  return { lines, complaints };
}
