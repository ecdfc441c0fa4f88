// poll and epoll.

import type { CallSpec, Expr } from "./ast.ts";
import { mismatch } from "./drill-error.ts";
import type { Call, DrillProcess } from "./process.ts";
import { Epoll, type EpollItem, POLLERR, POLLHUP } from "./socket.ts";
import { fieldsOf, itemsOf, numberOf } from "./values.ts";

const NEVER = Number.POSITIVE_INFINITY;
const POLLNVAL = 32;
const MS = 1_000_000;
/** What Linux adds to POLLIN and POLLOUT is reported only when asked for. */
const ALWAYS = POLLERR | POLLHUP;

const deadlineOf = (p: DrillProcess, timeoutMs: number): number =>
  timeoutMs < 0 ? NEVER : p.config.nowNs() + timeoutMs * MS;

interface PollEntry {
  fd: number;
  events: number;
  wanted: Expr | undefined;
}

function* pollCall(p: DrillProcess, a: Expr[]): Call {
  const entries: PollEntry[] = itemsOf(a[0]).map((item) => {
    const fields = fieldsOf(item);
    return {
      fd: numberOf(fields.get("fd") ?? item),
      events: numberOf(fields.get("events") ?? item),
      wanted: fields.get("revents"),
    };
  });
  const deadline = deadlineOf(p, numberOf(a[2]));
  for (;;) {
    const found = entries.map(({ fd, events }) => {
      const file = p.files.get(fd);
      return file === undefined ? POLLNVAL : file.poll() & (events | ALWAYS);
    });
    const count = found.filter((mask) => mask !== 0).length;
    if (count > 0 || p.config.nowNs() >= deadline) {
      entries.forEach(({ fd, wanted }, i) => {
        if (wanted === undefined || wanted.kind === "ellipsis") return;
        if (numberOf(wanted) === found[i]) return;
        const place = wanted.place;
        throw mismatch(
          place,
          `expected revents 0x${numberOf(wanted).toString(16)} of descriptor ${fd}, got 0x${found[i].toString(16)}`,
        );
      });
      return count;
    }
    yield deadline;
  }
}

// biome-ignore lint/correctness/useYield: a call that does not sleep
function* epollCreate(p: DrillProcess, _a: Expr[], c: CallSpec): Call {
  const fd = numberOf(c.result);
  p.files.set(fd, new Epoll());
  return fd;
}

/** struct epoll_data is a union: whichever member the script names. */
function dataOf(fields: Map<string, Expr>): number | null {
  for (const name of ["fd", "u32", "u64", "ptr"]) {
    const e = fields.get(name);
    if (e !== undefined) return e.kind === "ellipsis" ? null : numberOf(e);
  }
  return null;
}

function* epollControl(p: DrillProcess, a: Expr[]): Call {
  const set = p.file(a[0]);
  const file = p.file(a[2]);
  if (!(set instanceof Epoll)) return "EINVAL";
  if (file === null) return "EBADF";
  const at = set.items.findIndex((item) => item.file === file);
  const operation = numberOf(a[1]);
  const ADD = 1;
  const DEL = 2;
  if (operation === ADD ? at >= 0 : at < 0) return operation === ADD ? "EEXIST" : "ENOENT";
  if (operation === DEL) {
    const [item] = set.items.splice(at, 1);
    file.watchers.splice(file.watchers.indexOf(item), 1);
    return 0;
  }
  const fields = fieldsOf(a[3]);
  const events = fields.get("events");
  if (events === undefined) return "EFAULT";
  const data = dataOf(fields) ?? 0;
  if (operation === ADD) {
    const item: EpollItem = {
      file,
      events: numberOf(events),
      data,
      isReady: false,
      isDisabled: false,
    };
    set.items.push(item);
    file.watchers.push(item);
    set.arm(item);
  } else {
    set.items[at].events = numberOf(events);
    set.items[at].data = data;
    set.arm(set.items[at]);
  }
  return 0;
}

/** The second argument is what must come back: one structure, or a list of them. */
function* epollWait(p: DrillProcess, a: Expr[]): Call {
  const set = p.file(a[0]);
  if (!(set instanceof Epoll)) return "EINVAL";
  const max = numberOf(a[2]);
  const deadline = deadlineOf(p, numberOf(a[3]));
  for (;;) {
    const found = set.take(max);
    if (found.length > 0 || p.config.nowNs() >= deadline) {
      checkEvents(a[1], found);
      return found.length;
    }
    yield deadline;
  }
}

function checkEvents(e: Expr, found: readonly { events: number; data: number }[]): void {
  if (e.kind === "ellipsis") return;
  const wanted = e.kind === "list" ? e.items : [e];
  found.forEach((event, i) => {
    if (wanted[i] === undefined) return;
    const fields = fieldsOf(wanted[i]);
    const events = fields.get("events");
    const data = dataOf(fields);
    if (events !== undefined && events.kind !== "ellipsis" && numberOf(events) !== event.events) {
      const hex = (n: number): string => `0x${n.toString(16)}`;
      throw mismatch(e.place, `expected events ${hex(numberOf(events))}, got ${hex(event.events)}`);
    }
    if (data !== null && data !== event.data) {
      throw mismatch(e.place, `expected data ${data}, got ${event.data}`);
    }
  });
}

export const epollCalls: Readonly<
  Record<string, (p: DrillProcess, a: Expr[], c: CallSpec) => Call>
> = {
  poll: pollCall,
  epoll_create: epollCreate,
  epoll_create1: epollCreate,
  epoll_ctl: epollControl,
  epoll_wait: epollWait,
};
