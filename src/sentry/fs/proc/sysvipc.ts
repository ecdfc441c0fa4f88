// /proc/sysvipc/shm: the System V shared memory segments (proc_sysvipc(5)), in Linux's columns.

import { SHM_DEST } from "../../../abi/ipc.ts";
import type { ByteString } from "../../../base/bytes.ts";
import type { Kernel } from "../../kernel/kernel.ts";

const NS_PER_S = 1_000_000_000;

const HEAD =
  "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid" +
  "      atime      dtime      ctime                   rss                  swap\n";

export function shmText(kernel: Kernel): ByteString {
  let text = HEAD;
  for (const s of kernel.sharedSegments.all()) {
    const mode = s.mode | (s.isDoomed ? SHM_DEST : 0);
    const owners = [s.uid, s.gid, s.cuid, s.cgid].map((id) => String(id).padStart(5));
    const times = [s.atimeNs, s.dtimeNs, s.ctimeNs].map((ns) =>
      String(Math.floor(ns / NS_PER_S)).padStart(10),
    );
    const fields = [
      String(s.key).padStart(10),
      String(s.id).padStart(10),
      ` ${mode.toString(8).padStart(4)}`,
      String(s.bytes).padStart(21),
      String(s.cpid).padStart(5),
      String(s.lpid).padStart(5),
      ` ${String(s.memory.attachCount).padStart(5)}`,
      ...owners,
      ...times,
      String(s.memory.residentBytes).padStart(21),
      String(0).padStart(21),
    ];
    text += `${fields.join(" ")}\n`;
  }
  return text;
}
