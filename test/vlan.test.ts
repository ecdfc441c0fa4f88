// VLAN interfaces inside a sandbox: as `ip` makes and shows them, and on a TAP device, where the host's kernel reads the
// tags that we write and writes those that we read.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";
import { TapBench } from "./support/tap.ts";

const lines = (text: string): string[] =>
  text.split("\n").map((line) => line.trim().replace(/\s+/g, " "));

describeWith(["ip"], "VLAN interfaces", () => {
  it("are made, shown, changed and removed by ip", async () => {
    const script = `
      exec 2>&1
      ip link set eth0 mtu 1500
      ip link add link eth0 name eth0.5 type vlan id 5
      ip link add link eth0 type vlan id 6 protocol 802.1ad loose_binding on
      ip -d link show eth0.5; ip -d link show vlan0
      ip link add link eth0 name eth0.5 type vlan id 7
      ip link add link eth0 name x type vlan id 5
      ip link add link eth0 name x type vlan id 4095
      ip link add link lo name x type vlan id 8
      ip link add link eth0 name x type vlan id 8 egress-qos-map 0:5
      ip link set eth0.5 mtu 1501
      ip link set eth0.5 mtu 1400
      ip link set eth0.5 up; ip addr add 10.5.0.1/24 dev eth0.5; ip route show dev eth0.5
      ip link set eth0 down; ip -br link; ip link set eth0.5 up; ip link set eth0 up; ip -br link
      cat /proc/net/vlan/config; head -1 /proc/net/vlan/eth0.5; ls /sys/class/net
      ip monitor link > /tmp/heard & monitor=$!; sleep 0.5
      ip link del eth0.5; ip link del vlan0; ip link del eth0
      sleep 0.3; kill $monitor; grep -c Deleted /tmp/heard; ip -br link`;
    const r = await cell(["sh", "-c", script]);
    expect(r.stderr).toBe("");
    const mac = "link/ether MAC brd ff:ff:ff:ff:ff:ff promiscuity 0 minmtu 0 maxmtu 65535";
    const shown = lines(r.stdout.replace(/02(:[0-9a-f]{2}){5}/g, "MAC")).filter((l) => l !== "");
    const brief = (name: string, state: string, flags: string): string =>
      `${name} ${state} ${name === "lo" ? "00:00:00:00:00:00" : "MAC"} <${flags}>`;
    const lo = brief("lo", "UNKNOWN", "LOOPBACK,UP,LOWER_UP");
    const up = "BROADCAST,MULTICAST,UP,LOWER_UP";
    const below = "BROADCAST,MULTICAST,M-DOWN";
    const none = "BROADCAST,MULTICAST";
    expect(shown).toEqual([
      "3: eth0.5@eth0: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN mode DEFAULT group default qlen 1000",
      mac,
      "vlan protocol 802.1Q id 5 <REORDER_HDR> numtxqueues 1 numrxqueues 1",
      "4: vlan0@eth0: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN mode DEFAULT group default qlen 1000",
      mac,
      "vlan protocol 802.1ad id 6 <REORDER_HDR,LOOSE_BINDING> numtxqueues 1 numrxqueues 1",
      "RTNETLINK answers: File exists",
      "RTNETLINK answers: File exists",
      "RTNETLINK answers: Numerical result out of range",
      "RTNETLINK answers: Operation not supported",
      "RTNETLINK answers: Operation not supported",
      "RTNETLINK answers: Numerical result out of range",
      "10.5.0.0/24 proto kernel scope link src 10.5.0.1",
      ...[lo, brief("eth0", "DOWN", none)],
      ...[brief("eth0.5@eth0", "DOWN", below), brief("vlan0@eth0", "DOWN", below)],
      "RTNETLINK answers: Network is down",
      ...[lo, brief("eth0", "UP", up), brief("eth0.5@eth0", "UP", up)],
      brief("vlan0@eth0", "DOWN", none),
      "VLAN Dev name | VLAN ID",
      "Name-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD",
      ...["eth0.5 | 5 | eth0", "vlan0 | 6 | eth0"],
      "eth0.5 VID: 5 REORDER_HDR: 1 dev->priv_flags: 1021",
      ...["eth0", "eth0.5", "lo", "vlan0"],
      "RTNETLINK answers: Operation not supported",
      ...["2", lo, brief("eth0", "UP", up)],
    ]);
  });
});

describeWith(["root", "ip", "python3", "tcpdump"], "VLAN interfaces on TAP", () => {
  let tap: TapBench;
  beforeAll(() => {
    tap = new TapBench("tap0", ["10.77.0.1/24"]);
  });
  afterEach(() => tap.finish());
  afterAll(() => tap?.remove());

  it("speak with the tags that the host's kernel reads, one or two of them, and show them to tcpdump", async () => {
    const peerPath = fileURLToPath(new URL("programs/vlan-peer.py", import.meta.url));
    const [program, ...args] = tap.ns.wrap("/usr/bin/python3", peerPath, "tap0", "3");
    const peer = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let seen = "";
    const isReady = once(peer.stdout, "data");
    peer.stdout.on("data", (chunk) => {
      seen += chunk;
    });
    const ended = once(peer, "close");
    await isReady;
    const script = `
      ip link add link eth0 name eth0.5 type vlan id 5
      ip link set eth0.5 up; ip addr add 10.5.0.1/24 dev eth0.5
      ip link add link eth0 name outer type vlan id 100 protocol 802.1ad; ip link set outer up
      ip link add link outer name inner type vlan id 7
      ip link set inner up; ip addr add 10.7.0.1/24 dev inner
      tcpdump -i eth0 -c 4 -n -e vlan 5 > /tmp/parent 2> /dev/null & parent=$!
      tcpdump -i eth0.5 -c 4 -n -e > /tmp/vlan 2> /dev/null & vlan=$!
      sleep 1
      python3 -c '
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(10)
for n, to in ((56, "10.5.0.2"), (1464, "10.5.0.2"), (1464, "10.7.0.2")):
    s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, n) + b"p" * n, (to, 0)); print(len(s.recv(65536)))'
      wait $parent $vlan
      grep -o "vlan.*" /tmp/parent | cut -d: -f1 | sort | uniq -c
      grep -c "ethertype IPv4" /tmp/vlan; grep -c vlan /tmp/vlan`;
    const r = await tap.inside(
      ["--ip", "10.77.0.2/24", "--router", "10.77.0.1"],
      ["sh", "-c", script],
    );
    expect(r.stderr).toBe("");
    await ended;
    expect(lines(r.stdout)).toEqual([
      ...["64", "1472", "1472"],
      "1 vlan 5, p 0, ethertype ARP (0x0806), Reply 10.5.0.2 is-at 02",
      "1 vlan 5, p 0, ethertype ARP (0x0806), Request who-has 10.5.0.2 tell 10.5.0.1, length 28",
      "1 vlan 5, p 0, ethertype IPv4 (0x0800), 10.5.0.1 > 10.5.0.2",
      "1 vlan 5, p 0, ethertype IPv4 (0x0800), 10.5.0.2 > 10.5.0.1",
      ...["2", "0", ""],
    ]);
    expect(lines(seen)).toEqual([
      "ready",
      ...["arp 81000005", "echo 81000005 98", "echo 81000005 1506"],
      // The kernel takes the outer one off.
      ...["arp 88a8006481000007", "echo 88a8006481000007 1510"],
      "",
    ]);
  });
});
