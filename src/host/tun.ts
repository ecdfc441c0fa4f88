// TAP devices (linux/if_tun.h, Documentation/networking/tuntap.rst): one open and a few ioctls. The
// descriptor then carries whole Ethernet frames, each behind a virtio-net header.

import { SYS_close, SYS_ioctl, SYS_openat, SYS_writev } from "../abi/syscall-numbers.ts";
import { addressOf, io, sys } from "./raw-syscall.ts";

const AT_FDCWD = -100;
const O_RDWR_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
const IFNAMSIZ = 16;

/**
 * Attaches to the TAP device `name` ("" for a new one of the kernel's choosing), made if it is not there
 * and we may. vnetHeaderBytes: size of the header on each frame. A non-blocking descriptor, or -errno.
 */
export function openTap(name: string, vnetHeaderBytes: number): number {
  const path = new Uint8Array([..."/dev/net/tun\0"].map((c) => c.charCodeAt(0)));
  const fd = sys(SYS_openat, AT_FDCWD, addressOf(path), O_RDWR_NONBLOCK_CLOEXEC, 0, 0, 0);
  if (fd < 0) return fd;
  const request = new Uint8Array(40);
  const length = Math.min(name.length, IFNAMSIZ - 1);
  for (let i = 0; i < length; i++) request[i] = name.charCodeAt(i);
  const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  request[IFNAMSIZ] = flags & 0xff;
  request[IFNAMSIZ + 1] = flags >>> 8;
  let r = sys(SYS_ioctl, fd, TUNSETIFF, addressOf(request), 0, 0, 0);
  if (r >= 0) {
    const size = new Uint8Array([vnetHeaderBytes, 0, 0, 0]);
    r = sys(SYS_ioctl, fd, TUNSETVNETHDRSZ, addressOf(size), 0, 0, 0);
  }
  if (r >= 0) {
    r = sys(SYS_ioctl, fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, 0, 0, 0);
  }
  if (r < 0) {
    sys(SYS_close, fd, 0, 0, 0, 0, 0);
    return r;
  }
  return fd;
}

const IOVEC_BYTES = 16;

/** Two pieces written as one (writev(2)), without a copy. Keeps its iovec array at a fixed place. */
export class GatherWriter {
  readonly #iov = new Uint8Array(2 * IOVEC_BYTES);
  readonly #view = new DataView(this.#iov.buffer);
  /** Where a buffer lies never changes: asked once. */
  readonly #addresses = new WeakMap<ArrayBufferLike, number>();

  /** Bytes written or -errno. */
  write(
    fd: number,
    a: Uint8Array,
    aOffset: number,
    aLength: number,
    b: Uint8Array,
    bOffset: number,
    bLength: number,
  ): number {
    this.#set(0, this.#address(a) + aOffset, aLength);
    this.#set(IOVEC_BYTES, this.#address(b) + bOffset, bLength);
    return io(SYS_writev, fd, this.#iov, 0, 2, 0);
  }

  #set(at: number, address: number, length: number): void {
    this.#view.setUint32(at, address >>> 0, true);
    this.#view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true);
    this.#view.setUint32(at + 8, length, true);
    this.#view.setUint32(at + 12, 0, true);
  }

  #address(bytes: Uint8Array): number {
    const buffer = bytes.buffer;
    let base = this.#addresses.get(buffer);
    if (base === undefined) {
      base = addressOf(new Uint8Array(buffer));
      this.#addresses.set(buffer, base);
    }
    return base + bytes.byteOffset;
  }
}
