// A sandbox on a TAP device that asks for its address, with busybox' udhcpd as the server on the host's side.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { readCapture } from "./support/capture.ts";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";
import { TapBench } from "./support/tap.ts";

const SERVER = "10.79.0.1";
/** A second address of the host's, in the range that the server gives from. */
const TAKEN = "10.79.0.50";

describeWith(["root", "ip", "busybox", "tcpdump", "ping"], "DHCP on a TAP device", () => {
  let tap: TapBench;
  beforeAll(() => {
    tap = new TapBench("tapd", [`${SERVER}/24`]);
    tap.exec("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
  });
  afterEach(() => tap.finish());
  afterAll(() => tap?.remove());

  /** Until the returned function is called. */
  const serve = (start: string, end: string, more = ""): (() => Promise<void>) => {
    const conf = join(tap.directory, "udhcpd.conf");
    const leases = join(tap.directory, `leases-${start}`);
    writeFileSync(leases, "");
    writeFileSync(
      conf,
      `start ${start}\nend ${end}\ninterface tapd\nlease_file ${leases}\npidfile /dev/null\n` +
        `option subnet 255.255.255.0\noption router ${SERVER}\noption lease 600\n${more}`,
    );
    const server = tap.ns.spawn("busybox", "udhcpd", "-f", conf);
    const gone = once(server, "exit");
    return async () => {
      server.kill("SIGTERM");
      await gone;
    };
  };

  it("gives the program an address, a route, name servers and a domain", async () => {
    const stop = serve(
      "10.79.0.20",
      "10.79.0.29",
      `option dns ${SERVER} 10.79.0.2\noption domain lab.example\noption mtu 1400\n`,
    );
    const pcap = join(tap.directory, "dhcp.pcap");
    const r = await tap.inside(
      ["--pcap", pcap, "--hostname", "cell"],
      [
        "sh",
        "-c",
        `ip -o -4 addr show eth0; ip route; cat /etc/resolv.conf /etc/hosts; ping -c 1 ${SERVER}`,
      ],
    );
    await stop();
    expect(r.stderr).toBe("");
    const address = /inet (10\.79\.0\.2\d)\/24/.exec(r.stdout)?.[1] ?? "none";
    expect(r.stdout).toContain(`default via ${SERVER} dev eth0 proto dhcp src ${address}`);
    expect(r.stdout).toContain(
      `search lab.example\nnameserver ${SERVER}\nnameserver 10.79.0.2\noptions edns0\n`,
    );
    expect(r.stdout).toContain(`${address}\tcell\n`);
    expect(r.stdout).toContain(" 0% packet loss");
    const { lines, complaints } = readCapture(pcap);
    expect(complaints).toEqual([]);
    const said = lines
      .filter((l) => /BOOTP\/DHCP/.test(l))
      .map((l) => /Request|Reply/.exec(l)?.[0]);
    // DISCOVER, OFFER, REQUEST, ACK, and RELEASE at the end.
    expect(said).toEqual(["Request", "Reply", "Request", "Reply", "Request"]);
    expect(lines.filter((l) => l.includes(`who-has ${address} tell 0.0.0.0`))).toHaveLength(3);
  });

  it("does not take an address that a station on the link has", async () => {
    // The server asks the link before it offers: its own machine's addresses it does not see.
    tap.exec(`ip addr add ${TAKEN}/24 dev tapd`);
    const stop = serve(TAKEN, "10.79.0.51");
    const pcap = join(tap.directory, "declined.pcap");
    try {
      // udhcpd's first choice for this one is the address that is taken.
      const flags = ["--mac", "02:00:00:00:00:02", "--pcap", pcap];
      const r = await tap.inside(flags, ["ip", "-o", "-4", "addr", "show", "eth0"]);
      expect(r.stdout).toContain("inet 10.79.0.51/24");
      const declined = readCapture(pcap).lines.filter((l) => l.includes("length 1: Decline"));
      expect(declined).toHaveLength(1);
    } finally {
      await stop();
      tap.exec(`ip addr del ${TAKEN}/24 dev tapd`);
    }
  });

  it("ends with a sentence when nobody answers", async () => {
    const r = await tap.inside(["--time", "virtual"], ["true"]);
    expect(r.status).toBe(125);
    expect(r.stderr).toBe(
      "netcell: no DHCP server gave an address within 30 s; give one with --ip, or none with --net none.\n",
    );
  });

  it("is only for TAP devices", async () => {
    const r = await cell(["true"], ["--ip", "dhcp"]);
    expect(r.status).toBe(125);
    expect(r.stderr).toContain("ip dhcp needs net tap");
  });
});
