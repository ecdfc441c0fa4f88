// Values in the arguments of a call: numbers behind names, addresses, out-parameters.

import { IpAddr } from "../../netstack/index.ts";
import type { Expr } from "./ast.ts";
import { DrillError, mismatch } from "./drill-error.ts";
import { symbol } from "./symbols.ts";

export function numberOf(e: Expr): number {
  switch (e.kind) {
    case "number":
      return e.value;
    case "word": {
      const value = symbol(e.name);
      if (value === undefined) throw new DrillError("syntax", e.place, `unknown name '${e.name}'`);
      return value;
    }
    case "or": {
      // Past 31 bits (EPOLLET) | would turn negative.
      let value = 0;
      for (const part of e.parts) value = (value | numberOf(part)) >>> 0;
      return value;
    }
    case "invert":
      return ~numberOf(e.value);
    case "call":
      if ((e.name === "htons" || e.name === "htonl") && e.args.length === 1) {
        return numberOf(e.args[0]);
      }
      break;
    case "list":
      if (e.items.length === 1) return numberOf(e.items[0]);
  }
  throw new DrillError("syntax", e.place, "expected a number");
}

export const isNull = (e: Expr): boolean => e.kind === "word" && e.name === "NULL";

/** `[n]`, or a bare n: what an out-parameter must hold; null for `...`. */
export function wantedNumber(e: Expr): number | null {
  return e.kind === "ellipsis" ? null : numberOf(e);
}

export function checkNumber(e: Expr, actual: number, what: string): void {
  const wanted = wantedNumber(e);
  if (wanted === null || wanted >>> 0 === actual >>> 0) return;
  throw mismatch(e.place, `expected ${what} ${wanted}, got ${actual}`);
}

export function fieldsOf(e: Expr): Map<string, Expr> {
  if (e.kind !== "struct") throw new DrillError("syntax", e.place, "expected {name=value, ...}");
  return e.fields;
}

export function itemsOf(e: Expr): Expr[] {
  if (e.kind === "list" || e.kind === "tuple") return e.items;
  throw new DrillError("syntax", e.place, "expected [...]");
}

export interface SocketAddress {
  addr: IpAddr;
  port: number;
}

/** {sa_family=..., sin_port=htons(n), sin_addr=inet_addr("...")} and the sin6_ form. */
export function addressOf(e: Expr): SocketAddress {
  const fields = fieldsOf(e);
  const port = fields.get("sin_port") ?? fields.get("sin6_port");
  const addr = fields.get("sin_addr") ?? fields.get("sin6_addr");
  if (port === undefined || addr === undefined) {
    throw new DrillError("syntax", e.place, "a socket address needs a port and an address");
  }
  return { port: numberOf(port), addr: ipOf(addr) };
}

function ipOf(e: Expr): IpAddr {
  if (e.kind === "call") {
    const text = e.args.find((arg) => arg.kind === "string");
    const addr = text?.kind === "string" ? parseIp(text.value) : null;
    if (addr !== null) return addr;
  } else if (e.kind === "word" && e.name === "INADDR_ANY") return IpAddr.v4(0, 0, 0, 0);
  throw new DrillError("syntax", e.place, "expected an address");
}

/** Dotted IPv4, or IPv6 with or without `::`; null when it is neither. */
export function parseIp(text: string): IpAddr | null {
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (v4 !== null) {
    const n = v4.slice(1).map(Number);
    return n.every((byte) => byte < 256) ? IpAddr.v4(n[0], n[1], n[2], n[3]) : null;
  }
  const halves = text.split("::");
  if (halves.length > 2 || !/^[0-9a-fA-F:]+$/.test(text) || !text.includes(":")) return null;
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 0) return null;
  const groups = [
    ...head,
    ...new Array(tail === undefined ? 0 : missing).fill("0"),
    ...(tail ?? []),
  ];
  const values = groups.map((group) => Number.parseInt(group, 16));
  if (values.some((value) => !(value >= 0 && value <= 0xffff))) return null;
  const addr = new IpAddr();
  addr.w0 = (values[0] << 16) | values[1];
  addr.w1 = (values[2] << 16) | values[3];
  addr.w2 = (values[4] << 16) | values[5];
  addr.w3 = (values[6] << 16) | values[7];
  return addr;
}

/** readv and writev: the lengths add up. */
export function vectorLength(e: Expr): number {
  let length = 0;
  for (const part of itemsOf(e)) length += numberOf(itemsOf(part)[1]);
  return length;
}
