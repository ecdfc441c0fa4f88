// Rings of unix sockets that only hold each other (a socket sent over itself and then closed everywhere):
// nobody can read those messages any more, so they are thrown away. Trial deletion, as in Linux's
// net/unix/garbage.c before 6.10; runs when a last descriptor of a socket in flight is closed.

import type { SocketTable } from "../socket-table.ts";
import { UnixSocket } from "./unix-socket.ts";

let isRunning = false;

export function collectCycles(table: SocketTable): void {
  // Throwing messages away closes sockets, which asks again: this pass will see to those too.
  if (isRunning) return;
  isRunning = true;
  while (collectOnce(table)) {
    // Until a pass finds nothing.
  }
  isRunning = false;
}

/** True if it threw something away. */
function collectOnce(table: SocketTable): boolean {
  const outside = new Map<UnixSocket, number>();
  for (const s of table.sockets) {
    if (s instanceof UnixSocket && s.inFlight > 0 && s.refs === s.inFlight)
      outside.set(s, s.inFlight);
  }
  if (outside.size === 0) return false;
  for (const s of outside.keys()) {
    forEachHeld(s, (held) => {
      const count = outside.get(held);
      if (count !== undefined) outside.set(held, count - 1);
    });
  }
  const reachable: UnixSocket[] = [];
  for (const [s, count] of outside) if (count > 0) reachable.push(s);
  for (const s of reachable) outside.delete(s);
  for (let i = 0; i < reachable.length; i++) {
    forEachHeld(reachable[i], (held) => {
      if (outside.delete(held)) reachable.push(held);
    });
  }
  if (outside.size === 0) return false;
  // Held for the length of the purge, so that none is released under our hands.
  const garbage = [...outside.keys()];
  for (const s of garbage) s.incRef();
  for (const s of garbage) s.purge();
  for (const s of garbage) s.decRef();
  return true;
}

function forEachHeld(s: UnixSocket, visit: (held: UnixSocket) => void): void {
  for (const rights of s.queuedRights()) {
    for (const file of rights.files) if (file instanceof UnixSocket) visit(file);
  }
}
