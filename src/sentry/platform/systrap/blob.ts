// The blob in this process: mapped once, executable, at the address that stubs inherit; and the functions
// in it that the Sentry itself calls.

import * as host from "../../../host/index.ts";
import { STUB_BLOB } from "./blob.generated.ts";
import { CODE_BYTES, REGION_BASE } from "./layout.ts";

const EEXIST = 17;
const ENTRY_SPAWN = 0;
const ENTRY_CLOCK_NOW = 16;
const ENTRY_READ_TSC = 32;
const ENTRY_READ_CPU = 48;

function mapBlob(): void {
  const bytes = Buffer.from(STUB_BLOB, "base64");
  const at = host.mmap(
    REGION_BASE,
    CODE_BYTES,
    host.PROT_READ | host.PROT_WRITE,
    host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_FIXED_NOREPLACE,
    -1,
    0,
  );
  if (at === -EEXIST) {
    // Another thread of this process has mapped it (tests do): it must be the same.
    const there = new Uint8Array(host.viewAt(REGION_BASE, CODE_BYTES));
    if (bytes.every((b, i) => there[i] === b)) return;
  }
  if (at !== REGION_BASE) throw new Error(`address ${REGION_BASE.toString(16)} is taken (${at})`);
  new Uint8Array(host.viewAt(at, CODE_BYTES)).set(bytes);
  if (host.mprotect(at, CODE_BYTES, host.PROT_READ | host.PROT_EXEC) !== 0)
    throw new Error("the host refuses to make memory executable");
}
mapBlob();

/** Clones the zygote out of this process; args: address of struct spawn_args. Pid or -errno. */
export const spawnZygote = host.functionAt<(args: number) => number>(
  REGION_BASE + ENTRY_SPAWN,
  "int64_t netcell_spawn(uintptr_t args)",
);
/** Nanoseconds by a time page, TIME_* clock; -1 when the page says so. */
export const clockNow = host.functionAt<(page: number, clock: number) => number>(
  REGION_BASE + ENTRY_CLOCK_NOW,
  "int64_t netcell_clock_now(uintptr_t page, int clock)",
);
/** The time stamp counter; a bigint once it is past 2^53. */
export const readTsc = host.functionAt<() => number | bigint>(
  REGION_BASE + ENTRY_READ_TSC,
  "int64_t netcell_read_tsc()",
);
/** The CPU this thread is on. */
export const readCpu = host.functionAt<() => number>(
  REGION_BASE + ENTRY_READ_CPU,
  "int netcell_read_cpu()",
);
