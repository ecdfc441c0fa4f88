// The Gofer's loop: one message in, one out, synchronously. After an answer it looks for the next request
// for some tens of microseconds before it lets the host put it to sleep: requests come in runs.

import { EAGAIN, EINTR } from "../../abi/errno.ts";
import { SYS_poll } from "../../abi/syscall-numbers.ts";
import { close } from "../../host/libc.ts";
import { addressOf, sys } from "../../host/raw-syscall.ts";
import { MSG_DONTWAIT, ReceiveBuffer, sendMessage } from "../../host/unix-socket.ts";
import { type GoferConfig, MESSAGE_BYTES_MAX } from "../protocol.ts";
import { GoferServer } from "./server.ts";

const SPIN_US = 50;

export interface ServeOptions {
  /** Directories that may be held open. */
  handles: number;
  /** Called when the trees are open: the walls go up. */
  confine?: (server: GoferServer) => void;
}

/** Serves until the other side closes. Throws only before the first request, with a sentence for the user. */
export function serve(socket: number, config: GoferConfig, options: ServeOptions): void {
  const input = new ReceiveBuffer(MESSAGE_BYTES_MAX);
  const server = new GoferServer(input.bytes, options.handles);
  server.openTrees(config);
  options.confine?.(server);
  const pollFd = new Int32Array([socket, 1]);
  const pollAt = addressOf(new Uint8Array(pollFd.buffer));
  const fds = [0];
  for (;;) {
    const length = receive(socket, input, pollAt);
    if (length <= 0) return;
    // A request brings no descriptors; what a hostile sender attached is closed unseen.
    input.closeDescriptors();
    const replyLength = server.handle(length);
    fds.length = server.replyFd >= 0 ? 1 : 0;
    if (server.replyFd >= 0) fds[0] = server.replyFd;
    let sent: number;
    do sent = sendMessage(socket, server.reply, 0, replyLength, fds);
    while (sent === -EINTR);
    if (server.replyFd >= 0) close(server.replyFd);
    if (sent < 0) return;
  }
}

function receive(socket: number, input: ReceiveBuffer, pollAt: number): number {
  const spinUntil = process.hrtime()[1] + SPIN_US * 1000;
  for (;;) {
    const r = input.receive(socket, MSG_DONTWAIT);
    if (r === -EINTR) continue;
    if (r !== -EAGAIN) return r;
    const now = process.hrtime()[1];
    // The nanosecond part wraps once a second; then the spin ends early, which is harmless.
    if (now >= spinUntil || now + SPIN_US * 1000 < spinUntil) sys(SYS_poll, pollAt, 1, -1, 0, 0, 0);
  }
}
