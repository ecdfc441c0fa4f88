// /proc/sys/net: the settings of the network that are not TCP's (ip-sysctl.rst). Those that the sandbox has say what is
// true of it; those that can be written change what the stack and the sockets do.

import { CAP_NET_ADMIN } from "../../../abi/capability.ts";
import { EINVAL, EPERM } from "../../../abi/errno.ts";
import { MS } from "../../../base/clock.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { routingSysctls } from "./sys-routing.ts";
import { type SysctlFiles, tcpSysctls } from "./sys-tcp.ts";

const EPHEMERAL_PORT_MIN = 32_768;

/** ICMP's limits: Linux's milliseconds are our nanoseconds. */
function icmpValues(tree: SysctlFiles, kernel: Kernel): void {
  const file = (path: string, read: () => number, write: (n: number) => void): void => {
    tree.custom(
      path,
      () => String(read()),
      (t, text) => {
        const n = /^\s*[0-9]+\s*$/.test(text) ? Number(text) : Number.NaN;
        if (!(n <= 0x7fff_ffff)) return -EINVAL;
        if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
        write(n);
        return text.length;
      },
    );
  };
  file(
    "net/ipv4/conf/all/accept_source_route",
    () => Number(kernel.stack.acceptsSourceRoutes),
    (n) => {
      kernel.stack.acceptsSourceRoutes = n !== 0;
    },
  );
  file(
    "net/ipv4/conf/default/accept_source_route",
    () => Number(kernel.stack.acceptsSourceRoutesByDefault),
    (n) => {
      kernel.stack.acceptsSourceRoutesByDefault = n !== 0;
    },
  );
  for (const nic of kernel.stack.nics) {
    file(
      `net/ipv4/conf/${nic.name}/accept_source_route`,
      () => Number(nic.acceptsSourceRoutes),
      (n) => {
        nic.acceptsSourceRoutes = n !== 0;
      },
    );
  }
  for (const [path, key] of [
    ["net/ipv4/igmp_max_memberships", "membershipsMax"],
    ["net/ipv4/igmp_max_msf", "sourcesMax"],
    ["net/ipv6/mld_max_msf", "sourcesMax6"],
  ] as const) {
    const write = (n: number): void => {
      kernel.stack.groups[key] = n;
    };
    file(path, () => kernel.stack.groups[key], write);
  }
  const limitOf = (family: 4 | 6) => (family === 4 ? kernel.stack.icmp : kernel.stack.icmp6).limit;
  for (const [path, family] of [
    ["net/ipv4/icmp_ratelimit", 4],
    ["net/ipv6/icmp/ratelimit", 6],
  ] as const) {
    const write = (ms: number): void => {
      limitOf(family).hostIntervalNs = ms * MS;
    };
    file(path, () => limitOf(family).hostIntervalNs / MS, write);
  }
  const setMask = (mask: number): void => {
    kernel.stack.icmp.ratemask = mask;
  };
  file("net/ipv4/icmp_ratemask", () => kernel.stack.icmp.ratemask, setMask);
  tree.value("net/ipv4/icmp_msgs_per_sec", kernel.limits.icmpErrorsPerSecond);
  tree.value("net/ipv4/icmp_msgs_burst", 50);
}

function socketRights(tree: SysctlFiles, kernel: Kernel): void {
  const rights = kernel.socketRights;
  tree.custom(
    "net/ipv4/ip_unprivileged_port_start",
    () => String(rights.unprivilegedPortStart),
    (t, text) => {
      const n = /^\s*[0-9]+\s*$/.test(text) ? Number(text) : Number.NaN;
      // ipv4_privileged_ports(): it may not reach into the ephemeral ports.
      if (!(n <= EPHEMERAL_PORT_MIN)) return -EINVAL;
      if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
      rights.unprivilegedPortStart = n;
      return text.length;
    },
  );
  tree.custom(
    "net/ipv4/ping_group_range",
    () => `${rights.pingGroupMin}\t${rights.pingGroupMax}`,
    (t, text) => {
      const match = /^\s*([0-9]{1,10})\s+([0-9]{1,10})\s*$/.exec(text);
      const [min, max] = [Number(match?.[1]), Number(match?.[2])];
      if (match === null || min > 0x7fff_ffff || max > 0x7fff_ffff) return -EINVAL;
      if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
      // ipv4_ping_group_range(): a range the wrong way round is nobody.
      rights.pingGroupMin = max < min ? 1 : min;
      rights.pingGroupMax = max < min ? 0 : max;
      return text.length;
    },
  );
}

export function networkSysctls(tree: SysctlFiles, kernel: Kernel): void {
  const { limits } = kernel;
  const buffer = limits.socketBufferBytesMax;
  tree.value("net/core/somaxconn", 4096);
  tree.value("net/core/rmem_max", buffer);
  tree.value("net/core/wmem_max", buffer);
  tree.value("net/core/rmem_default", 212_992);
  tree.value("net/core/wmem_default", 212_992);
  tree.value("net/core/optmem_max", 20_480);
  tree.value("net/core/netdev_max_backlog", 1000);
  tree.value("net/core/default_qdisc", "noqueue");
  tree.value("net/ipv4/ip_local_port_range", `${EPHEMERAL_PORT_MIN}\t60999`);
  tree.value("net/ipv4/ip_local_reserved_ports", "");
  routingSysctls(tree, () => kernel.stack);
  icmpValues(tree, kernel);
  tree.value("net/ipv4/ip_default_ttl", 64);
  tree.value("net/ipv4/ip_nonlocal_bind", 0);
  socketRights(tree, kernel);
  tree.value("net/ipv4/icmp_echo_ignore_all", 0);
  tcpSysctls(tree, () => kernel.stack.tcp.settings, kernel.limits);
  tree.value("net/ipv6/auto_flowlabels", 1);
  tree.value("net/ipv6/flowlabel_consistency", 1);
  tree.value("net/ipv6/flowlabel_state_ranges", 0);
  tree.value("net/ipv6/flowlabel_reflect", 0);
  tree.value("net/ipv6/conf/all/disable_ipv6", 0);
  tree.value("net/ipv6/conf/default/disable_ipv6", 0);
  tree.value("net/ipv6/bindv6only", 0);
  tree.value("net/unix/max_dgram_qlen", 512);
}
