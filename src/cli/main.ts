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

/** As a shell tells of SIGPIPE. */
const PIPE_STATUS = 141;

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

const RUN_HELP = `
Examples:
  netcell run -- sh -c 'echo hello'
  netcell run --allow example.com:443 -- curl -sS https://example.com/
  netcell run -p 8080:80 --bind ./site:/srv -- python3 -m http.server 80 -d /srv

The status is the program's (128+N when signal N ended it); 124 after --timeout,
125 when netcell itself failed, 126 not executable, 127 not found.`;

function addRun(netcell: Command, early: StartedProcesses | null): void {
  const command = netcell
    .command("run")
    .description("run a program in a new sandbox")
    .argument("[program]", "what to run; needed unless a bundle says it")
    .argument("[args...]", "its arguments")
    .passThroughOptions();
  addSandboxFlags(command, { hasShort: true })
    .option("--tmpfs-size <size>", "files in memory, all together (default: 2g)")
    .option("--sockets <n>", "sockets of all kinds (default: 32768)")
    .option("--connections <n>", "TCP connections (default: 16384)")
    .option("--rate <rate>", "of the link, each way: 10mbit (default: as fast as it goes)")
    .option("--timeout <duration>", "kill it after this time: 30s, 500ms (status 124)")
    .optionsGroup("Program and files:")
    .option("--bundle <dir>", "an OCI bundle: root, process, mounts and limits of its config.json")
    .option("--hostname <name>", "what uname says (default: netcell)")
    .option("-t, --tty", "a terminal (on by itself when standard input is one)")
    .option("-i, --interactive", "standard input (always connected; accepted for docker's sake)")
    .optionsGroup("Network:")
    .option("--allow <rule>", "let out: [tcp:|udp:|icmp:]HOST[:PORTS] (default: nothing)", collect)
    .option("--deny <rule>", "exception to --allow", collect)
    .option("-p, --publish <port>", "let in: [ADDR:]HOSTPORT:PORT[/udp]", collect)
    .option("--net <kind>", "gateway (default), none, tap[=NAME], switch=SOCKET")
    .option("--ip <cidr>", "address (default: 10.0.2.15/24; tap: dhcp)")
    .option("--router <addr>", "the way out (default: 10.0.2.2; tap and switch: none)")
    .option("--ip6 <cidr>", "IPv6 address, or auto (default: no IPv6)")
    .option("--router6 <addr>", "default: as routers advertise")
    .option("--dns <addr>", "name server (default: the router's)")
    .option("--mtu <n>", "largest IP packet (default: 65520; tap: 1500; switch: what it says)")
    .option("--mac <mac>", "like 02:6e:63:00:00:0f")
    .option("--pcap <file>", "record every frame (.pcap or .pcapng)")
    .option("--impair <spec>", "a bad link: loss=1%,delay=50ms,jitter=10ms,rate=10mbit,...")
    .optionsGroup("Time and diagnostics:")
    .option("--time <clock>", "host, or virtual[=START]: jumps when all programs wait")
    .option("--seed <n>", "repeatable randomness")
    .option("--strace", "trace system calls to --log, or stderr")
    .option("--log <file>", "diagnostics: system calls that are missing, with --strace all")
    .addHelpText("after", RUN_HELP)
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

/** "error: unknown option '--mem'\n(Did you mean --memory?)" in our manner. */
const commanderSentence = (message: string): string =>
  message
    .replace(/^error: /, "")
    .replace(/\n\(Did you mean (.+)\?\)$/, "; did you mean $1?")
    .replace(/[^.?]$/, "$&.");

function explain(error: unknown): string {
  if (error instanceof CommanderError) return commanderSentence(error.message);
  if (error instanceof NetcellError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/**
 * early: the processes of a sandbox that already start, for the verb that wants one. With them, and when nothing is
 * left to write, the process ends here.
 */
export async function main(early: StartedProcesses | null): Promise<void> {
  // Whoever read our output has seen enough (netcell drill ... | head).
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(PIPE_STATUS);
  });
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
