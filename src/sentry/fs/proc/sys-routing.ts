// /proc/sys/net/ipv4 and ipv6 about routing (ip-sysctl.rst): forwarding, one switch for each family, for an interface has
// none of its own here; and how a flow chooses among several next hops.

import { EINVAL, EPERM } from "../../../abi/errno.ts";
import { type Family, HashPolicy, type Stack } from "../../../netstack/index.ts";
import type { SysctlFiles } from "./sys-tcp.ts";

const CAP_NET_ADMIN = 12;

export function routingSysctls(files: SysctlFiles, stackOf: () => Stack): void {
  const file = (
    path: string,
    read: () => number,
    write: (n: number) => void,
    max = 0x7fff_ffff,
    min = 0,
  ): void => {
    files.custom(
      path,
      () => String(read()),
      (t, text) => {
        const n = /^\s*-?[0-9]+\s*$/.test(text) ? Number(text) : Number.NaN;
        if (!(n >= min && n <= max)) return -EINVAL;
        if (!t.creds.hasCapability(CAP_NET_ADMIN)) return -EPERM;
        write(n);
        return text.length;
      },
    );
  };
  const forwards = (path: string, family: Family): void => {
    const isOn = (): boolean => {
      const { forwarding } = stackOf();
      return family === 4 ? forwarding.v4 : forwarding.v6;
    };
    const write = (n: number): void => stackOf().forwarding.enable(family, n !== 0);
    file(path, () => Number(isOn()), write, undefined, -0x8000_0000);
  };
  forwards("net/ipv4/ip_forward", 4);
  forwards("net/ipv4/conf/all/forwarding", 4);
  forwards("net/ipv6/conf/all/forwarding", 6);
  for (const family of [4, 6] as const) {
    const policy = (): number => stackOf().routes.multipath.policyOf(family);
    const write = (n: number): void => stackOf().routes.multipath.setPolicy(family, n);
    // Policy 3 chooses the fields of its hash: there is none.
    file(`net/ipv${family}/fib_multipath_hash_policy`, policy, write, HashPolicy.Inner);
  }
  file(
    "net/ipv4/fib_multipath_use_neigh",
    () => Number(stackOf().routes.multipath.usesNeighbors),
    (n) => {
      stackOf().routes.multipath.usesNeighbors = n !== 0;
    },
    1,
  );
}
