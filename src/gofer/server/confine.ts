// The Gofer's own walls: it holds descriptors of the trees and needs nothing else of the host. In order: no
// new privileges, only the capabilities that serving files takes, Landlock where the kernel has it, and a
// system call filter on every thread of the process.

import { O_PATH } from "../../abi/fcntl.ts";
import { SYS_capget, SYS_capset } from "../../abi/syscall-numbers.ts";
import { setU32Le, u32Le } from "../../base/bytes.ts";
import { openAt } from "../../host/fs-at.ts";
import { type LandlockTree, restrictToTrees } from "../../host/landlock.ts";
import { close } from "../../host/libc.ts";
import {
  SIGKILL,
  setDumpable,
  setNoNewPrivileges,
  setParentDeathSignal,
} from "../../host/process.ts";
import { addressOf, sys } from "../../host/raw-syscall.ts";
import type { GoferServer } from "./server.ts";

const CAP_VERSION_3 = 0x20080522;
const CAP_CHOWN = 1 << 0;
const CAP_DAC_OVERRIDE = 1 << 1;
const CAP_DAC_READ_SEARCH = 1 << 2;
const CAP_FOWNER = 1 << 3;

/** What is in force, for `netcell inspect`. */
export interface Confinement {
  landlockVersion: number;
  seccomp: boolean;
  capabilities: number;
}

export function confine(server: GoferServer, installFilter: (() => number) | null): Confinement {
  setParentDeathSignal(SIGKILL);
  setDumpable(false);
  const roots = server.treeRoots();
  if (setNoNewPrivileges() < 0) throw new Error("the host refuses no_new_privs");
  const anyWritable = roots.some((root) => root.writable);
  const capabilities = dropCapabilities(anyWritable);
  const landlockVersion = restrict(roots);
  const seccomp = installFilter !== null && installFilter() >= 0;
  return { landlockVersion, seccomp, capabilities };
}

/** Root keeps the right to read (and, for a writable tree, to change) other users' files; nothing more. */
function dropCapabilities(anyWritable: boolean): number {
  if (process.geteuid?.() !== 0) return 0;
  const keep = CAP_DAC_READ_SEARCH | (anyWritable ? CAP_CHOWN | CAP_DAC_OVERRIDE | CAP_FOWNER : 0);
  dropGroups();
  const header = new Uint8Array(8);
  setU32Le(header, 0, CAP_VERSION_3);
  const data = new Uint8Array(24);
  const put = (kept: number): number => {
    data.fill(0);
    setU32Le(data, 0, kept);
    setU32Le(data, 4, kept);
    return sys(SYS_capset, addressOf(header), addressOf(data), 0, 0, 0, 0);
  };
  // In a container root may have few of these, or none.
  const held = sys(SYS_capget, addressOf(header), addressOf(data), 0, 0, 0, 0);
  const kept = held === 0 ? keep & u32Le(data, 4) : 0;
  if (put(kept) === 0) return kept;
  return put(0) === 0 ? 0 : -1;
}

function dropGroups(): void {
  try {
    process.setgroups?.([]);
  } catch (error) {
    // A root without CAP_SETGID keeps its groups, like any other user.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error;
  }
}

function restrict(
  roots: readonly { fd: number; writable: boolean; fileName: string | null }[],
): number {
  const trees: LandlockTree[] = roots.map(({ fd, writable, fileName }) => ({
    fd: fileName === null ? fd : openAt(fd, fileName, O_PATH, 0),
    writable,
    isFile: fileName !== null,
  }));
  const version = restrictToTrees(trees);
  for (const tree of trees) if (tree.isFile) close(tree.fd);
  if (version < 0) throw new Error(`Landlock refuses the served trees: errno ${-version}`);
  return version;
}
