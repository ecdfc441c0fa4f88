// setsockopt and getsockopt over an endpoint's options, with the checks that Linux makes (socket(7), tcp(7),
// ip(7)).

import { u32Le } from "../../base/bytes.ts";
import {
  CONGESTION_CONTROLS,
  IpAddr,
  type TcpEndpointOptions,
  type TimingKey,
} from "../../netstack/index.ts";
import type { Expr } from "./ast.ts";
import { mismatch } from "./drill-error.ts";
import type { DrillProcess } from "./process.ts";
import { type DrillSocket, errnoNumber, type Result, resultOf } from "./socket.ts";
import { fieldsOf, itemsOf, numberOf } from "./values.ts";

const MS = 1_000_000;
const SECOND = 1_000_000_000;
const SOL_IP = 0;
const SOL_SOCKET = 1;
const SOL_TCP = 6;
const SOL_IPV6 = 41;
const SNDBUF_MIN = 4608;
const RCVBUF_MIN = 2304;
/** TCP_FIN_TIMEOUT_MAX. */
const LINGER2_SECONDS_MAX = 120;
const CLOSED = 7;
const LISTEN = 10;

export interface Setting {
  set(s: DrillSocket, value: number, e: Expr): Result;
  get?(s: DrillSocket, p: DrillProcess): number;
}

const tcpOptions = (s: DrillSocket): TcpEndpointOptions => s.endpoint.options as TcpEndpointOptions;

type BooleanKey = {
  [K in keyof TcpEndpointOptions]: TcpEndpointOptions[K] extends boolean ? K : never;
}[keyof TcpEndpointOptions];
type NumberKey = {
  [K in keyof TcpEndpointOptions]: TcpEndpointOptions[K] extends number ? K : never;
}[keyof TcpEndpointOptions];

const flag = (key: BooleanKey): Setting => ({
  set: (s, value) => {
    tcpOptions(s)[key] = value !== 0;
    return 0;
  },
  get: (s) => (tcpOptions(s)[key] ? 1 : 0),
});

const count = (key: NumberKey, unit = 1, min = 0, max = Number.MAX_SAFE_INTEGER): Setting => ({
  set: (s, value) => {
    if (value < min || value > max) return "EINVAL";
    tcpOptions(s)[key] = value * unit;
    return 0;
  },
  get: (s) => Math.max(0, tcpOptions(s)[key]) / unit,
});

function timing(key: TimingKey, unitUs: number): Setting {
  return {
    set: (s, value) => resultOf(s.tcp?.setTiming(key, value * unitUs) ?? 0),
    get: (s) => tcpOptions(s).timing[key] / unitUs,
  };
}

/** Taken and remembered by nobody: what the option does shows in no packet. */
const accepted: Setting = { set: () => 0, get: () => 0 };

const SOCKET: Readonly<Record<number, Setting>> = {
  2: flag("reuseAddress"),
  4: { set: () => "ENOPROTOOPT", get: takeError },
  6: flag("broadcast"),
  7: {
    set: (s, value) => {
      s.endpoint.options.sendBufferBytes = Math.max(2 * value, SNDBUF_MIN);
      s.endpoint.options.sendBufferLocked = true;
      return 0;
    },
    get: (s) => s.endpoint.options.sendBufferBytes,
  },
  8: {
    set: (s, value) => {
      s.endpoint.options.receiveBufferBytes = Math.max(2 * value, RCVBUF_MIN) >>> 1;
      s.endpoint.options.receiveBufferLocked = true;
      return 0;
    },
    get: (s) =>
      s.tcp === null ? 2 * s.endpoint.options.receiveBufferBytes : 2 * s.tcp.receiveBufferBytes,
  },
  9: flag("keepAlive"),
  10: flag("oobInline"),
  12: accepted,
  13: { set: setLinger },
  15: flag("reusePort"),
  18: accepted,
  20: { set: setReceiveTimeout },
  36: accepted,
  37: {
    set: (s, value) => {
      s.timestamping = value;
      s.timestampKeyBase = s.bytesWritten - (s.tcp?.unackedBytes ?? 0);
      return 0;
    },
    get: (s) => s.timestamping,
  },
  47: count("maxPacingRate"),
  60: {
    set: (s, value) => {
      s.zeroCopy = value !== 0;
      return 0;
    },
    get: (s) => (s.zeroCopy ? 1 : 0),
  },
};

const TCP: Readonly<Record<number, Setting>> = {
  1: flag("noDelay"),
  2: {
    set: (s, value) => {
      if (value !== 0 && (value < 88 || value > 32_767)) return "EINVAL";
      tcpOptions(s).maxSegBytes = value;
      return 0;
    },
    get: (s) => s.tcp?.maxSegment ?? 0,
  },
  3: flag("cork"),
  4: { ...count("keepIdleNs", SECOND, 1, 32_767), get: (s) => (s.tcp?.keepIdleNs ?? 0) / SECOND },
  5: {
    ...count("keepIntervalNs", SECOND, 1, 32_767),
    get: (s) => (s.tcp?.keepIntervalNs ?? 0) / SECOND,
  },
  6: { ...count("keepCount", 1, 1, 127), get: (s) => s.tcp?.keepCount ?? 0 },
  7: count("synCount", 1, 1, 127),
  8: {
    set: (s, value) => {
      tcpOptions(s).linger2Ns = value < 0 ? -1 : Math.min(value, LINGER2_SECONDS_MAX) * SECOND;
      return 0;
    },
    get: (s) => {
      const ns = s.tcp?.linger2Ns ?? 0;
      return ns < 0 ? -1 : ns / SECOND;
    },
  },
  9: {
    set: (s, value) => {
      s.tcp?.setDeferAccept(value);
      return 0;
    },
    get: (s) => s.tcp?.deferAcceptSec ?? 0,
  },
  10: {
    set: (s, value) => resultOf(s.tcp?.setWindowClamp(value) ?? 0),
    get: (s) => s.tcp?.windowClamp ?? 0,
  },
  12: {
    set: (s, value) => {
      s.tcp?.setQuickAck(value);
      return 0;
    },
    get: (s) => (s.tcp?.isQuickAck ? 1 : 0),
  },
  16: flag("thinLinearTimeouts"),
  18: count("userTimeoutNs", MS),
  23: {
    set: (s, value) => {
      if (s.tcp === null || (s.tcp.state !== CLOSED && s.tcp.state !== LISTEN)) return "EINVAL";
      tcpOptions(s).fastOpenQueue = value;
      return 0;
    },
    get: (s) => tcpOptions(s).fastOpenQueue,
  },
  25: {
    set: (s, value) => {
      tcpOptions(s).notsentLowatBytes = value >>> 0;
      return 0;
    },
    get: (s) => tcpOptions(s).notsentLowatBytes,
  },
  30: {
    set: (s, value) => {
      if (value !== 0 && value !== 1) return "EINVAL";
      if ((s.fastOpenSysctl & 1) === 0) return "EOPNOTSUPP";
      if (s.tcp?.state !== CLOSED) return "EINVAL";
      s.fastOpenConnect = value === 1;
      tcpOptions(s).fastOpenConnect = value === 1;
      return 0;
    },
    get: (s) => (s.fastOpenConnect ? 1 : 0),
  },
  34: flag("fastOpenNoCookie"),
  36: {
    set: (s, value) => {
      if (value !== 0 && value !== 1) return "EINVAL";
      s.reportsInq = value === 1;
      return 0;
    },
    get: (s) => (s.reportsInq ? 1 : 0),
  },
  37: timing("txDelayUs", 1),
  44: timing("rtoMaxUs", 1_000),
  45: timing("rtoMinUs", 1),
  46: timing("delackMaxUs", 1),
};

const IP: Readonly<Record<number, Setting>> = {
  1: {
    set: (s, value) => {
      // The ECN bits are the stack's on a stream.
      const tos = s.endpoint.options.tos;
      s.endpoint.options.tos = s.tcp !== null ? (value & ~3) | (tos & 3) : value;
      return 0;
    },
    get: (s) => s.endpoint.options.tos,
  },
  2: count("ttl", 1, 1, 255),
  10: count("mtuDiscover", 1, 0, 5),
  11: flag("receiveErrors"),
  15: accepted,
};

const IPV6: Readonly<Record<number, Setting>> = {
  16: count("ttl", 1, -1, 255),
  23: count("mtuDiscover", 1, 0, 5),
  25: flag("receiveErrors"),
  26: flag("v6Only"),
  67: IP[1],
};

function settingOf(p: DrillProcess, level: number, name: number): Setting | undefined {
  const own = p.config.profile.option(level, name);
  if (own !== undefined) return own;
  if (level === SOL_SOCKET) return SOCKET[name];
  if (level === SOL_TCP) return TCP[name];
  if (level === SOL_IP) return IP[name];
  return level === SOL_IPV6 ? IPV6[name] : undefined;
}

function takeError(s: DrillSocket): number {
  const error = s.endpoint.takeError();
  if (error === 0) return 0;
  const name = resultOf(error);
  return typeof name === "string" ? errnoNumber(name) : 0;
}

function setLinger(s: DrillSocket, _value: number, e: Expr): Result {
  if (e.kind !== "struct") return "EINVAL";
  const fields = fieldsOf(e);
  const isOn = numberOf(fields.get("onoff") ?? fields.get("l_onoff") ?? e) !== 0;
  const seconds = numberOf(fields.get("linger") ?? fields.get("l_linger") ?? e);
  tcpOptions(s).lingerNs = isOn ? seconds * SECOND : -1;
  return 0;
}

function setReceiveTimeout(s: DrillSocket, _value: number, e: Expr): Result {
  if (e.kind !== "struct") return "EINVAL";
  const fields = fieldsOf(e);
  const seconds = numberOf(fields.get("tv_sec") ?? e);
  const microseconds = numberOf(fields.get("tv_usec") ?? e);
  const total = seconds * SECOND + microseconds * 1000;
  s.receiveTimeoutNs = total === 0 ? Number.POSITIVE_INFINITY : total;
  return 0;
}

/** setsockopt(fd, level, name, value, length). */
export function setOption(p: DrillProcess, a: Expr[]): Result {
  const s = p.socket(a[0]);
  const level = numberOf(a[1]);
  const name = numberOf(a[2]);
  const TCP_CONGESTION = 13;
  const TCP_MD5SIG = 14;
  const TCP_FASTOPEN_KEY = 33;
  if (level === SOL_TCP && name === TCP_CONGESTION) return setCongestion(s, a[3]);
  if (level === SOL_TCP && name === TCP_MD5SIG && a[3].kind === "string") return setMd5Key(s, a[3]);
  if (level === SOL_TCP && name === TCP_FASTOPEN_KEY) return setFastOpenKey(s, a[3], a[4]);
  const setting = settingOf(p, level, name);
  if (setting === undefined) return "ENOPROTOOPT";
  s.fastOpenSysctl = p.config.stack.tcp.settings.fastopen;
  const isPlain = a[3].kind !== "struct" && a[3].kind !== "string" && a[3].kind !== "ellipsis";
  const result = setting.set(s, isPlain ? numberOf(a[3]) : 0, a[3]);
  if (result === 0) s.tcp?.optionsChanged();
  return result;
}

function setCongestion(s: DrillSocket, e: Expr): Result {
  if (e.kind !== "string" || s.tcp === null) return "EINVAL";
  if (!CONGESTION_CONTROLS.includes(e.value)) return "ENOENT";
  tcpOptions(s).congestion = e.value;
  s.tcp.optionsChanged();
  return 0;
}

/** A string is the key for every peer ("": takes it away): scripts know one. The struct has no form in the language. */
function setMd5Key(s: DrillSocket, e: Expr): Result {
  if (e.kind !== "string" || s.tcp === null) return "EINVAL";
  const key = Uint8Array.from(e.value, (c) => c.charCodeAt(0));
  return resultOf(s.tcp.setMd5Key(new IpAddr(), 0, key.length === 0 ? null : key));
}

/** One key of 16 bytes, or a new and a backup one. */
function setFastOpenKey(s: DrillSocket, e: Expr, length: Expr): Result {
  const bytes = numberOf(length);
  if (e.kind !== "string" || (bytes !== 16 && bytes !== 32)) return "EINVAL";
  const key = Uint8Array.from({ length: bytes }, (_, i) => e.value.charCodeAt(i));
  const words = new Int32Array(bytes / 4);
  for (let i = 0; i < words.length; i++) words[i] = u32Le(key, 4 * i) | 0;
  tcpOptions(s).fastOpenKey = words;
  return 0;
}

/** getsockopt(fd, level, name, [value], [length]). */
export function getOption(p: DrillProcess, a: Expr[]): Result {
  const s = p.socket(a[0]);
  const setting = settingOf(p, numberOf(a[1]), numberOf(a[2]));
  if (setting?.get === undefined) return "ENOPROTOOPT";
  const value = setting.get(s, p);
  const e = a[3];
  if (e.kind === "ellipsis") return 0;
  const items = e.kind === "list" ? itemsOf(e) : [e];
  if (items[0].kind === "ellipsis") return 0;
  const wanted = numberOf(items[0]);
  if (wanted >>> 0 !== value >>> 0) {
    throw mismatch(e.place, `expected option value ${wanted}, got ${value}`);
  }
  return 0;
}
