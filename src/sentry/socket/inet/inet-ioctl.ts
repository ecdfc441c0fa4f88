// Interface ioctls on any socket (netdevice(7)): what ifconfig, getifaddrs fallbacks and language
// runtimes ask. Reading only: changing interfaces is EPERM, as for a program without CAP_NET_ADMIN.

import {
  EADDRNOTAVAIL,
  EFAULT,
  EINVAL,
  ENODEV,
  ENOTTY,
  EOPNOTSUPP,
  EPERM,
} from "../../../abi/errno.ts";
import {
  ARPHRD_ETHER,
  ARPHRD_LOOPBACK,
  IFCONF_BYTES,
  IFF_BROADCAST,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_MULTICAST,
  IFF_RUNNING,
  IFF_UP,
  IFNAMSIZ,
  IFREQ_BYTES,
} from "../../../abi/netdevice.ts";
import {
  AF_INET,
  FIOGETOWN,
  FIOSETOWN,
  SIOCADDRT,
  SIOCDELRT,
  SIOCETHTOOL,
  SIOCGIFADDR,
  SIOCGIFBRDADDR,
  SIOCGIFCONF,
  SIOCGIFDSTADDR,
  SIOCGIFFLAGS,
  SIOCGIFHWADDR,
  SIOCGIFINDEX,
  SIOCGIFMAP,
  SIOCGIFMETRIC,
  SIOCGIFMTU,
  SIOCGIFNAME,
  SIOCGIFNETMASK,
  SIOCGIFTXQLEN,
  SIOCGPGRP,
  SIOCSIFADDR,
  SIOCSIFFLAGS,
  SIOCSIFMTU,
  SIOCSIFNETMASK,
  SIOCSPGRP,
} from "../../../abi/socket.ts";
import {
  byteString,
  i32Le,
  putByteString,
  setU16Le,
  setU32,
  setU32Le,
  setU64Le,
  u64Le,
} from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Socket } from "../socket.ts";
import { inetStackOf } from "./inet-stack.ts";
import type { AddressView, InterfaceView, NetworkView } from "./network-view.ts";

const TX_QUEUE_LENGTH = 1000;
const request = new Uint8Array(IFREQ_BYTES);
/** Where ifreq's union begins. */
const VALUE = IFNAMSIZ;

export function interfaceFlags(nic: InterfaceView): number {
  let flags = IFF_MULTICAST;
  if (nic.isLoopback) flags = IFF_LOOPBACK;
  else flags |= IFF_BROADCAST;
  if (nic.isUp) flags |= IFF_UP | IFF_RUNNING | IFF_LOWER_UP;
  return flags;
}
export const hardwareType = (nic: InterfaceView): number =>
  nic.isLoopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
export const txQueueLength = (_nic: InterfaceView): number => TX_QUEUE_LENGTH;

/** On a socket of any family (sock_ioctl). */
export function interfaceIoctl(t: Task, s: Socket, command: number, arg: number): number {
  const { network } = inetStackOf(t.kernel);
  switch (command) {
    case SIOCGIFCONF:
      return listInterfaces(t, network, arg);
    case SIOCETHTOOL:
      return -EOPNOTSUPP;
    case SIOCSIFFLAGS:
    case SIOCSIFADDR:
    case SIOCSIFNETMASK:
    case SIOCSIFMTU:
    case SIOCADDRT:
    case SIOCDELRT:
      return -EPERM;
    case FIOSETOWN:
    case SIOCSPGRP: {
      const pid = t.mm.readI32(arg);
      if (t.mm.faulted) return -EFAULT;
      s.owner = pid;
      return 0;
    }
    case FIOGETOWN:
    case SIOCGPGRP:
      return t.mm.writeU32(arg, s.owner);
  }
  if (!ANSWERED.has(command)) return -ENOTTY;
  if (t.mm.copyIn(arg, request, 0, IFREQ_BYTES) !== IFREQ_BYTES) return -EFAULT;
  const result = answer(network, command);
  if (result < 0) return result;
  return t.mm.copyOut(arg, request, 0, IFREQ_BYTES) === IFREQ_BYTES ? 0 : -EFAULT;
}

const ANSWERED = new Set([
  SIOCGIFNAME,
  SIOCGIFINDEX,
  SIOCGIFFLAGS,
  SIOCGIFADDR,
  SIOCGIFDSTADDR,
  SIOCGIFBRDADDR,
  SIOCGIFNETMASK,
  SIOCGIFMETRIC,
  SIOCGIFMTU,
  SIOCGIFHWADDR,
  SIOCGIFTXQLEN,
  SIOCGIFMAP,
]);

/** Fills `request`; 0 or -errno. */
function answer(network: NetworkView, command: number): number {
  if (command === SIOCGIFNAME) {
    const nic = network.interfaceByIndex(i32Le(request, VALUE));
    if (nic === undefined) return -ENODEV;
    request.fill(0, 0, IFNAMSIZ);
    putByteString(request, 0, nic.name);
    return 0;
  }
  const nic = namedInterface(network);
  if (nic === undefined) return -ENODEV;
  switch (command) {
    case SIOCGIFINDEX:
      setU32Le(request, VALUE, nic.index);
      return 0;
    case SIOCGIFFLAGS:
      setU16Le(request, VALUE, interfaceFlags(nic));
      return 0;
    case SIOCGIFMETRIC:
      setU32Le(request, VALUE, 0);
      return 0;
    case SIOCGIFMTU:
      setU32Le(request, VALUE, nic.mtu);
      return 0;
    case SIOCGIFTXQLEN:
      setU32Le(request, VALUE, TX_QUEUE_LENGTH);
      return 0;
    case SIOCGIFMAP:
      request.fill(0, VALUE, IFREQ_BYTES);
      return 0;
    case SIOCGIFHWADDR:
      setU16Le(request, VALUE, hardwareType(nic));
      request.fill(0, VALUE + 2, VALUE + 16);
      request.set(nic.mac, VALUE + 2);
      return 0;
    default:
      return answerAddress(nic, command);
  }
}

function namedInterface(network: NetworkView): InterfaceView | undefined {
  let end = 0;
  while (end < IFNAMSIZ - 1 && request[end] !== 0) end++;
  const name = byteString(request, 0, end);
  // "eth0:1": the alias of an address; all of ours stand under the plain name.
  const colon = name.indexOf(":");
  return network.interfaceByName(colon < 0 ? name : name.slice(0, colon));
}

const firstV4 = (nic: InterfaceView): AddressView | undefined =>
  nic.addresses.find((a) => a.addr.isV4);

function answerAddress(nic: InterfaceView, command: number): number {
  const address = firstV4(nic);
  if (address === undefined) return -EADDRNOTAVAIL;
  let word = address.addr.v4;
  if (command === SIOCGIFNETMASK) word = prefixMask(address.prefixBits);
  else if (command === SIOCGIFBRDADDR) word = address.broadcast;
  putAddress(request, VALUE, word);
  return 0;
}

export const prefixMask = (bits: number): number => (bits === 0 ? 0 : -1 << (32 - bits));

function putAddress(out: Uint8Array, at: number, word: number): void {
  out.fill(0, at, at + 16);
  setU16Le(out, at, AF_INET);
  setU32(out, at + 4, word);
}

/** SIOCGIFCONF: an ifreq for every IPv4 address; with a null pointer only the length they take. */
function listInterfaces(t: Task, network: NetworkView, arg: number): number {
  const conf = new Uint8Array(IFCONF_BYTES);
  if (t.mm.copyIn(arg, conf, 0, IFCONF_BYTES) !== IFCONF_BYTES) return -EFAULT;
  const room = i32Le(conf, 0);
  const to = u64Le(conf, 8);
  if (room < 0) return -EINVAL;
  let used = 0;
  for (const nic of network.interfaces()) {
    const address = firstV4(nic);
    if (address === undefined) continue;
    if (to !== 0) {
      if (used + IFREQ_BYTES > room) break;
      request.fill(0);
      putByteString(request, 0, nic.name);
      putAddress(request, VALUE, address.addr.v4);
      if (t.mm.copyOut(to + used, request, 0, IFREQ_BYTES) !== IFREQ_BYTES) return -EFAULT;
    }
    used += IFREQ_BYTES;
  }
  setU32Le(conf, 0, used);
  setU64Le(conf, 8, to);
  return t.mm.copyOut(arg, conf, 0, IFCONF_BYTES) === IFCONF_BYTES ? 0 : -EFAULT;
}
