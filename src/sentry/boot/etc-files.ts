// The files under /etc that speak of the network and the host's name: the sandbox's own, whatever the
// served tree says (as container engines do).

import { O_CREAT, O_TRUNC, O_WRONLY } from "../../abi/fcntl.ts";
import { type ByteString, putByteString } from "../../base/bytes.ts";
import type { Task } from "../kernel/task.ts";
import { BytesIo } from "../vfs/io.ts";
import { unlinkAt } from "../vfs/name-operations.ts";
import { openAt } from "../vfs/open.ts";
import { resolve } from "../vfs/resolve.ts";

const AT_FDCWD = -100;

export interface EtcOptions {
  hostname: ByteString;
  /** The sandbox's own address, for /etc/hosts; null without a network. */
  address: ByteString | null;
  nameServers: readonly ByteString[];
  /** Domains that short names are looked up in. */
  search: readonly ByteString[];
}

/** 0 or -errno. A read-only root keeps what it has. */
export function writeFile(t: Task, path: ByteString, text: ByteString): number {
  const bytes = new Uint8Array(text.length);
  putByteString(bytes, 0, text);
  const file = openAt(t, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  if (typeof file === "number") return file;
  const r = file.write(t, new BytesIo(bytes));
  file.decRef();
  return r < 0 ? r : 0;
}

export function writeEtcFiles(t: Task, options: EtcOptions): void {
  const { hostname, address, nameServers, search } = options;
  const own = address === null ? `127.0.1.1\t${hostname}\n` : `${address}\t${hostname}\n`;
  const hosts = `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${own}`;
  const servers = nameServers.map((server) => `nameserver ${server}\n`).join("");
  const domains = search.length === 0 ? "" : `search ${search.join(" ")}\n`;
  const resolver = servers === "" ? domains : `${domains}${servers}options edns0\n`;
  // A root without /etc is meant to be bare.
  if (typeof resolve(t, AT_FDCWD, "/etc", true) === "number") return;
  for (const [path, text] of [
    ["/etc/hosts", hosts],
    ["/etc/hostname", `${hostname}\n`],
    ["/etc/resolv.conf", resolver],
  ]) {
    // Often a link to somewhere under /run that does not exist here.
    unlinkAt(t, AT_FDCWD, path);
    writeFile(t, path, text);
  }
}
