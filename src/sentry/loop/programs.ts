// Programs started by the monitor: from a spawn request to the message about the end.

import { ENOENT } from "../../abi/errno.ts";
import { O_NOCTTY, O_RDONLY, O_RDWR, O_WRONLY } from "../../abi/fcntl.ts";
import { RLIM_INFINITY } from "../../abi/resource.ts";
import { CORE_DUMPED, wExitStatus, wifExited, wTermSig } from "../../abi/wait.ts";
import { utf8ToByteString } from "../../base/bytes.ts";
import { close } from "../../host/libc.ts";
import type { FromSentry, SpawnRequest } from "../control/protocol.ts";
import type { DevptsFileSystem } from "../fs/devpts/devpts-file-system.ts";
import { HostTerminal } from "../fs/devpts/host-terminal.ts";
import { HostFile } from "../fs/host/host-file.ts";
import { Credentials } from "../kernel/credentials.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { ControllingTerminal } from "../kernel/process-group.ts";
import type { Task } from "../kernel/task.ts";
import { sendKernelSignal } from "../kernel/task-signals.ts";
import type { ThreadGroup } from "../kernel/thread-group.ts";
import { FdTable, type FileCounter } from "../vfs/fd-table.ts";
import { whyNotStarted } from "./spawn-failure.ts";

const DESCRIPTORS_OF_STREAMS = 3;
const DESCRIPTORS_OF_TTY = 2;
const NO_LIMIT = 1024;

function credentialsOf({ uid, gid, groups, capabilities }: SpawnRequest): Credentials {
  return new Credentials({
    uid,
    gid,
    ...(groups === undefined ? {} : { groups }),
    ...(capabilities === undefined
      ? {}
      : {
          capBounding: capabilities.bounding,
          capEffective: capabilities.effective,
          capPermitted: capabilities.permitted,
          capInheritable: capabilities.inheritable,
          capAmbient: capabilities.ambient,
        }),
  });
}

interface Program {
  group: ThreadGroup;
  terminal: HostTerminal | null;
}

export class Programs {
  readonly #kernel: Kernel;
  readonly #files: FileCounter;
  readonly #devpts: DevptsFileSystem;
  readonly #bootTask: Task;
  readonly #send: (message: FromSentry) => void;
  readonly #running = new Map<number, Program>();

  constructor(
    kernel: Kernel,
    files: FileCounter,
    devpts: DevptsFileSystem,
    bootTask: Task,
    send: (message: FromSentry) => void,
  ) {
    this.#kernel = kernel;
    this.#files = files;
    this.#devpts = devpts;
    this.#bootTask = bootTask;
    this.#send = send;
  }

  static descriptorsOf(request: SpawnRequest): number {
    return request.tty === undefined ? DESCRIPTORS_OF_STREAMS : DESCRIPTORS_OF_TTY;
  }

  /** Takes over the descriptors. */
  spawn(request: SpawnRequest, hostFds: readonly number[]): void {
    const { id } = request;
    const kernel = this.#kernel;
    const fds = new FdTable(this.#files);
    let tty: ControllingTerminal | undefined;
    let terminal: HostTerminal | null = null;
    if (request.tty === undefined) this.#addStreams(fds, hostFds);
    else {
      const opened = this.#openTerminal(fds, request.tty, request.uid, hostFds);
      if (opened === null) {
        this.#send({ type: "spawnFailed", id, errno: ENOENT, reason: "no terminal could be made" });
        return;
      }
      ({ tty, terminal } = opened);
    }
    const group = kernel.spawn({
      argv: request.argv.map(utf8ToByteString),
      envp: request.env.map(utf8ToByteString),
      cwd: utf8ToByteString(request.workdir),
      creds: credentialsOf(request),
      fds,
      ...(request.umask === undefined ? {} : { umask: request.umask }),
      ...(request.noNewPrivileges === undefined ? {} : { noNewPrivs: request.noNewPrivileges }),
      ...(request.oomScoreAdj === undefined ? {} : { oomScoreAdj: request.oomScoreAdj }),
      rlimits: new Map(
        (request.rlimits ?? []).map(([resource, soft, hard]) => [
          resource,
          { soft: soft ?? RLIM_INFINITY, hard: hard ?? RLIM_INFINITY },
        ]),
      ),
      ...(tty === undefined ? {} : { tty }),
      onExit: (status) => this.#exited(id, status),
    });
    if (typeof group === "number") {
      terminal?.close();
      const reason = whyNotStarted(this.#bootTask, request, -group);
      this.#send({ type: "spawnFailed", id, errno: -group, reason });
      return;
    }
    this.#running.set(id, { group, terminal });
    this.#send({ type: "spawned", id, pid: group.tgid });
  }

  #addStreams(fds: FdTable, hostFds: readonly number[]): void {
    const { hostFiles, poller } = this.#kernel;
    hostFds.forEach((fd, i) => {
      const file = HostFile.adopt(fd, i === 0 ? O_RDONLY : O_WRONLY, hostFiles, poller);
      fds.add(file, false, i, NO_LIMIT);
    });
  }

  #openTerminal(
    fds: FdTable,
    size: { rows: number; columns: number },
    uid: number,
    [keyboard, screen]: readonly number[],
  ): { tty: ControllingTerminal; terminal: HostTerminal } | null {
    const { hostFiles, poller } = this.#kernel;
    const pty = this.#devpts.newPty(uid);
    if (typeof pty === "number") {
      close(keyboard);
      close(screen);
      return null;
    }
    const terminal = new HostTerminal(pty, keyboard, screen, hostFiles, poller);
    terminal.resize(size.rows, size.columns);
    const slave = this.#devpts.openSlave(this.#bootTask, pty, O_RDWR | O_NOCTTY);
    if (typeof slave === "number") {
      terminal.close();
      return null;
    }
    // Its name, for ttyname(3).
    const path = this.#devpts.pathOf(this.#kernel.mounts, pty);
    if (path !== null) slave.opened(path);
    for (let i = 0; i < DESCRIPTORS_OF_STREAMS; i++) {
      if (i > 0) slave.incRef();
      fds.add(slave, false, i, NO_LIMIT);
    }
    return { tty: pty, terminal };
  }

  signal(id: number, signal: number): void {
    const program = this.#running.get(id);
    if (program === undefined) return;
    sendKernelSignal(program.group, signal);
  }

  resize(id: number, rows: number, columns: number): void {
    this.#running.get(id)?.terminal?.resize(rows, columns);
  }

  #exited(id: number, status: number): void {
    const program = this.#running.get(id);
    this.#running.delete(id);
    // What the program wrote last must reach the screen before the news of its end.
    program?.terminal?.close();
    const exited = wifExited(status);
    this.#send({
      type: "exited",
      id,
      exitCode: exited ? wExitStatus(status) : null,
      signal: exited ? null : wTermSig(status),
      coreDumped: !exited && (status & CORE_DUMPED) !== 0,
    });
  }
}
