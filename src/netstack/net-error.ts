// The stack's own closed set of failures: small negative ints, so that a call returns a count or an error
// in one number. They are not errno values; socket/errno-of.ts in the Sentry translates.

export type NetError = number;

export const NetErr = {
  WouldBlock: -1,
  InProgress: -2,
  AlreadyConnecting: -3,
  IsConnected: -4,
  NotConnected: -5,
  ConnectionRefused: -6,
  ConnectionReset: -7,
  ConnectionAborted: -8,
  TimedOut: -9,
  HostUnreachable: -10,
  NetworkUnreachable: -11,
  AddressInUse: -12,
  AddressNotAvailable: -13,
  BrokenPipe: -14,
  MessageTooLong: -15,
  NoBuffers: -16,
  InvalidArgument: -17,
  DestinationRequired: -18,
  NotSupported: -19,
  NotPermitted: -20,
  ProtocolUnavailable: -21,
  NetworkDown: -22,
  HostDown: -23,
  Closed: -24,
  NoDevice: -25,
  /** ICMP said so: a bad parameter, a policy, a host cut off. */
  Protocol: -26,
  AccessDenied: -27,
  HostIsolated: -28,
  NotFound: -29,
  Exists: -30,
  Busy: -31,
  /** A key that does not go with the others. */
  KeyRejected: -32,
} as const;

/** For messages and traces: "ConnectionRefused". */
export function netErrorName(error: NetError): string {
  for (const [name, value] of Object.entries(NetErr)) if (value === error) return name;
  return `NetError(${error})`;
}
