// How many descriptors this process may open, raised to what the host allows (prlimit64(2)).

import { SYS_prlimit64 } from "../../abi/syscall-numbers.ts";
import { setU64Le, u64Le } from "../../base/bytes.ts";
import { addressOf, sys } from "../../host/raw-syscall.ts";

const RLIMIT_NOFILE = 7;
const WANTED = 8192;

export function openDescriptorLimit(): number {
  const limit = new Uint8Array(16);
  const at = addressOf(limit);
  if (sys(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, at, 0, 0) < 0) return 256;
  const soft = u64Le(limit, 0);
  const wanted = Math.min(WANTED, u64Le(limit, 8));
  if (soft >= wanted) return soft;
  setU64Le(limit, 0, wanted);
  return sys(SYS_prlimit64, 0, RLIMIT_NOFILE, at, 0, 0, 0) < 0 ? soft : wanted;
}
