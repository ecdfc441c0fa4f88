// Settings of the kernel that a sandbox starts with: written into /proc/sys as root would, before the first program.
// What this kernel does not have, or does not let change, stops the start: an engine that asks for a setting
// relies on it.

import { ENOENT, errnoName } from "../../abi/errno.ts";
import { AT_FDCWD, O_WRONLY } from "../../abi/fcntl.ts";
import { putByteString, utf8ToByteString } from "../../base/bytes.ts";
import { Unusable } from "../control/protocol.ts";
import type { Task } from "../kernel/task.ts";
import { BytesIo } from "../vfs/io.ts";
import { openAt } from "../vfs/open.ts";

/** As sysctl(8): dots and slashes part the words. */
const fileOf = (name: string): string => `/proc/sys/${name.replaceAll(".", "/")}`;

function write(t: Task, name: string, value: string): number {
  const file = openAt(t, AT_FDCWD, utf8ToByteString(fileOf(name)), O_WRONLY, 0);
  if (typeof file === "number") return file;
  const text = utf8ToByteString(value);
  const bytes = new Uint8Array(text.length);
  putByteString(bytes, 0, text);
  const r = file.write(t, new BytesIo(bytes));
  file.decRef();
  return r;
}

/** Throws with a sentence. */
export function writeSysctls(t: Task, settings: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(settings)) {
    const r = write(t, name, value);
    if (r >= 0) continue;
    const why =
      r === -ENOENT
        ? "this kernel has no such setting"
        : `"${value}" is not taken (${errnoName(-r)})`;
    throw new Unusable(`sysctl ${name}: ${why}`);
  }
}
