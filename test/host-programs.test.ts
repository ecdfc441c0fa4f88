// Programs of sockets whose every line of output is what they say on the host's kernel (6.18): the files beside them
// were written by it, in a network namespace where everybody may ping (net.ipv4.ping_group_range).

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { cell } from "./support/cell.ts";
import { describeWith } from "./support/needs.ts";

/** For whom IPv6 hears the file is by hand: Linux's lo carries no groups of IPv6. */
const GROUPS_ON_LO = [
  "ip route add 224.0.0.0/4 dev lo",
  ...[2, 3, 4].map((i) => `ip addr add 2001:db8::${i}/128 dev lo`),
].join(";");

describeWith(["python3", "ip"], "programs that say what Linux does", () => {
  it.each([
    ["IPv4 options", "ip-options", ":"],
    ["IPv6 extension headers, labels", "ipv6-extensions", ":"],
    ["every option of IP and IPv6 up to 100", "ip-socket-options", ":"],
    ["groups and their source filters", "group-filters", GROUPS_ON_LO],
    ["SO_PEEK_OFF", "peek-offset", ":"],
    ["TCP_SAVE_SYN, and no repair", "saved-syn", ":"],
  ])("%s", async (_what, name, before) => {
    const path = fileURLToPath(new URL(`programs/${name}.py`, import.meta.url));
    const script = `${before}; exec python3 ${path}`;
    const run = await cell(["sh", "-c", script], ["--net", "none"], { cwd: dirname(path) });
    expect(run.stderr).toBe("");
    const native = readFileSync(path.replace(/py$/, "out"), "latin1");
    expect(run.stdout.split("\n")).toEqual(native.split("\n"));
  });
});
