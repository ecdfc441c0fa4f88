// The one place where the stack's errors become Linux's errno.

import {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EALREADY,
  EBADF,
  EBUSY,
  ECONNABORTED,
  ECONNREFUSED,
  ECONNRESET,
  EDESTADDRREQ,
  EEXIST,
  EHOSTDOWN,
  EHOSTUNREACH,
  EINPROGRESS,
  EINVAL,
  EIO,
  EISCONN,
  EKEYREJECTED,
  EMSGSIZE,
  ENETDOWN,
  ENETUNREACH,
  ENOBUFS,
  ENODEV,
  ENOENT,
  ENONET,
  ENOPROTOOPT,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  EPROTO,
  ETIMEDOUT,
} from "../../abi/errno.ts";
import { NetErr, type NetError } from "../../netstack/index.ts";

const TABLE: number[] = [];
TABLE[-NetErr.WouldBlock] = EAGAIN;
TABLE[-NetErr.InProgress] = EINPROGRESS;
TABLE[-NetErr.AlreadyConnecting] = EALREADY;
TABLE[-NetErr.IsConnected] = EISCONN;
TABLE[-NetErr.NotConnected] = ENOTCONN;
TABLE[-NetErr.ConnectionRefused] = ECONNREFUSED;
TABLE[-NetErr.ConnectionReset] = ECONNRESET;
TABLE[-NetErr.ConnectionAborted] = ECONNABORTED;
TABLE[-NetErr.TimedOut] = ETIMEDOUT;
TABLE[-NetErr.HostUnreachable] = EHOSTUNREACH;
TABLE[-NetErr.NetworkUnreachable] = ENETUNREACH;
TABLE[-NetErr.AddressInUse] = EADDRINUSE;
TABLE[-NetErr.AddressNotAvailable] = EADDRNOTAVAIL;
TABLE[-NetErr.BrokenPipe] = EPIPE;
TABLE[-NetErr.MessageTooLong] = EMSGSIZE;
TABLE[-NetErr.NoBuffers] = ENOBUFS;
TABLE[-NetErr.InvalidArgument] = EINVAL;
TABLE[-NetErr.DestinationRequired] = EDESTADDRREQ;
TABLE[-NetErr.NotSupported] = EOPNOTSUPP;
TABLE[-NetErr.NotPermitted] = EPERM;
// An ICMP protocol unreachable (tcp(7)).
TABLE[-NetErr.ProtocolUnavailable] = ENOPROTOOPT;
TABLE[-NetErr.NetworkDown] = ENETDOWN;
TABLE[-NetErr.HostDown] = EHOSTDOWN;
TABLE[-NetErr.Closed] = EBADF;
TABLE[-NetErr.NoDevice] = ENODEV;
TABLE[-NetErr.Protocol] = EPROTO;
TABLE[-NetErr.AccessDenied] = EACCES;
TABLE[-NetErr.HostIsolated] = ENONET;
TABLE[-NetErr.NotFound] = ENOENT;
TABLE[-NetErr.Exists] = EEXIST;
TABLE[-NetErr.Busy] = EBUSY;
TABLE[-NetErr.KeyRejected] = EKEYREJECTED;

/** The errno (positive) of a NetError; 0 of 0. */
export function errnoOf(error: NetError | 0): number {
  if (error === 0) return 0;
  return TABLE[-error] ?? EIO;
}

/** A count stays; a NetError becomes -errno. */
export const resultOf = (n: number): number => (n >= 0 ? n : -errnoOf(n));
