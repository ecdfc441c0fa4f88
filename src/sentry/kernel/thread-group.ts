// A process: the tasks that share a pid, signal handlers, a parent and an exit status.

export class ThreadGroup {
  readonly tgid: number;
  constructor(tgid: number) {
    this.tgid = tgid;
  }
}
