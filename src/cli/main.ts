// The command line: verbs, flags and exit statuses; everything it does goes through the library.
// Data on stdout, everything else on stderr; one sentence per error. Started by scripts/start.cjs.

import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { exitStatusOf, NetcellError } from "../sandbox/errors.ts";
import { leave } from "../sandbox/leave.ts";
import { discardProcesses, type StartedProcesses } from "../sandbox/start-processes.ts";
import type { DecodeFlags } from "./decode.ts";
import type { DrillFlags } from "./drill.ts";
import { addSandboxFlags, collect, givenFlags, partOperands } from "./flags.ts";
import type { FuzzFlags } from "./fuzz-flags.ts";
import { isSilent, noteOutput, tell } from "./output.ts";
import { type ReplayFlags, refuseReplayWords } from "./replay-flags.ts";
import { run } from "./run.ts";
import type { RunFlags } from "./run-options.ts";
import type { SwitchFlags } from "./switch.ts";

const count = (_: string, previous: number): number => previous + 1;

/** package.json stands two levels up from here, in the repository as in the package. */
function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

function program(early: StartedProcesses | null): Command {
  const netcell = new Command("netcell")
    .description(
      "Runs unmodified Linux programs on a kernel and a TCP/IP stack written in TypeScript",
    )
    .version(version(), "-V, --version", "say which netcell this is")
    .enablePositionalOptions()
    .configureOutput({ writeErr: () => {} })
    .exitOverride();
  addRun(netcell, early);
  addSwitch(netcell);
  addSandboxes(netcell);
  addDrill(netcell);
  addReplay(netcell);
  addFuzz(netcell);
  return netcell;
}

function addRun(netcell: Command, early: StartedProcesses | null): void {
  const command = netcell
    .command("run")
    .description("run a program in a new sandbox")
    .argument("[program]", "and its arguments; of a bundle: instead of its own")
    .argument("[args...]")
    .passThroughOptions();
  addSandboxFlags(command, { hasShort: true })
    .option("--bundle <dir>", "an OCI bundle: root, process, mounts and limits of its config.json")
    .option("--hostname <name>")
    .option("-i, --interactive", "standard input (always connected; accepted for docker's sake)")
    .option("-t, --tty", "a terminal (on by itself when standard input is one)")
    .option("--net <kind>", "gateway, none, tap[=NAME], or switch=SOCKET (netcell switch)")
    .option("--ip <cidr>", "address; with tap and switch also dhcp, the default of tap")
    .option("--router <addr>")
    .option("--ip6 <cidr>", "IPv6 address, or auto")
    .option("--router6 <addr>", "default: as routers advertise")
    .option("--dns <addr>")
    .option("--mtu <n>")
    .option("--mac <mac>")
    .option("--allow <rule>", "egress rule: [tcp:|udp:|icmp:]HOST[:PORTS]", collect)
    .option("--deny <rule>", "exception to --allow", collect)
    .option("-p, --publish <port>", "[ADDR:]HOSTPORT:PORT[/udp]", collect)
    .option("--pcap <file>", "record every frame (.pcap or .pcapng)")
    .option("--rate <rate>", "of the link, each way: 10mbit (default: as fast as it goes)")
    .option("--sockets <n>", "sockets of all kinds (default: 32768)")
    .option("--connections <n>", "TCP connections (default: 16384)")
    .option("--tmpfs-size <size>", "files in memory, all together (default: 2g)")
    .option("--timeout <duration>", "kill it after this time (status 124)")
    .option("--impair <spec>", "a bad link: loss=1%,delay=50ms,jitter=10ms,rate=10mbit,...")
    .option("--time <clock>", "host, or virtual[=START]: jumps when all programs wait")
    .option("--seed <n>", "repeatable randomness")
    .option("--strace", "trace system calls to --log, or stderr")
    .option("--log <file>", "diagnostics: system calls that are missing, with --strace all")
    .action(async (name: string | undefined, args: string[], flags: RunFlags) => {
      process.exitCode = await run(name === undefined ? [] : [name, ...args], flags, early);
    });
}

function addSwitch(netcell: Command): void {
  netcell
    .command("switch")
    .description("be the Ethernet between sandboxes that run with --net switch=SOCKET")
    .argument("<socket>", "where they join: a unix socket, made here")
    .option("--mtu <n>", "of the Ethernet (default: 1500)")
    .action(async (path: string, flags: SwitchFlags) => {
      const { runSwitch } = await import("./switch.ts");
      process.exitCode = await runSwitch(path, flags);
    });
}

function addSandboxes(netcell: Command): void {
  netcell
    .command("list")
    .description("list the sandboxes that run, of this user (root: of all)")
    .option("--json", "as JSON")
    .action(async (flags: { json?: boolean }) => {
      const { list } = await import("./sandboxes.ts");
      process.exitCode = await list(flags.json === true);
    });
  netcell
    .command("kill")
    .description("send a signal to the program of a sandbox")
    .argument("<id>", "as netcell list shows it; its beginning is enough")
    .argument("[signal]", "name or number (default: TERM)")
    .action(async (id: string, signal: string | undefined) => {
      const { kill } = await import("./sandboxes.ts");
      process.exitCode = await kill(id, signal);
    });
  netcell
    .command("doctor")
    .description("say what this machine offers and what is in force")
    .option("--json", "as JSON")
    .action(async (flags: { json?: boolean }) => {
      const { doctor } = await import("./doctor.ts");
      process.exitCode = await doctor(flags.json === true);
    });
}

function addDrill(netcell: Command): void {
  netcell
    .command("drill")
    .description("run packetdrill scripts (files or folders) against the stack in virtual time")
    .argument("<path...>")
    .option("--json", "one JSON object per script, the counts last")
    .option("--jobs <n>", "processes to share the scripts (default: 1)")
    .option(
      "--family <list>",
      "ipv4, ipv6, mapped, or all (default: what each script says, or ipv4)",
    )
    .option("--profile <name>", "linux or freebsd: whose defaults scripts expect")
    .option("-D, --define <word=value>", "replace a word of the scripts", collect)
    .option("-v, --verbose", "show the exchange on standard error")
    .option("--pcap [folder]", "write the exchange of each script as SCRIPT.FAMILY.pcap")
    .action(async (paths: string[], flags: DrillFlags) => {
      const { drill } = await import("./drill.ts");
      process.exitCode = await drill(paths, flags);
    });
}

function addReplay(netcell: Command): void {
  const command = netcell
    .command("replay")
    .description(
      "play one side of the conversations in a capture (pcap or pcapng) against the stack, or against a program",
    )
    .argument("<capture>", "a file (.gz too), or - for standard input")
    .argument("[program...]", "behind --: the other side, in a sandbox")
    .option("--side <side>", "whom to play: client, server or auto", "auto")
    .option(
      "--pace <pace>",
      "captured, or fast: as soon as the other side has answered (default with a program)",
    )
    .option("--report <file.html>", "a page with the graphs of each connection")
    .option("--save <name>", "write NAME.pcapng, NAME.pkt and NAME.test.ts (NAME-N of several)")
    .option("--loose", "a program may say something else than the captured one")
    .option("--port <n>", "where the program listens (default: as captured)")
    .option("--strace", "trace system calls to --log, or stderr")
    .option("--log <file>", "diagnostics")
    .option("--only <n,...>", "these conversations alone, by their number")
    .option("--diff", "every packet of both, side by side")
    .option("--seed <n>", "of the stack's random choices (default: 1)")
    .option("--pcap <file>", "record what passes (.pcap or .pcapng)")
    .option("--decode", "only print the frames, as tcpdump does")
    .option("-v, --verbose", "with --decode: more of each frame; up to three times", count, 0)
    .option("-e, --link", "with --decode: the link's header too")
    .option("-S, --absolute", "with --decode: sequence numbers as on the wire")
    .option("--time <form>", "with --decode: local, epoch or none", "local")
    .option("--json", "one JSON object per conversation; with --decode per frame");
  addSandboxFlags(command, { hasShort: false }).action(
    async (path: string, rest: string[], flags: ReplayFlags & DecodeFlags) => {
      const words = { ...partOperands([path, ...rest], process.argv), given: givenFlags(command) };
      refuseReplayWords(words);
      if (flags.decode === true) {
        const { decode } = await import("./decode.ts");
        process.exitCode = await decode(path, flags);
        return;
      }
      const { replay } = await import("./replay.ts");
      process.exitCode = await replay(path, words.program, flags);
    },
  );
}

function addFuzz(netcell: Command): void {
  const command = netcell
    .command("fuzz")
    .description(
      "search for failures: of the parsers, the stack, two stacks, or a server in a sandbox",
    )
    .argument("[target]", "wire, stack or tcp")
    .argument("[program...]", "behind --: a server to run in a sandbox")
    .option("--seed <n>", "the same seed and corpus make the same campaign")
    .option("--runs <n>", "cases (default: as many as --time allows)")
    .option("--time <duration>", "how long (default: 60s)")
    .option("--corpus <dir>", "cases that reached something new: loaded at the start, and kept")
    .option("--workers <n>", "threads; of a program: sandboxes side by side (default: 1)")
    .option("--json", "the result as JSON")
    .option("--repeat <file>", "run the case of a failure again, and show the exchange")
    .option("--out <dir>", "where failures are written", ".")
    .option("--level <what>", "of a program: socket, or packet (raw frames besides)", "socket")
    .option("--port <n[/udp]>", "of a program: where it listens (default: 80)");
  addSandboxFlags(command, { hasShort: true }).action(
    async (target: string | undefined, rest: string[], flags: FuzzFlags) => {
      const { fuzz } = await import("./fuzz.ts");
      const operands = target === undefined ? [] : [target, ...rest];
      const words = { ...partOperands(operands, process.argv), given: givenFlags(command) };
      process.exitCode = await fuzz(words, flags);
    },
  );
}

function explain(error: unknown): string {
  if (error instanceof CommanderError) return error.message.replace(/^error: /, "");
  if (error instanceof NetcellError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/**
 * early: the processes of a sandbox that already start, for the verb that wants one. With them, and when nothing is
 * left to write, the process ends here.
 */
export async function main(early: StartedProcesses | null): Promise<void> {
  const netcell = program(early);
  try {
    await netcell.parseAsync(process.argv);
  } catch (error) {
    // Commander reports --help and --version by throwing after it has printed them.
    if (error instanceof CommanderError && error.exitCode === 0) process.exitCode = 0;
    else if (error instanceof CommanderError && error.code === "commander.help") {
      // No verb at all: the list of them says more than a sentence.
      noteOutput();
      process.stderr.write(netcell.helpInformation());
      process.exitCode = exitStatusOf(error);
    } else {
      tell(explain(error));
      process.exitCode = exitStatusOf(error);
    }
  }
  if (early === null) return;
  await discardProcesses(early);
  if (isSilent()) leave(Number(process.exitCode ?? 0));
}
