// Routing tables, rules and marks inside a sandbox, with iproute2 and the programs that use them. No peer is needed:
// where packets would go is seen in what the kernel answers.

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

const sh = (script: string, ...flags: string[]) => cell(["sh", "-ec", script], flags);

describeWith(["ip", "python3"], "routing inside", () => {
  it("lists the rules that every Linux starts with", async () => {
    const r = await sh("ip rule; ip -6 rule", "--ip6", "fd00::15/64");
    expect(r.stderr).toBe("");
    expect(r.stdout).toBe(
      "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n" +
        "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n",
    );
  });

  it("adds, lists and removes rules of every kind it knows", async () => {
    const r = await sh(`
      ip rule add from 10.0.2.15 to 192.0.2.0/24 iif lo fwmark 0x10/0xf0 lookup 100
      ip rule add not fwmark 7 priority 50 lookup 1000
      ip rule add oif eth0 prohibit
      ip rule add priority 40 goto 32766
      ip rule add to 198.51.100.1 unreachable
      ip rule add pref 45 lookup main suppress_prefixlength 0
      ip rule
      ip rule del priority 50
      ip rule del from 10.0.2.15 to 192.0.2.0/24
      ip rule add pref 45 lookup main suppress_prefixlength 0 2>&1 || true
      ip rule del priority 999 2>&1 || true
      echo; ip rule`);
    expect(r.stderr).toBe("");
    const [before, after] = r.stdout.split("\n\n");
    expect(before.split("\n").map((l) => l.trim().replace(/\s+/g, " "))).toEqual([
      "0: from all lookup local",
      // A rule without a priority goes in front of the second one (fib_default_rule_pref).
      "39: from all to 198.51.100.1 unreachable",
      "40: from all goto 32766",
      "45: from all lookup main suppress_prefixlength 0",
      "49: from all oif eth0 prohibit",
      "50: not from all fwmark 0x7 lookup 1000",
      "32765: from 10.0.2.15 to 192.0.2.0/24 fwmark 0x10/0xf0 iif lo lookup 100",
      "32766: from all lookup main",
      "32767: from all lookup default",
      "RTNETLINK answers: File exists",
      "RTNETLINK answers: No such file or directory",
    ]);
    expect(after).not.toContain("lookup 1000");
    expect(after).not.toContain("192.0.2.0/24");
  });

  it("shows several next hops, and rules by flow, as the host's kernel does", async () => {
    const path = fileURLToPath(new URL("programs/next-hops.sh", import.meta.url));
    const flags = ["--ip6", "fd00::15/64"];
    const r = await cell(["sh", path], flags, { cwd: dirname(path) });
    expect(r.stderr).toBe("");
    const native = readFileSync(path.replace(/sh$/, "out"), "latin1");
    expect(r.stdout.split("\n")).toEqual(native.split("\n"));
  });

  it("obeys rules by protocol, ports and owner, and shares connections out", async () => {
    const r = await sh(`
      ip rule add ipproto udp dport 53 prohibit
      ip rule add uidrange 1000-1000 unreachable
      ip rule add ipproto tcp sport 2000-2001 blackhole
      ip route add 203.0.113.0/24 nexthop via 10.0.2.2 nexthop via 10.0.2.9
      python3 -c '
import socket, errno, os
def go(kind, port, sport=0):
    s = socket.socket(socket.AF_INET, kind)
    s.setblocking(False)
    if sport: s.bind(("", sport))
    try: s.connect(("198.51.100.1", port)); print("connected")
    except OSError as e: print(errno.errorcode[e.errno])
    return s
go(socket.SOCK_DGRAM, 53); go(socket.SOCK_DGRAM, 54)
go(socket.SOCK_STREAM, 53); go(socket.SOCK_STREAM, 53, 2000)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in (54, 53, 54):
    try: print(s.sendto(b"x", ("198.51.100.1", port)))
    except OSError as e: print(errno.errorcode[e.errno])
os.setresuid(1000, 1000, 0)
go(socket.SOCK_DGRAM, 54)'
      hops() {
        for port in 1 2 3 4 5 6 7 8 9 10 11 12; do
          ip route get 203.0.113.9 ipproto tcp sport $port dport 80 | grep -o "via [^ ]*"
        done | sort -u | wc -l
      }
      hops; echo 1 > /proc/sys/net/ipv4/fib_multipath_hash_policy; hops`);
    expect(r.stderr.replace(/^netcell: refused.*\n/gm, "")).toBe("");
    expect(r.stdout.trim().split("\n")).toEqual([
      ...["EACCES", "connected", "EINPROGRESS", "EINVAL", "1", "EACCES", "1"],
      // A rule says net, a route says host.
      "ENETUNREACH",
      ...["1", "2"],
    ]);
  });

  it("keeps routes in tables, and takes the one that the rules say", async () => {
    const r = await sh(`
      ip route add default via 10.0.2.9 table 100
      ip route add 192.0.2.0/24 via 10.0.2.8 table 70000 metric 5
      ip rule add fwmark 1 lookup 100
      ip rule add from 10.0.2.15 lookup 70000
      ip route show table 100; ip route show table 70000; ip route
      ip route get 192.0.2.1
      ip route get 192.0.2.1 mark 1
      ip route get 192.0.2.1 from 10.0.2.15
      ip route flush table 100; ip route show table 100`);
    expect(r.stderr).toBe("");
    const lines = r.stdout.split("\n").map((l) => l.trim());
    expect(lines.slice(0, 4)).toEqual([
      "default via 10.0.2.9 dev eth0",
      "192.0.2.0/24 via 10.0.2.8 dev eth0 metric 5",
      "default via 10.0.2.2 dev eth0",
      "10.0.2.0/24 dev eth0 proto kernel scope link src 10.0.2.15",
    ]);
    expect(
      lines.filter((l) => l.startsWith("192.0.2.1 ")).map((l) => l.split(" uid")[0].trim()),
    ).toEqual([
      "192.0.2.1 via 10.0.2.2 dev eth0 src 10.0.2.15",
      "192.0.2.1 via 10.0.2.9 dev eth0 table 100 src 10.0.2.15 mark 1",
      "192.0.2.1 from 10.0.2.15 via 10.0.2.8 dev eth0 table 70000",
    ]);
  });

  it("tells who listens of every change (ip monitor)", async () => {
    const r = await sh(`
      ip monitor link address route rule neigh > /tmp/heard & monitor=$!
      sleep 0.5
      ip addr add 10.9.9.1/24 dev eth0
      ip route add 192.0.2.0/24 via 10.9.9.2 table 7
      ip rule add fwmark 3 lookup 7
      ip neigh add 10.9.9.3 lladdr 02:00:00:00:00:33 dev eth0 nud permanent
      ip neigh del 10.9.9.3 dev eth0
      ip link set eth0 mtu 1400
      ip rule del fwmark 3
      ip route del 192.0.2.0/24 table 7
      ip addr del 10.9.9.1/24 dev eth0
      sleep 0.3; kill $monitor; cat /tmp/heard`);
    expect(r.stderr).toBe("");
    const lines = r.stdout.split("\n").map((l) => l.trim().replace(/\s+/g, " "));
    const heard = lines.filter((l) => /10\.9\.9|192\.0\.2|mtu|fwmark/.test(l));
    expect(heard.map((l) => l.replace(/ (qlen|qdisc|scope global|state|group) .*/, ""))).toEqual([
      "2: eth0 inet 10.9.9.1/24 brd 10.9.9.255",
      "10.9.9.0/24 dev eth0 proto kernel scope link src 10.9.9.1",
      "192.0.2.0/24 via 10.9.9.2 dev eth0 table 7",
      "32765: from all fwmark 0x3 lookup 7",
      "10.9.9.3 dev eth0 lladdr 02:00:00:00:00:33 PERMANENT",
      "Deleted 10.9.9.3 dev eth0 lladdr 02:00:00:00:00:33 PERMANENT",
      "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400",
      "Deleted 32765: from all fwmark 0x3 lookup 7",
      "Deleted 192.0.2.0/24 via 10.9.9.2 dev eth0 table 7",
      "Deleted 2: eth0 inet 10.9.9.1/24 brd 10.9.9.255",
      "Deleted 10.9.9.0/24 dev eth0 proto kernel scope link src 10.9.9.1",
    ]);
  });

  it("forwards when root says so", async () => {
    const r = await sh(`
      cd /proc/sys/net
      cat ipv4/ip_forward ipv6/conf/all/forwarding; grep ^Ip: ../../net/snmp | tail -1 | cut -d" " -f2
      echo 1 > ipv4/ip_forward; echo 1 > ipv6/conf/all/forwarding
      cat ipv4/conf/all/forwarding ipv6/conf/all/forwarding
      grep ^Ip: ../../net/snmp | tail -1 | cut -d" " -f2
      echo 0 > ipv4/ip_forward; cat ipv4/ip_forward`);
    expect(r.stderr).toBe("");
    expect(r.stdout.replace(/\n/g, " ")).toBe("0 0 2 1 1 1 0 ");
  });

  it("refuses as the route or the rule says", async () => {
    const r = await sh(
      `
      ip route add unreachable 192.0.2.0/28
      ip route add prohibit 192.0.2.16/28
      ip route add blackhole 192.0.2.32/28
      ip route add throw 192.0.2.48/28
      ip -6 route add unreachable 2001:db8::/32
      ip rule add fwmark 9 prohibit
      ip route; ip -6 route
      exec python3 -c '
import socket, errno
def go(family, kind, addr, mark=0):
    s = socket.socket(family, kind)
    if mark: s.setsockopt(socket.SOL_SOCKET, 36, mark)
    try: s.connect((addr, 9)); print("connected")
    except OSError as e: print(errno.errorcode[e.errno])
for last in (1, 17, 33):
    go(socket.AF_INET, socket.SOCK_DGRAM, "192.0.2.%d" % last)
    go(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.%d" % last)
go(socket.AF_INET6, socket.SOCK_DGRAM, "2001:db8::1")
go(socket.AF_INET, socket.SOCK_DGRAM, "192.0.2.49")
go(socket.AF_INET, socket.SOCK_DGRAM, "198.51.100.1", 9)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: s.sendmsg([b"x"], [(socket.SOL_SOCKET, 36, (9).to_bytes(4, "little"))], 0, ("198.51.100.1", 9)); print("sent")
except OSError as e: print(errno.errorcode[e.errno])
s.sendto(b"x", ("198.51.100.1", 9)); print("sent")'`,
      "--ip6",
      "fd00::15/64",
    );
    expect(r.stderr.replace(/^netcell: refused.*\n/gm, "")).toBe("");
    expect(r.stdout).toContain("unreachable 192.0.2.0/28");
    expect(r.stdout).toContain("blackhole 192.0.2.32/28");
    expect(r.stdout).toContain("unreachable 2001:db8::/32");
    expect(r.stdout.trim().split("\n").slice(-11)).toEqual([
      ...["EHOSTUNREACH", "EHOSTUNREACH", "EACCES", "EACCES", "EINVAL", "EINVAL"],
      ...["EHOSTUNREACH", "ENETUNREACH", "EACCES", "EACCES", "sent"],
    ]);
  });
});
