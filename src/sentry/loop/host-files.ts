// HostFiles: reads and writes on descriptors the Sentry already holds. EINTR never comes out: the Sentry
// takes no signals that have handlers, and a call cut short by a stop is simply made again.

import { EINTR } from "../../abi/errno.ts";
import * as host from "../../host/index.ts";
import type { HostFiles } from "../host.ts";

export class DescriptorFiles implements HostFiles {
  read(fd: number, dst: Uint8Array, offset: number, length: number): number {
    let r: number;
    do r = host.read(fd, dst, offset, length);
    while (r === -EINTR);
    return r;
  }
  write(fd: number, src: Uint8Array, offset: number, length: number): number {
    let r: number;
    do r = host.write(fd, src, offset, length);
    while (r === -EINTR);
    return r;
  }
  pread(fd: number, dst: Uint8Array, offset: number, length: number, position: number): number {
    let r: number;
    do r = host.pread(fd, dst, offset, length, position);
    while (r === -EINTR);
    return r;
  }
  pwrite(fd: number, src: Uint8Array, offset: number, length: number, position: number): number {
    let r: number;
    do r = host.pwrite(fd, src, offset, length, position);
    while (r === -EINTR);
    return r;
  }
  poll(fd: number, mask: number): number {
    return host.pollOne(fd, mask, 0);
  }
  ftruncate(fd: number, length: number): number {
    return host.ftruncate(fd, length);
  }
  fsync(fd: number): number {
    return host.fsync(fd);
  }
  size(fd: number): number {
    return host.sizeOf(fd);
  }
  mode(fd: number): number {
    return host.modeOf(fd);
  }
  seek(fd: number, offset: number, whence: number): number {
    return host.seek(fd, offset, whence);
  }
  close(fd: number): void {
    host.close(fd);
  }
}
