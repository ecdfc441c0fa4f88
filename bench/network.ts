// TCP streams, request-response and HTTP over the gateway and over TAP. The native side of the gateway rows is
// the host's loopback; of the TAP rows, a veth pair between two namespaces. TAP needs root, iproute2 and nginx;
// without them those rows are left out and said to be.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execute, inCell, median, type Row, type Workplace } from "./harness.ts";

const PORT = 7411;
const STREAM_MIB = 2000;
const RR_ROUNDS = 5000;
const HTTP_CONNECTIONS = 16;
const HTTP_SECONDS = 3;
const RUNS = 3;

type Runner = (argv: readonly string[]) => readonly string[];

async function figure(argv: readonly string[], cwd: string): Promise<number> {
  const values: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const ran = await execute(argv, cwd);
    const match = /^\S+ ([\d.]+)\n$/.exec(ran.stdout);
    if (match === null) {
      process.stderr.write(`${argv.join(" ")}: status ${ran.status}\n${ran.stderr}`);
      continue;
    }
    values.push(Number(match[1]));
  }
  return median(values);
}

/** Starts and waits for its first line. */
async function server(argv: readonly string[], cwd: string): Promise<ChildProcess> {
  // A process group of its own: stop() ends what the command started as well.
  const child = spawn(argv[0], argv.slice(1), {
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  await new Promise((go) => child.stdout?.once("data", go));
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
  if (child.exitCode === null && child.signalCode === null) {
    await new Promise((go) => child.once("exit", go));
  }
}

async function gatewayRows(place: Workplace): Promise<Row[]> {
  const { net, dir } = place;
  const peer = await server([net, "serve", "127.0.0.1", String(PORT)], dir);
  const host = "10.0.2.2";
  const cell: Runner = (argv) => inCell(argv, "--allow", `host:${PORT}`);
  const row = async (
    name: string,
    unit: string,
    target: string,
    what: string,
    n: number,
  ): Promise<Row> => ({
    name,
    unit,
    target,
    native: await figure([net, what, "127.0.0.1", String(PORT), String(n)], dir),
    netcell: await figure(cell([net, what, host, String(PORT), String(n)]), dir),
  });
  try {
    return [
      await row("gateway: TCP out", "Gbit/s", ">= 2.5", "send", STREAM_MIB),
      await row("gateway: TCP in", "Gbit/s", ">= 2.5", "recv", STREAM_MIB),
      await row("gateway: request-response", "us", "<= 200 us", "rr", RR_ROUNDS),
    ];
  } finally {
    await stop(peer);
  }
}

const ip = (...args: string[]): void => {
  execFileSync("ip", args, { stdio: "pipe" });
};

/** Two namespaces joined by a veth pair, and a TAP in the first: the native peer and the sandbox's place. */
class Lab {
  readonly outside = `ncb${process.pid}a`;
  readonly inside = `ncb${process.pid}b`;
  constructor() {
    ip("netns", "add", this.outside);
    ip("netns", "add", this.inside);
    ip(
      "-n",
      this.outside,
      "link",
      "add",
      "veth0",
      "type",
      "veth",
      "peer",
      "name",
      "veth1",
      "netns",
      this.inside,
    );
    ip("-n", this.outside, "addr", "add", "10.78.0.1/24", "dev", "veth0");
    ip("-n", this.inside, "addr", "add", "10.78.0.2/24", "dev", "veth1");
    ip("-n", this.outside, "link", "set", "veth0", "up");
    ip("-n", this.inside, "link", "set", "veth1", "up");
    ip("-n", this.outside, "link", "set", "lo", "up");
    ip("-n", this.outside, "tuntap", "add", "dev", "tap0", "mode", "tap", "vnet_hdr");
    ip("-n", this.outside, "addr", "add", "10.79.0.1/24", "dev", "tap0");
    ip("-n", this.outside, "link", "set", "tap0", "up");
  }
  readonly out: Runner = (argv) => ["ip", "netns", "exec", this.outside, ...argv];
  readonly native: Runner = (argv) => ["ip", "netns", "exec", this.inside, ...argv];
  readonly cell: Runner = (argv) =>
    this.out(inCell(argv, "--net", "tap=tap0", "--ip", "10.79.0.2/24"));
  remove(): void {
    ip("netns", "del", this.outside);
    ip("netns", "del", this.inside);
  }
}

async function tapStreams(place: Workplace, lab: Lab): Promise<Row[]> {
  const { net, dir } = place;
  const port = String(PORT);
  const peer = await server(lab.out([net, "serve", "0.0.0.0", port]), dir);
  const outward = async (what: string, n: number): Promise<[number, number]> => [
    await figure(lab.native([net, what, "10.78.0.1", port, String(n)]), dir),
    await figure(lab.cell([net, what, "10.79.0.1", port, String(n)]), dir),
  ];
  const rows: Row[] = [];
  for (const [name, unit, target, what, n] of [
    ["TAP: TCP out", "Gbit/s", ">= 5", "send", STREAM_MIB],
    ["TAP: TCP in", "Gbit/s", ">= 5", "recv", STREAM_MIB],
    ["TAP: request-response, client inside", "us", "<= 200 us", "rr", RR_ROUNDS],
  ] as const) {
    const [native, netcell] = await outward(what, n);
    rows.push({ name, unit, target, native, netcell });
  }
  await stop(peer);
  return rows;
}

async function tapServers(place: Workplace, lab: Lab): Promise<Row[]> {
  const { net, dir } = place;
  const conf = join(dir, "nginx.conf");
  mkdirSync(join(dir, "www"));
  writeFileSync(join(dir, "www/index.html"), "x".repeat(612));
  writeFileSync(
    conf,
    `daemon off; worker_processes 1; error_log /dev/null; pid ${dir}/nginx.pid; user root;
events { worker_connections 512; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path ${dir}/t1; proxy_temp_path ${dir}/t2;
fastcgi_temp_path ${dir}/t3; uwsgi_temp_path ${dir}/t4; scgi_temp_path ${dir}/t5;
server { listen 8080; root ${dir}/www; } }`,
  );
  const script = `nginx -c ${conf} & ${net} serve 0.0.0.0 ${PORT} & sleep 1; echo up; wait`;
  const measure = async (place: Runner, addr: string): Promise<[number, number]> => {
    const up = await server(place(["sh", "-c", script]), dir);
    const rr = await figure(lab.out([net, "rr", addr, String(PORT), String(RR_ROUNDS)]), dir);
    const load = [net, "http", addr, "8080", String(HTTP_CONNECTIONS), String(HTTP_SECONDS)];
    const http = await figure(lab.out(load), dir);
    await stop(up);
    return [rr, http];
  };
  const [nativeRr, nativeHttp] = await measure(lab.native, "10.78.0.2");
  const [cellRr, cellHttp] = await measure(lab.cell, "10.79.0.2");
  return [
    {
      name: "TAP: request-response, server inside",
      unit: "us",
      target: "<= 200 us",
      native: nativeRr,
      netcell: cellRr,
    },
    {
      name: "TAP: nginx inside, 612 bytes",
      unit: "req/s",
      target: ">= 4000",
      native: nativeHttp,
      netcell: cellHttp,
    },
  ];
}

export async function network(place: Workplace, only: (name: string) => boolean): Promise<Row[]> {
  const rows: Row[] = [];
  if (only("gateway")) rows.push(...(await gatewayRows(place)));
  if (!only("tap")) return rows;
  if (process.getuid?.() !== 0) {
    process.stderr.write("the TAP rows are left out: they need root\n");
    return rows;
  }
  const lab = new Lab();
  try {
    rows.push(...(await tapStreams(place, lab)), ...(await tapServers(place, lab)));
  } finally {
    lab.remove();
  }
  return rows;
}
