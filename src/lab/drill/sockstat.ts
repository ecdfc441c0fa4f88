// FreeBSD's sockstat(1) and tcpdrop(8) as scripts use them: a table of connections with their states, piped
// through grep, whose exit status is the assertion. The words are interpreted; nothing is executed.

import type { Command } from "./ast.ts";
import type { Environment } from "./commands.ts";
import { mismatch } from "./drill-error.ts";
import { DrillSocket } from "./socket.ts";

/** By the stack's number, as sockstat -s spells them. */
const STATES: readonly string[] = [
  "",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RCVD",
  "FIN_WAIT_1",
  "FIN_WAIT_2",
  "TIME_WAIT",
  "CLOSED",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
  "CLOSING",
];

const FIN_WAIT_2 = 5;
const TIME_WAIT = 6;

/** One line per TCP socket and connection: who has it, ports, state. */
function rows(env: Environment, port: number): string[] {
  const { demux, timeWaits } = env.stack.tcp.context;
  const lines: string[] = [];
  /** State by ports: of a socket, unless a connection stands behind it. */
  const owned = new Map<string, number>();
  for (const file of env.process.files.values()) {
    if (!(file instanceof DrillSocket) || file.tcp === null) continue;
    const { localPort, remotePort, state } = file.tcp;
    owned.set(`${localPort} ${remotePort}`, state);
  }
  const add = (owner: string, local: number, remote: number, state: number): void => {
    if (port === 0 || port === local || port === remote) {
      lines.push(`${owner} tcp *:${local} *:${remote} ${STATES[state]}`);
    }
  };
  const addConnection = (local: number, remote: number, state: number): void => {
    add(owned.delete(`${local} ${remote}`) ? "packetdrill" : "?", local, remote, state);
  };
  for (const tcb of demux.all()) addConnection(tcb.localPort, tcb.remotePort, tcb.state);
  for (const tw of timeWaits.all()) {
    addConnection(tw.localPort, tw.ports & 0xffff, tw.isFinWait2 ? FIN_WAIT_2 : TIME_WAIT);
  }
  for (const [ports, state] of owned) {
    const [local, remote] = ports.split(" ").map(Number);
    add("packetdrill", local, remote, state);
  }
  return lines;
}

function grep(lines: string[], words: string[], of: Command): string[] {
  const pattern = words.at(-1) as string;
  const options = words.slice(1, -1);
  if (words.length < 2 || options.some((option) => option !== "-c")) {
    throw mismatch(of.place, `no such grep: '${words.join(" ")}'`);
  }
  const found = lines.filter((line) => line.includes(pattern));
  return options.length > 0 ? [String(found.length)] : found;
}

/** sockstat [-4|-6] [-P tcp] [-p port] -s | grep ...: the last grep must find something. */
export function sockstat(line: string, env: Environment, of: Command): void {
  const [first, ...filters] = line.split("|").map((part) => part.trim().split(/\s+/));
  const at = first.indexOf("-p");
  let lines = rows(env, at < 0 ? 0 : Number(first[at + 1]));
  const all = lines;
  for (const words of filters) lines = grep(lines, words, of);
  if (lines.length > 0) return;
  throw mismatch(of.place, `'${line}' finds nothing in: ${all.join("; ") || "no connections"}`);
}

/** tcpdrop -s STATE: those connections end without a word. */
export function tcpdrop(line: string, env: Environment): void {
  const state = /-s\s+(\w+)/.exec(line)?.[1];
  const { tcp } = env.stack;
  const { demux, timeWaits } = tcp.context;
  for (const tcb of [...demux.all()]) if (STATES[tcb.state] === state) tcp.drop(tcb);
  if (STATES[TIME_WAIT] !== state) return;
  for (const tw of [...timeWaits.all()]) timeWaits.remove(tw);
}
