// name_to_handle_at, open_by_handle_at: refused. A file handle would outlive the names that give
// permission to a file.

import { CAP_DAC_READ_SEARCH } from "../../abi/capability.ts";
import { EOPNOTSUPP, EPERM } from "../../abi/errno.ts";
import { SYS_name_to_handle_at, SYS_open_by_handle_at } from "../../abi/syscall-numbers.ts";
import type { SyscallFamily } from "./family.ts";

export const fileHandleSyscalls: SyscallFamily = [
  [SYS_name_to_handle_at, () => -EOPNOTSUPP],
  [
    SYS_open_by_handle_at,
    (t) => (t.creds.hasCapability(CAP_DAC_READ_SEARCH) ? -EOPNOTSUPP : -EPERM),
  ],
];
