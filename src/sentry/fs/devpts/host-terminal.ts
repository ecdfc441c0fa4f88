// The monitor's terminal on the master side of a pseudo terminal: bytes from the keyboard descriptor are
// typed in, what the program prints goes to the screen descriptor. Never blocks, reads ahead at most one
// chunk; the loop watches a descriptor only while there is something to wait for.

import { EAGAIN } from "../../../abi/errno.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from "../../../abi/poll.ts";
import type { HostFiles, HostPoller } from "../../host.ts";
import { WaitEntry, type Waiter } from "../../kernel/wait-queue.ts";
import type { Pty } from "./pty.ts";

const CHUNK_BYTES = 4096;

export class HostTerminal implements Waiter {
  readonly #pty: Pty;
  readonly #keyboard: number;
  readonly #screen: number;
  readonly #files: HostFiles;
  readonly #poller: HostPoller;
  readonly #typed = new Uint8Array(CHUNK_BYTES);
  #typedAt = 0;
  #typedLength = 0;
  readonly #shown = new Uint8Array(CHUNK_BYTES);
  readonly #masterEntry = new WaitEntry(this);
  #watchesKeyboard = false;
  #watchesScreen = false;
  #isPumping = false;
  #pumpAgain = false;
  #isClosing = false;
  #isFinished = false;

  /** Takes over both descriptors. */
  constructor(pty: Pty, keyboard: number, screen: number, files: HostFiles, poller: HostPoller) {
    this.#pty = pty;
    this.#keyboard = keyboard;
    this.#screen = screen;
    this.#files = files;
    this.#poller = poller;
    pty.isLocked = false;
    pty.masterWaiters.add(this.#masterEntry, POLLIN | POLLOUT);
    this.#watchKeyboard();
  }

  resize(rows: number, columns: number): void {
    this.#pty.setWinsize(rows, columns);
  }

  /** The pair has something for the screen, or room for typed bytes. */
  onReady(_mask: number, _entry: WaitEntry): void {
    this.#pump();
  }

  /** Typing echoes, and showing makes room: both announce themselves back to us while we are at it. */
  #pump(): void {
    if (this.#isPumping) {
      this.#pumpAgain = true;
      return;
    }
    this.#isPumping = true;
    do {
      this.#pumpAgain = false;
      this.#show();
      if (!this.#isClosing) this.#type();
    } while (this.#pumpAgain);
    this.#isPumping = false;
  }

  #watchKeyboard(): void {
    if (this.#watchesKeyboard || this.#isClosing) return;
    this.#watchesKeyboard = true;
    this.#poller.watch(this.#keyboard, POLLIN, () => this.#onKeyboard());
  }
  #onKeyboard(): void {
    const n = this.#files.read(this.#keyboard, this.#typed, 0, CHUNK_BYTES);
    if (n === -EAGAIN) return;
    if (n <= 0) {
      // The terminal is gone: its users get a hangup, as when a modem line drops.
      this.#poller.unwatch(this.#keyboard);
      this.#watchesKeyboard = false;
      this.#pty.hangUp();
      return;
    }
    this.#typedAt = 0;
    this.#typedLength = n;
    this.#pump();
  }
  #type(): void {
    if (this.#typedAt < this.#typedLength) {
      this.#typedAt += this.#pty.receive(
        this.#typed,
        this.#typedAt,
        this.#typedLength - this.#typedAt,
      );
    }
    if (this.#typedAt >= this.#typedLength) {
      this.#watchKeyboard();
    } else if (this.#watchesKeyboard) {
      // Nobody reads what was typed: leave the rest with the host.
      this.#poller.unwatch(this.#keyboard);
      this.#watchesKeyboard = false;
    }
  }

  #show(): void {
    const { output } = this.#pty.line;
    while (output.length > 0 && !this.#pty.line.isStopped) {
      const ready = this.#files.poll(this.#screen, POLLOUT);
      if ((ready & POLLOUT) === 0) {
        if ((ready & (POLLERR | POLLHUP)) !== 0) output.clear();
        else this.#watchScreen();
        break;
      }
      const n = output.peek(this.#shown, 0, CHUNK_BYTES);
      const written = this.#files.write(this.#screen, this.#shown, 0, n);
      if (written <= 0) {
        output.clear();
        break;
      }
      output.drop(written);
    }
    if (this.#isClosing && output.length === 0 && !this.#isFinished) this.#finish();
    else this.#pty.outputTaken();
  }
  #watchScreen(): void {
    if (this.#watchesScreen) return;
    this.#watchesScreen = true;
    this.#poller.watch(this.#screen, POLLOUT, () => {
      this.#poller.unwatch(this.#screen);
      this.#watchesScreen = false;
      this.#pump();
    });
  }

  /** The program is gone: the terminal goes too, once what it printed has reached the host. */
  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#watchesKeyboard) this.#poller.unwatch(this.#keyboard);
    this.#watchesKeyboard = false;
    this.#pty.masterWaiters.remove(this.#masterEntry);
    this.#pty.line.setStopped(false);
    this.#pty.hangUp();
    this.#pump();
  }
  #finish(): void {
    if (this.#watchesScreen) this.#poller.unwatch(this.#screen);
    this.#watchesScreen = false;
    this.#files.close(this.#keyboard);
    if (this.#screen !== this.#keyboard) this.#files.close(this.#screen);
    this.#isFinished = true;
  }
}
