// ioctl_tty(2): what both sides of a pseudo terminal answer alike. The master's own requests are in
// pty-master.ts.

import { EFAULT, EINVAL, EIO, ENOTTY, EPERM } from "../../../abi/errno.ts";
import { SIGTTOU } from "../../../abi/signal.ts";
import {
  IXON,
  TCFLSH,
  TCGETS,
  TCGETS2,
  TCSBRK,
  TCSBRKP,
  TCSETS,
  TCSETS2,
  TCSETSF,
  TCSETSF2,
  TCSETSW,
  TCSETSW2,
  TCXONC,
  TERMIOS_BYTES,
  TERMIOS2_BYTES,
  TIOCEXCL,
  TIOCGETD,
  TIOCGPGRP,
  TIOCGSID,
  TIOCGWINSZ,
  TIOCINQ,
  TIOCNOTTY,
  TIOCNXCL,
  TIOCOUTQ,
  TIOCSCTTY,
  TIOCSETD,
  TIOCSPGRP,
  TIOCSTI,
  TIOCSWINSZ,
  TIOCVHANGUP,
  WINSIZE_BYTES,
} from "../../../abi/termios.ts";
import { setU16Le, u16Le, u32Le } from "../../../base/bytes.ts";
import type { Task } from "../../kernel/task.ts";
import type { Pty } from "./pty.ts";

const CAP_SYS_ADMIN = 21;
const scratch = new Uint8Array(64);

export function ttyIoctl(
  t: Task,
  pty: Pty,
  request: number,
  arg: number,
  fromMaster: boolean,
): number {
  switch (request >>> 0) {
    case TCGETS:
      return copyOut(t, arg, pty.line.settings.bytes, TERMIOS_BYTES);
    case TCGETS2:
      return copyOut(t, arg, pty.line.settings.bytes, TERMIOS2_BYTES);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
      return setTermios(t, pty, arg, TERMIOS_BYTES, request === TCSETSF, fromMaster);
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
      return setTermios(t, pty, arg, TERMIOS2_BYTES, request === TCSETSF2, fromMaster);
    case TIOCGWINSZ:
      for (let i = 0; i < 4; i++) setU16Le(scratch, 2 * i, pty.winsize[i]);
      return copyOut(t, arg, scratch, WINSIZE_BYTES);
    case TIOCSWINSZ:
      if (t.mm.copyIn(arg, scratch, 0, WINSIZE_BYTES) !== WINSIZE_BYTES) return -EFAULT;
      pty.setWinsize(u16Le(scratch, 0), u16Le(scratch, 2), u16Le(scratch, 4), u16Le(scratch, 6));
      return 0;
    case TIOCGPGRP:
      return putInt(t, arg, pty.getForeground(t, fromMaster));
    case TIOCGSID:
      return putInt(t, arg, pty.getSession(t, fromMaster));
    case TIOCSPGRP: {
      const pgid = t.mm.readI32(arg);
      return t.mm.faulted ? -EFAULT : pty.setForeground(t, pgid);
    }
    case TIOCSCTTY:
      return fromMaster ? -EIO : pty.makeControlling(t, arg === 1);
    case TIOCNOTTY:
      return fromMaster ? -ENOTTY : pty.giveUp(t);
    case TIOCGETD:
      return t.mm.writeU32(arg, 0);
    case TIOCSETD: {
      const discipline = t.mm.readI32(arg);
      return t.mm.faulted ? -EFAULT : discipline === 0 ? 0 : -EINVAL;
    }
    case TIOCEXCL:
      pty.isExclusive = true;
      return 0;
    case TIOCNXCL:
      pty.isExclusive = false;
      return 0;
    case TIOCVHANGUP:
      if (!t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
      pty.hangUp();
      return 0;
    case TIOCSTI:
      return typeIn(t, pty, arg);
    case TCFLSH:
      return flush(t, pty, arg, fromMaster);
    case TCXONC:
      return flowControl(t, pty, arg);
    case TCSBRK:
    case TCSBRKP:
      // Output goes out as it is written: it has drained; a break means nothing here.
      return pty.checkJobControl(t, SIGTTOU);
    case TIOCOUTQ:
      return putInt(t, arg, fromMaster ? 0 : pty.line.output.length);
    case TIOCINQ:
      return putInt(t, arg, fromMaster ? pty.line.output.length : pty.line.readable);
    default:
      return -ENOTTY;
  }
}

function copyOut(t: Task, addr: number, bytes: Uint8Array, length: number): number {
  return t.mm.copyOut(addr, bytes, 0, length) === length ? 0 : -EFAULT;
}
function putInt(t: Task, addr: number, value: number): number {
  return value < 0 ? value : t.mm.writeU32(addr, value);
}

function setTermios(
  t: Task,
  pty: Pty,
  arg: number,
  length: number,
  flushInput: boolean,
  fromMaster: boolean,
): number {
  if (t.mm.copyIn(arg, scratch, 0, length) !== length) return -EFAULT;
  if (!fromMaster) {
    const checked = pty.checkJobControl(t, SIGTTOU);
    if (checked < 0) return checked;
  }
  const line = pty.line;
  if (flushInput) line.flushInput();
  const wasOn = (u32Le(line.settings.bytes, 0) & IXON) !== 0;
  line.setTermios(scratch, length);
  const isOn = (u32Le(line.settings.bytes, 0) & IXON) !== 0;
  pty.noteFlowControl(wasOn, isOn);
  if (!isOn) line.setStopped(false);
  return 0;
}

/** TIOCSTI: as if the byte had been typed. */
function typeIn(t: Task, pty: Pty, arg: number): number {
  const isOwn = t.threadGroup.processGroup?.session.tty === pty;
  if (!isOwn && !t.creds.hasCapability(CAP_SYS_ADMIN)) return -EPERM;
  scratch[0] = t.mm.readU8(arg);
  if (t.mm.faulted) return -EFAULT;
  pty.receive(scratch, 0, 1);
  return 0;
}

function flush(t: Task, pty: Pty, what: number, fromMaster: boolean): number {
  if (what < 0 || what > 2) return -EINVAL;
  if (!fromMaster) {
    const checked = pty.checkJobControl(t, SIGTTOU);
    if (checked < 0) return checked;
  }
  if (what !== 1) pty.line.flushInput();
  if (what !== 0) {
    pty.line.flushOutput();
    pty.outputTaken();
  }
  pty.notePacket(what === 0 ? 1 : what === 1 ? 2 : 3);
  return 0;
}

function flowControl(t: Task, pty: Pty, action: number): number {
  if (action < 0 || action > 3) return -EINVAL;
  const checked = pty.checkJobControl(t, SIGTTOU);
  if (checked < 0) return checked;
  if (action < 2) pty.line.setStopped(action === 0);
  return 0;
}
