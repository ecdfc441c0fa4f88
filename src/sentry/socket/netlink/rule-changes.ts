// Routing rules over NETLINK_ROUTE (`ip rule`; fib_rules.c): added, removed, listed. Rules by tunnel key, realm and routing
// domain are refused with EOPNOTSUPP: see netstack/stack/rules.ts.

import { EAFNOSUPPORT, EEXIST, EINVAL, ENOENT, EOPNOTSUPP } from "../../../abi/errno.ts";
import * as nl from "../../../abi/netlink.ts";
import { AF_INET, AF_INET6, AF_UNSPEC } from "../../../abi/socket.ts";
import { byteString, i32Le, setU32Le, u16Le, u32Le } from "../../../base/bytes.ts";
import {
  IPV4,
  IPV6,
  IpAddr,
  isSameRule,
  maskAddr,
  type Range,
  Rule,
  RuleAction,
} from "../../../netstack/index.ts";
import { errnoOf } from "../errno-of.ts";
import type { NetworkChanges, NetworkView } from "../inet/network-view.ts";
import { attributesOf, bytesOf, type NetlinkWriter } from "./netlink-message.ts";

const BODY = nl.NLMSGHDR_BYTES;
const NLM_F_EXCL = 0x200;
const UNSUPPORTED = new Set([nl.FRA_L3MDEV, nl.FRA_TUN_ID, nl.FRA_FLOW]);
const ECN_MASK = 3;
const PORT_MAX = 0xffff;
const ACTIONS: readonly number[] = Object.values(RuleAction);
type Network = NetworkView & NetworkChanges;

interface Request {
  family: 4 | 6;
  action: number;
  table: number;
  hasTable: boolean;
  src: IpAddr | null;
  srcBits: number;
  dst: IpAddr | null;
  dstBits: number;
  /** -1: none was named. */
  priority: number;
  iifName: string;
  oifName: string;
  mark: number;
  markMask: number;
  hasMark: boolean;
  protocol: number;
  srcPorts: Range | null;
  dstPorts: Range | null;
  uids: Range | null;
  tos: number;
  invert: boolean;
  target: number;
  suppressPrefixBits: number;
  suppressGroup: number;
  origin: number;
}

function readRule(request: Uint8Array): Request | number {
  if (request.length < BODY + nl.FIB_RULE_HDR_BYTES) return -EINVAL;
  const family = request[BODY] === AF_INET ? IPV4 : request[BODY] === AF_INET6 ? IPV6 : 0;
  if (family === 0) return -EAFNOSUPPORT;
  const flags = u32Le(request, BODY + 8);
  // "Invalid dsfield (dscp): ECN bits must be 0".
  if ((request[BODY + 3] & ECN_MASK) !== 0) return -EINVAL;
  const r: Request = {
    family,
    action: request[BODY + 7],
    table: request[BODY + 4],
    hasTable: request[BODY + 4] !== nl.RT_TABLE_UNSPEC,
    ...{ src: null, srcBits: request[BODY + 2], dst: null, dstBits: request[BODY + 1] },
    ...{ priority: -1, iifName: "", oifName: "", mark: 0, markMask: 0, hasMark: false },
    ...{ protocol: 0, srcPorts: null, dstPorts: null, uids: null, tos: request[BODY + 3] },
    invert: (flags & nl.FIB_RULE_INVERT) !== 0,
    ...{ target: 0, suppressPrefixBits: -1, suppressGroup: -1, origin: 0 },
  };
  for (const a of attributesOf(request, BODY + nl.FIB_RULE_HDR_BYTES, request.length)) {
    const error = takeAttribute(r, request, a.type, a.offset, a.length);
    if (error !== 0) return error;
  }
  const max = family === IPV4 ? 32 : 128;
  if (r.srcBits > max || r.dstBits > max) return -EINVAL;
  if ((r.srcBits > 0 && r.src === null) || (r.dstBits > 0 && r.dst === null)) return -EINVAL;
  return r;
}

function takeAttribute(
  r: Request,
  bytes: Uint8Array,
  type: number,
  at: number,
  length: number,
): number {
  if (UNSUPPORTED.has(type)) return -EOPNOTSUPP;
  if (type === nl.FRA_PROTOCOL) {
    r.origin = bytes[at];
    return 0;
  }
  if (type === nl.FRA_IP_PROTO) {
    if (length < 1) return -EINVAL;
    r.protocol = bytes[at];
    return 0;
  }
  if (type === nl.FRA_IIFNAME || type === nl.FRA_OIFNAME) {
    const name = byteString(bytes, at, length).replace(/\0.*$/s, "");
    if (type === nl.FRA_IIFNAME) r.iifName = name;
    else r.oifName = name;
    return 0;
  }
  if (type === nl.FRA_SRC || type === nl.FRA_DST) {
    if (length < (r.family === IPV4 ? 4 : 16)) return -EINVAL;
    const addr = new IpAddr().read(bytes, at, r.family);
    if (type === nl.FRA_SRC) r.src = addr;
    else r.dst = addr;
    return 0;
  }
  if (length < 4) return -EINVAL;
  const value = u32Le(bytes, at);
  switch (type) {
    case nl.FRA_PRIORITY:
      r.priority = value;
      break;
    case nl.FRA_TABLE:
      r.table = value;
      r.hasTable = true;
      break;
    case nl.FRA_FWMARK:
      r.mark = value | 0;
      if (!r.hasMark) r.markMask = -1;
      r.hasMark = true;
      break;
    case nl.FRA_FWMASK:
      r.markMask = value | 0;
      r.hasMark = true;
      break;
    case nl.FRA_GOTO:
      r.target = value;
      break;
    case nl.FRA_SUPPRESS_PREFIXLEN:
      r.suppressPrefixBits = i32Le(bytes, at);
      break;
    case nl.FRA_SUPPRESS_IFGROUP:
      r.suppressGroup = i32Le(bytes, at);
      break;
    case nl.FRA_SPORT_RANGE:
      r.srcPorts = portsIn(bytes, at);
      return r.srcPorts === null ? -EINVAL : 0;
    case nl.FRA_DPORT_RANGE:
      r.dstPorts = portsIn(bytes, at);
      return r.dstPorts === null ? -EINVAL : 0;
    case nl.FRA_UID_RANGE:
      if (length < 8) return -EINVAL;
      r.uids = { from: value, to: u32Le(bytes, at + 4) };
      // fib_nl2rule.
      if (r.uids.from > r.uids.to) return -EINVAL;
  }
  return 0;
}

/** fib_rule_port_range_valid: without the last port, as there. */
function portsIn(bytes: Uint8Array, at: number): Range | null {
  const from = u16Le(bytes, at);
  const to = u16Le(bytes, at + 2);
  return from === 0 || to === PORT_MAX || from > to ? null : { from, to };
}

/** 0 or -errno. */
export function changeRule(
  network: Network,
  add: boolean,
  flags: number,
  request: Uint8Array,
): number {
  const r = readRule(request);
  if (typeof r === "number") return r;
  const rules = network.rules;
  if (!add) {
    const found = rules.list(r.family).find((rule) => isAsked(r, rule));
    if (found === undefined) return -ENOENT;
    rules.remove(found);
    return 0;
  }
  if (!ACTIONS.includes(r.action)) return -EINVAL;
  const priority = r.priority >= 0 ? r.priority : rules.freePriority(r.family);
  // fib_nl2rule: backwards would go round in circles.
  if (r.action === RuleAction.Goto && r.target <= priority) return -EINVAL;
  if (r.action === RuleAction.Table && r.table === nl.RT_TABLE_UNSPEC) return -EOPNOTSUPP;
  const idOf = (name: string): number =>
    name === "" ? 0 : (network.interfaceByName(name)?.index ?? -1);
  const rule = new Rule({ ...r, priority, iif: idOf(r.iifName), oif: idOf(r.oifName) });
  const exists = rules.list(r.family).some((other) => isSameRule(rule, other));
  if (exists && (flags & NLM_F_EXCL) !== 0) return -EEXIST;
  return -errnoOf(rules.add(rule));
}

/** rule_find: all that the request names must be so. */
function isAsked(r: Request, rule: Rule): boolean {
  const lift = r.family === IPV4 ? 96 : 0;
  const sameNet = (asked: IpAddr | null, bits: number, net: IpAddr | null, netBits: number) =>
    asked === null ||
    bits === 0 ||
    (bits === netBits && net !== null && maskAddr(asked, bits + lift).equals(net));
  return (
    (r.action === 0 || r.action === rule.action) &&
    (!r.hasTable || r.table === rule.table) &&
    (r.priority < 0 || r.priority === rule.priority) &&
    (r.iifName === "" || r.iifName === rule.iifName) &&
    (r.oifName === "" || r.oifName === rule.oifName) &&
    (!r.hasMark || (r.mark === rule.mark && r.markMask === rule.markMask)) &&
    (r.origin === 0 || r.origin === rule.origin) &&
    (r.protocol === 0 || r.protocol === rule.protocol) &&
    (r.tos === 0 || r.tos === rule.tos) &&
    sameRange(r.srcPorts, rule.srcPorts) &&
    sameRange(r.dstPorts, rule.dstPorts) &&
    sameRange(r.uids, rule.uids) &&
    sameNet(r.src, r.srcBits, rule.src, rule.srcBits) &&
    sameNet(r.dst, r.dstBits, rule.dst, rule.dstBits)
  );
}

const sameRange = (asked: Range | null, range: Range | null): boolean =>
  asked === null || (range !== null && asked.from === range.from && asked.to === range.to);

export function dumpRules(w: NetlinkWriter, network: Network, family: number): void {
  if (family === AF_UNSPEC || family === AF_INET) dumpFamily(w, network, IPV4);
  if (family === AF_UNSPEC || family === AF_INET6) dumpFamily(w, network, IPV6);
  w.done();
}

function dumpFamily(w: NetlinkWriter, network: Network, family: 4 | 6): void {
  const list = network.rules.list(family);
  for (const rule of list) {
    const isResolved = list.some((other) => other.priority === rule.target);
    putRule(
      w,
      rule,
      rule.action === RuleAction.Goto && !isResolved,
      nl.RTM_NEWRULE,
      nl.NLM_F_MULTI,
    );
  }
}

/** fib_nl_fill_rule. */
export function putRule(
  w: NetlinkWriter,
  rule: Rule,
  unresolved: boolean,
  type: number,
  messageFlags: number,
): void {
  const at = w.begin(type, messageFlags, nl.FIB_RULE_HDR_BYTES);
  const b = w.bytes;
  b[at] = rule.family === IPV4 ? AF_INET : AF_INET6;
  b[at + 1] = rule.dstBits;
  b[at + 2] = rule.srcBits;
  b[at + 3] = rule.tos;
  b[at + 4] = rule.table < 256 ? rule.table : nl.RT_TABLE_COMPAT;
  b[at + 7] = rule.action;
  let flags = rule.invert ? nl.FIB_RULE_INVERT : 0;
  if (unresolved) flags |= nl.FIB_RULE_UNRESOLVED;
  if (rule.iif < 0) flags |= nl.FIB_RULE_IIF_DETACHED;
  if (rule.oif < 0) flags |= nl.FIB_RULE_OIF_DETACHED;
  setU32Le(b, at + 8, flags);
  w.attributeU32(nl.FRA_TABLE, rule.table);
  w.attributeU32(nl.FRA_SUPPRESS_PREFIXLEN, rule.suppressPrefixBits >>> 0);
  w.attributeU8(nl.FRA_PROTOCOL, rule.origin);
  if (rule.iifName !== "") w.attributeString(nl.FRA_IIFNAME, rule.iifName);
  if (rule.oifName !== "") w.attributeString(nl.FRA_OIFNAME, rule.oifName);
  if (rule.priority !== 0) w.attributeU32(nl.FRA_PRIORITY, rule.priority);
  if (rule.mark !== 0) w.attributeU32(nl.FRA_FWMARK, rule.mark >>> 0);
  if (rule.mark !== 0 || rule.markMask !== 0) w.attributeU32(nl.FRA_FWMASK, rule.markMask >>> 0);
  if (rule.target !== 0) w.attributeU32(nl.FRA_GOTO, rule.target);
  putFlow(w, rule);
  if (rule.suppressGroup !== -1) w.attributeU32(nl.FRA_SUPPRESS_IFGROUP, rule.suppressGroup);
  if (rule.dst !== null && rule.dstBits > 0) w.attribute(nl.FRA_DST, bytesOf(rule.dst));
  if (rule.src !== null && rule.srcBits > 0) w.attribute(nl.FRA_SRC, bytesOf(rule.src));
  w.finish();
}

function putFlow(w: NetlinkWriter, { uids, srcPorts, dstPorts, protocol }: Rule): void {
  if (uids !== null) {
    const bytes = new Uint8Array(8);
    setU32Le(bytes, 0, uids.from);
    setU32Le(bytes, 4, uids.to);
    w.attribute(nl.FRA_UID_RANGE, bytes);
  }
  if (srcPorts !== null) w.attributeU32(nl.FRA_SPORT_RANGE, (srcPorts.to << 16) | srcPorts.from);
  if (dstPorts !== null) w.attributeU32(nl.FRA_DPORT_RANGE, (dstPorts.to << 16) | dstPorts.from);
  if (protocol !== 0) w.attributeU8(nl.FRA_IP_PROTO, protocol);
}
