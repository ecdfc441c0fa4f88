// Landlock (landlock(7)): the calling thread, and what it starts, may reach only the given trees of files.
// Returns the ABI version in force, 0 where the kernel has none: callers report it, and do not depend on it.

import {
  SYS_close,
  SYS_landlock_add_rule,
  SYS_landlock_create_ruleset,
  SYS_landlock_restrict_self,
} from "../abi/syscall-numbers.ts";
import { setU32Le, setU64Le } from "../base/bytes.ts";
import { addressOf, sys } from "./raw-syscall.ts";

const CREATE_RULESET_VERSION = 1;
const RULE_PATH_BENEATH = 1;

const WRITE_FILE = 1 << 1;
const READ_FILE = 1 << 2;
const READ_DIR = 1 << 3;
const REMOVE_DIR = 1 << 4;
const REMOVE_FILE = 1 << 5;
const MAKE_DIR = 1 << 7;
const MAKE_REG = 1 << 8;
const MAKE_SYM = 1 << 12;
const REFER = 1 << 13;
const TRUNCATE = 1 << 14;

const READ = READ_FILE | READ_DIR;
const WRITE =
  WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE;
/** What a rule on a single file may name. */
const FILE_RIGHTS = READ_FILE | WRITE_FILE | TRUNCATE;

/** Bits of file access that each ABI version handles (index: version, the last for all later ones). */
const FS_RIGHTS = [0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff];
/** From version 4: TCP bind and connect; from 6: abstract unix sockets and signals. */
const NET_RIGHTS = 3;
const SCOPES = 3;

export interface LandlockTree {
  /** O_PATH descriptor of a directory or a file. */
  fd: number;
  writable: boolean;
  isFile: boolean;
}

export function landlockVersion(): number {
  return Math.max(0, sys(SYS_landlock_create_ruleset, 0, 0, CREATE_RULESET_VERSION, 0, 0, 0));
}

/** Precondition: no_new_privs is set. The version in force (0: none), or -errno. */
export function restrictToTrees(trees: readonly LandlockTree[]): number {
  const version = landlockVersion();
  if (version === 0) return 0;
  const handled = FS_RIGHTS[Math.min(version, FS_RIGHTS.length - 1)];
  const attr = new Uint8Array(24);
  setU64Le(attr, 0, handled);
  setU64Le(attr, 8, version >= 4 ? NET_RIGHTS : 0);
  setU64Le(attr, 16, version >= 6 ? SCOPES : 0);
  const attrBytes = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  const ruleset = sys(SYS_landlock_create_ruleset, addressOf(attr), attrBytes, 0, 0, 0, 0);
  if (ruleset < 0) return ruleset;
  const rule = new Uint8Array(12);
  const ruleAt = addressOf(rule);
  let r = 0;
  for (const tree of trees) {
    const rights = (tree.writable ? READ | WRITE : READ) & handled;
    setU64Le(rule, 0, tree.isFile ? rights & FILE_RIGHTS : rights);
    setU32Le(rule, 8, tree.fd);
    r = sys(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, ruleAt, 0, 0, 0);
    if (r < 0) break;
  }
  if (r === 0) r = sys(SYS_landlock_restrict_self, ruleset, 0, 0, 0, 0, 0);
  sys(SYS_close, ruleset, 0, 0, 0, 0, 0);
  return r < 0 ? r : version;
}
