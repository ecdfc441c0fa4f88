// What root's network tools see and do inside a sandbox: packet sockets, error queues, sock_diag, rtnetlink.

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { ECONNREFUSED, EINVAL, EISCONN, EOPNOTSUPP } from "../src/abi/errno.ts";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

const sh = (script: string, flags: readonly string[] = []) => cell(["sh", "-c", script], flags);

describeWith(["ping", "tcpdump"], "tcpdump inside", () => {
  it("shows an echo and its answer on lo, through the mapped ring", async () => {
    const run = await sh(
      "tcpdump -l -i lo -c 2 -n --immediate-mode icmp 2>&1 & until grep -q : /proc/net/dev && ping -c 1 -W 1 127.0.0.1 >/dev/null && sleep 0.3 && ! kill -0 $! 2>/dev/null; do :; done",
      ["--net", "none"],
    );
    expect(run.stdout).toMatch(/127\.0\.0\.1 > 127\.0\.0\.1: ICMP echo request/);
    expect(run.stdout).toMatch(/127\.0\.0\.1 > 127\.0\.0\.1: ICMP echo reply/);
    expect(run.stdout).toContain("0 packets dropped by kernel");
  });
});

describeWith(["ping", "ss", "ip"], "tools of iproute2 and iputils inside", () => {
  it("name the router that refused a ping", async () => {
    const run = await sh("ping -c 1 -W 2 198.51.100.7");
    expect(run.stdout).toContain("From 10.0.2.2 icmp_seq=1 Packet filtered");
  });

  it("change addresses and routes, and say what is wrong", async () => {
    const run = await sh(
      "ip addr add 10.9.9.1/24 dev eth0; ip addr add 10.9.9.1/24 dev eth0; ip route add 192.0.2.0/24 via 10.9.9.2 metric 7; ip route show 192.0.2.0/24; ss -H -lnt",
    );
    expect(run.stdout).toContain("192.0.2.0/24 via 10.9.9.2 dev eth0 metric 7");
    expect(run.stderr).toContain("RTNETLINK answers: File exists");
  });
});

describeWith(["python3"], "Fast Open by a program", () => {
  it("answers in every case as Linux does", async () => {
    const program = fileURLToPath(new URL("programs/fast-open.py", import.meta.url));
    const run = await cell(["python3", program], ["--net", "none"], { cwd: dirname(program) });
    expect(run.stderr).toBe("");
    // The output of the same program on the host's kernel (6.18), in a network namespace.
    expect(run.stdout.split("\n")).toEqual([
      "queue 5",
      "without a cookie 5 b'ok' no data in SYN",
      "with one 5 b'ok' data in SYN",
      "by connect 0 b'ok' data in SYN",
      "without waiting 3 b'ok' data in SYN",
      `once more ${EISCONN}`,
      "more than a SYN holds 100000 b'ok' data in SYN",
      "[5, 5, 50000, 3, 100000]",
      `nobody there ${ECONNREFUSED}`,
      `nowhere ${EINVAL}`,
      `switched off ${EOPNOTSUPP}`,
      "",
    ]);
  });
});
