// SO_BINDTODEVICE and SO_BINDTOIFINDEX (socket(7)): the interface that a socket sends and receives by.

import { EINVAL, ENODEV, ENOPROTOOPT } from "../../../abi/errno.ts";
import { SO_BINDTODEVICE, SO_BINDTOIFINDEX } from "../../../abi/socket.ts";
import { byteString, i32Le, putByteString, setU32Le } from "../../../base/bytes.ts";
import type { InetSocket } from "./inet-socket.ts";

export function setDevice(s: InetSocket, name: number, value: Uint8Array, length: number): number {
  if (name === SO_BINDTODEVICE) {
    let end = 0;
    while (end < Math.min(length, 15) && value[end] !== 0) end++;
    if (end === 0) {
      s.endpoint.options.boundNicId = 0;
      return 0;
    }
    const nic = s.network.interfaceByName(byteString(value, 0, end));
    if (nic === undefined) return -ENODEV;
    s.endpoint.options.boundNicId = nic.index;
    return 0;
  }
  if (name === SO_BINDTOIFINDEX) {
    if (length < 4) return -EINVAL;
    const index = i32Le(value, 0);
    if (index < 0) return -EINVAL;
    if (index !== 0 && s.network.interfaceByIndex(index) === undefined) return -ENODEV;
    s.endpoint.options.boundNicId = index;
    return 0;
  }
  return -ENOPROTOOPT;
}

export function getDevice(s: InetSocket, name: number, out: Uint8Array, maxLength: number): number {
  const index = s.endpoint.options.boundNicId;
  if (name === SO_BINDTOIFINDEX) {
    setU32Le(out, 0, index);
    return 4;
  }
  if (name !== SO_BINDTODEVICE) return -ENOPROTOOPT;
  if (index === 0) return 0;
  if (maxLength < 16) return -EINVAL;
  const nic = s.network.interfaceByIndex(index);
  if (nic === undefined) return -ENODEV;
  const length = putByteString(out, 0, nic.name);
  out[length] = 0;
  return length + 1;
}
